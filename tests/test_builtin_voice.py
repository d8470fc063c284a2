"""The checkpoint in the box speaks: its own words, in its own two voices, to the end. Heard by whisper-base."""

import functools
import os
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.errors import count_errors
from benchmarks.quality.judge import Judge
from models.engine import Engine
from models.inputs import DialogueInputs
from models.registry import load_dialogue
from models.request import Generated, GenerationStatus

MOST_MEGABYTES = 45


@pytest.fixture(scope="module")
def engine():
    pipeline, note = load_dialogue({**os.environ, "PARLEY_MODEL": "dia-builtin"})
    assert "random" not in note
    with Engine(pipeline) as engine:
        yield engine


@functools.cache
def judge() -> Judge:
    return Judge.load()


def speak(engine: Engine, text: str, **options: object) -> Generated:
    inputs = DialogueInputs.parse(**{"text": text, "seed": 7, **options})
    return engine.generate(inputs.to_request("one", engine.pipeline.name, streaming=False))


def share_wrong(generated: Generated, words: str) -> float:
    audio = np.asarray(generated.audio, np.float32).reshape(-1)
    errors = count_errors(words, judge().transcribe(audio, generated.sample_rate))
    return errors.total / errors.words


def test_it_is_small_enough_for_the_repository():
    folder = Path(__file__).parents[1] / "weights" / "dia-builtin"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size <= MOST_MEGABYTES * 1e6


@pytest.mark.parametrize("speaker", ["[S1]", "[S2]"])
def test_sentences_are_understood(engine, speaker):
    sentences = (
        "Good morning, how are you today?",
        "The library opens at nine on weekdays.",
        "Please turn off the light when you leave.",
        "We walked along the river until it got dark.",
        "My sister is coming to visit us next week.",
    )
    wrong = []
    for words in sentences:
        generated = speak(engine, f"{speaker} {words}")
        assert generated.status is GenerationStatus.END_OF_SEQUENCE, words
        wrong.append(share_wrong(generated, words))
    assert np.mean(wrong) <= 0.2, wrong


@pytest.mark.parametrize("text", ["hi", "Hello", "[S1] where are you going [S2] home"])
def test_a_text_without_a_stop_ends_by_itself(engine, text):
    generated = speak(engine, text)
    assert generated.status is GenerationStatus.END_OF_SEQUENCE
    assert np.asarray(generated.audio).size / generated.sample_rate < 5


def test_dialogues_are_understood(engine):
    scripts = (
        "[S1] Where did you put the keys? [S2] They are on the kitchen table.",
        "[S1] Did you find a place to park? [S2] Yes, right behind the house.",
        "[S2] What time does the train leave? [S1] It leaves at half past nine.",
    )
    wrong = [share_wrong(speak(engine, script), re.sub(r"\[S[12]\]", "", script)) for script in scripts]
    assert np.mean(wrong) <= 0.34, wrong


def test_without_chance_a_sentence_is_understood(engine):
    words = "I left my umbrella on the train this morning."
    assert share_wrong(speak(engine, f"[S1] {words}", temperature=0), words) <= 0.34
