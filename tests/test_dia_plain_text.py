"""A checkpoint that reads plain words only gets nothing else; one without the flag gets the text as it was written."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from dia_fixtures import request, wav

from models.dia.config import DiaConfig
from models.dia.pipeline import DiaPipeline
from models.dia.random_checkpoint import MODEL_CONFIG
from models.dia.script import estimate_seconds, parse_script
from models.dia.tokenizer import END, TEXT_LIMIT, decode
from models.engine import Engine
from models.errors import InvalidRequest

WRITTEN = "[S1] $5, OK? [S2] Hi."
SAID = "[S1] five dollars, okay? [S2] hi."
ROOMY = dataclasses.replace(request().sampling_params, max_new_tokens=3000)


@pytest.fixture
def plain(noisy: DiaPipeline, monkeypatch: pytest.MonkeyPatch) -> DiaPipeline:
    """The pipeline of a small checkpoint."""
    monkeypatch.setattr(noisy.network, "config", dataclasses.replace(noisy.network.config, plain_text=True))
    return noisy


def texts(pipeline: DiaPipeline, text: str) -> str:
    return " ".join(u.text for u in pipeline.prepare(request(text, sampling_params=ROOMY)).utterances)


def test_the_flag_is_read_from_the_config(tmp_path: Path):
    path = tmp_path / "config.json"
    for flag in ("plain_text", "own_voices", "end_mark"):
        for ours, expected in (({flag: True}, True), ({}, False)):
            path.write_text(json.dumps({**MODEL_CONFIG, "parley": ours}))
            assert getattr(DiaConfig.load(path), flag) is expected


def test_a_model_without_the_flag_gets_the_text_as_written(noisy: DiaPipeline):
    assert texts(noisy, WRITTEN) == WRITTEN
    assert texts(noisy, "[S1] Пётр, 5 km!") == "[S1] Пётр, 5 km!"


def test_a_model_with_the_flag_gets_plain_words(plain: DiaPipeline):
    assert texts(plain, WRITTEN) == SAID


def test_the_network_reads_the_plain_words(plain: DiaPipeline, admitted):
    with Engine(plain) as engine:
        list(engine.stream(request("[S1] 5 OK.")))
    assert decode(admitted[0].conditioning) == "[S1] five okay."


def test_every_passage_ends_with_the_mark_where_the_model_knows_it(
    plain: DiaPipeline, admitted, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(plain.network, "config", dataclasses.replace(plain.network.config, end_mark=True))
    long = "[S1] one two three four five six seven. [S2] eight nine ten eleven twelve. " * 5
    with Engine(plain) as engine:
        list(engine.stream(request(long, sampling_params=ROOMY)))
    assert len(admitted) > 1, "several passages"
    for sequence in admitted:
        assert sequence.conditioning[-1] == END
        assert END not in sequence.conditioning[:-1]
        assert len(sequence.conditioning) <= TEXT_LIMIT


def test_estimates_are_of_what_the_model_reads(plain: DiaPipeline):
    plan = plain.prepare(request("[S1] 1987.", sampling_params=ROOMY))
    assert plan.seconds == pytest.approx(estimate_seconds("nineteen eighty seven."))


def test_a_text_that_is_too_long_once_spelled_is_refused(plain: DiaPipeline):
    short = dataclasses.replace(ROOMY, max_new_tokens=500)
    text = "1987 " * 20
    with pytest.raises(InvalidRequest, match=r"text: takes about .* s to speak"):
        plain.prepare(request(text, sampling_params=short))


@pytest.mark.parametrize("text", ["你好!", "[S1] (laughs) [S2] ...", "^", "[S1] 🙂"])
def test_a_text_without_speakable_words_is_refused(plain: DiaPipeline, text):
    with pytest.raises(InvalidRequest, match="text: holds nothing that can be spoken"):
        plain.prepare(request(text))


def test_notes_tell_what_is_dropped_and_not_what_is_spelled(plain: DiaPipeline):
    assert plain.prepare(request("[S1] It's 5 km & OK, café.", sampling_params=ROOMY)).notes == ()
    assert plain.prepare(request("[S1] Hi Пётр. (laughs)")).notes == (
        "text: left out characters that this model cannot read (4): 'П', 'ё', 'т', …",
        "text: left out cues, which this model does not know; each is a pause (1): '(laughs)'",
    )


def test_a_note_about_dropped_characters_names_the_transcript(plain: DiaPipeline):
    codes = np.zeros((100, 9), dtype=np.int64)
    plan = plain.prepare(request(audio_prompt_tokens=codes, audio_prompt_transcription="[S1] No. 5 你"))
    assert plan.voice is not None
    assert plan.voice.transcript == "[S1] number five."
    assert plan.notes == ("audio_prompt_text: left out characters that this model cannot read (1): '你'",)


def test_the_transcript_of_a_recording_is_plain_too(plain: DiaPipeline, tmp_path: Path):
    voice = plain.prepare(
        request(audio_prompt=wav(tmp_path / "voice.wav", 2.0), audio_prompt_transcription="[S1] It is 3 pm, OK?")
    ).voice
    assert voice is not None
    assert voice.transcript == "[S1] it is three pee em, okay?"


def test_a_transcript_without_speakable_words_is_refused_by_its_name(plain: DiaPipeline):
    codes = np.zeros((100, 9), dtype=np.int64)
    with pytest.raises(InvalidRequest, match="audio_prompt_text: holds nothing that can be spoken"):
        plain.prepare(request(audio_prompt_tokens=codes, audio_prompt_transcription="你好"))


def test_the_raw_transcript_is_left_as_it_is(noisy: DiaPipeline):
    codes = np.zeros((100, 9), dtype=np.int64)
    voice = noisy.prepare(request(audio_prompt_tokens=codes, audio_prompt_transcription="[S1] It is 3 pm, OK?")).voice
    assert voice is not None
    assert voice.transcript == "[S1] It is 3 pm, OK?"


def test_a_script_in_plain_words_keeps_its_turns():
    script = parse_script("Dr. Lee: 2 cats. [S2] No. 1!", plain=True)
    assert script.text == "[S1] doctor lee, two cats. [S2] number one!"


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("hi", ("hi.",)),
        ("[S1] Where are you going [S2] Home,", ("where are you going.", "home.")),
        ("[S1] Really? [S2] Yes!", ("really?", "yes!")),
        ("[S1] Well (sighs) [S2] So…", ("well ...", "so ...")),
        ("[S1] Hello [S2] ?", ("hello.",)),
    ],
)
def test_every_turn_ends_with_a_mark(text, turns):
    script = parse_script(text, plain=True)
    assert tuple(turn.text for turn in script.turns) == turns
    again = parse_script(script.text, plain=True)
    assert again.turns == script.turns
