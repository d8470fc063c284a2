"""A model that draws a voice for each text keeps to the one in which it began."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets.sync.client
from dia_fixtures import request, speechlike
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realtime_service_fixtures import TonePipeline, speaking
from serving_fixtures import AUTH

from models.dia.pipeline import DiaPipeline
from models.engine import Engine
from models.request import AudioGenerationRequest
from serving.realtime.audio_formats import PCM
from serving.realtime.drawn_voice import ENOUGH_SECONDS, MOST_SECONDS, DrawnVoice, with_more
from serving.realtime.speech import speak
from serving.realtime.workers import HandedOn, SpeechOrder, VoicePrompt

RATE = 44_100  # Hz
WORD = "hello "  # a third of a second or so


def said(seconds: float) -> tuple[np.ndarray, int, str]:
    return speechlike(seconds, RATE)[np.newaxis], RATE, "[S1] " + (WORD * round(3 * seconds)).strip() + "."


def heard_alone(order: SpeechOrder, engine: Engine) -> HandedOn:
    """What the last of its pieces hands on."""
    handed_on = [piece.continues for piece in speak(order, engine)][-1]
    assert handed_on is not None
    return handed_on


def test_a_voice_grows_until_there_is_enough_of_it() -> None:
    voice = with_more(None, *said(2))
    assert voice is not None
    assert (voice.seconds, voice.words) == (2, said(2)[2])
    voice = with_more(voice, *said(4))
    assert voice is not None
    assert (voice.seconds, voice.words) == (6, f"{said(2)[2]} {said(4)[2]}")
    assert voice.seconds > ENOUGH_SECONDS
    assert with_more(voice, *said(2)) is voice


def test_nothing_is_cut_off_a_voice() -> None:
    voice = with_more(None, *said(4))
    assert with_more(voice, *said(MOST_SECONDS - 3)) is voice
    assert with_more(None, *said(MOST_SECONDS + 1)) is None


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (np.zeros((1, 2 * RATE), np.float32), said(2)[2]),
        (said(0.3)[0], "[S1] hello."),
        (said(1)[0], said(9)[2]),
    ],
    ids=["silent", "too short", "too many words"],
)
def test_a_flawed_take_is_no_voice(audio: np.ndarray, words: str) -> None:
    assert with_more(None, audio, RATE, words) is None


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.floats(0.1, 0.8), min_size=1, max_size=3), rate=st.floats(0.2, 6), gap=st.floats(0.3, 1))
def test_what_is_kept_is_taken_as_a_recording(
    noisy: DiaPipeline, lengths: list[float], rate: float, gap: float
) -> None:
    """However fast it is said and however it is paused: with all its words. The tiny model takes 2.5 s of a voice."""
    voice: DrawnVoice | None = None
    for seconds in lengths:
        audio = speechlike(seconds, noisy.sample_rate, gap_every=gap)[np.newaxis]
        voice = with_more(voice, audio, noisy.sample_rate, "[S1] " + WORD * max(1, round(rate * seconds)))
    if voice is not None:
        plan = noisy.prepare(request("[S1] Hi.", audio_prompt=voice.file, audio_prompt_transcription=voice.words))
        assert plan.voice is not None
        assert plan.voice.transcript.count("hello") == voice.words.count("hello")


def test_a_real_engine_says_what_follows_like_what_it_said(
    noisy: DiaPipeline, admitted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine(noisy) as engine:
        first = heard_alone(SpeechOrder("a", "[S1] Good morning to you.", None, PCM), engine)
        before = HandedOn(first.codes, with_more(None, *said(2)))
        second = heard_alone(SpeechOrder("b", "[S1] And good evening.", None, PCM, continues=before), engine)
        monkeypatch.setattr(noisy, "draws_voices", False)
        heard_alone(SpeechOrder("c", "[S1] And good night.", None, PCM, continues=HandedOn(second.codes)), engine)
    texts = [bytes(sequence.conditioning) for sequence in admitted]
    assert texts[0] == b"\x01 Good morning to you."
    assert texts[1] == b"\x01 hello hello hello hello hello hello. \x01 And good evening."
    assert texts[2] == b"\x01 And good night."
    assert [sequence.prompt.shape[1] > 0 for sequence in admitted[:3]] == [False, True, False]


def test_a_model_draws_voices_unless_it_has_its_own(noisy: DiaPipeline) -> None:
    assert noisy.draws_voices
    config = noisy.network.config
    noisy.network.config = dataclasses.replace(config, own_voices=True)
    try:
        again = DiaPipeline(noisy.name, noisy.network, noisy.codec, noisy.decoder.pool)
    finally:
        noisy.network.config = config
    assert not again.draws_voices


def test_a_session_keeps_the_voice_that_was_drawn_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one response to the next, in one voice. Another one is drawn anew."""
    monkeypatch.setattr(TonePipeline, "draws_voices", True)
    with speaking(tmp_path) as (here, pipeline):
        address = f"{here.url.replace('http', 'ws')}/v1/realtime"
        with websockets.sync.client.connect(address, additional_headers=AUTH, max_size=None) as socket:
            for words, voice in (("It is a fine day.", "s1"), ("Is it not?", "s1"), ("It is.", "s2")):
                response = {"instructions": words, "audio": {"output": {"voice": voice}}}
                socket.send(json.dumps({"type": "response.create", "response": response}))
                while json.loads(socket.recv(timeout=20))["type"] != "response.done":
                    pass
    prompts = [one.audio_prompt_transcription for one in pipeline.requests]
    assert prompts == ["", "[S1] It is a fine day.", ""]
    assert [one.audio_prompt is not None for one in pipeline.requests] == [False, True, False]


def test_a_recording_that_is_named_is_spoken_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TonePipeline, "draws_voices", True)
    pipeline = TonePipeline()
    drawn = with_more(None, *said(2))
    with Engine(pipeline) as engine:  # type: ignore[arg-type]
        order = SpeechOrder("a", "[S1] Hi.", VoicePrompt(b"a file", "[S1] words"), PCM)
        order = dataclasses.replace(order, continues=HandedOn(np.zeros((1, 9), int), drawn))
        assert heard_alone(order, engine).voice is drawn
    (asked,) = pipeline.requests
    assert isinstance(asked, AudioGenerationRequest)
    assert (asked.audio_prompt, asked.audio_prompt_transcription) == (b"a file", "[S1] words")
