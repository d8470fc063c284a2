"""A recording becomes a voice, in step with its words."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dia_fixtures import request, speechlike, wav

from models.decoding.sequence import CodeSequence
from models.dia.pipeline import DiaPipeline
from models.engine import Engine
from models.errors import InvalidRequest, UnreadableAudio


def test_a_recording_becomes_codes_and_its_words_come_first(
    engine: Engine, admitted: list[CodeSequence], tmp_path: Path
) -> None:
    clip = wav(tmp_path / "clip.mp3.txt", 1.5)  # the name says nothing
    words = "Hello this is my own voice."
    engine.generate(request("[S1] Hi.", audio_prompt=clip, audio_prompt_transcription=words))
    assert bytes(admitted[0].conditioning) == b"\x01 Hello this is my own voice. \x01 Hi."
    assert 80 <= admitted[0].prompt.shape[1] <= 130


def test_the_same_recording_is_encoded_once(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec, calls = engine.pipeline.codec, []
    encode_audio = codec.encode_pieces
    monkeypatch.setattr(codec, "encode_pieces", lambda audio: (calls.append(1), encode_audio(audio))[1])
    clip = wav(tmp_path / "clip.wav", 1.5)
    for n in range(2):
        made = request(audio_prompt=clip, audio_prompt_transcription="[S1] Hello this is me.", request_id=str(n))
        engine.generate(made)
    assert calls == [1]


def test_a_recording_as_bytes_is_the_same_as_a_file(noisy: DiaPipeline, tmp_path: Path) -> None:
    clip = wav(tmp_path / "clip.wav", 1.5)
    plans = [
        noisy.prepare(request(audio_prompt=source, audio_prompt_transcription="[S1] Hello this is me."))
        for source in (clip, clip.read_bytes())
    ]
    np.testing.assert_array_equal(plans[0].voice.audio, plans[1].voice.audio)


def test_a_long_recording_is_cut_with_its_words_and_says_so(noisy: DiaPipeline, tmp_path: Path) -> None:
    words = "[S1] " + " ".join(
        f"This is sentence number {n} of mine." for n in ["one", "two", "three", "four", "five", "six"]
    )
    clip = wav(tmp_path / "clip.wav", 12, gap_every=2.0)
    plan = noisy.prepare(
        request("[S1] Hi.", audio_prompt=clip, audio_prompt_transcription=words, max_audio_prompt_seconds=2)
    )
    assert plan.voice.seconds <= 2
    assert 0 < len(plan.voice.transcript) < 0.4 * len(words)
    (note,) = plan.notes
    assert "cut to" in note
    behind = words.removeprefix(plan.voice.transcript).strip()
    assert repr(behind[:20])[1:-1] in note
    assert "more characters" in note


@pytest.mark.parametrize("words", ["", "   "])
def test_a_recording_without_its_words_is_refused_with_the_reason(
    noisy: DiaPipeline, tmp_path: Path, words: str
) -> None:
    clip = wav(tmp_path / "clip.wav", 1.5)
    with pytest.raises(InvalidRequest, match=r"audio_prompt_text: is missing.*no transcriber.*pip install"):
        noisy.prepare(request(audio_prompt=clip, audio_prompt_transcription=words))


def test_words_that_cannot_be_the_recordings_are_refused(noisy: DiaPipeline, tmp_path: Path) -> None:
    """Other deployments keep the whole transcript of a prompt they cut, and the model speaks the rest of it."""
    clip = wav(tmp_path / "clip.wav", 1.5)
    with pytest.raises(InvalidRequest, match="audio_prompt_text: takes about"):
        noisy.prepare(request(audio_prompt=clip, audio_prompt_transcription="[S1] " + "many more words " * 20))


def test_a_silent_recording_is_refused(noisy: DiaPipeline, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(44_100), 44_100)
    with pytest.raises(UnreadableAudio, match="audio_prompt: is silent"):
        noisy.prepare(request(audio_prompt=tmp_path / "silent.wav", audio_prompt_transcription="[S1] Hello."))


def test_what_is_no_recording_is_refused(noisy: DiaPipeline) -> None:
    with pytest.raises(UnreadableAudio, match="audio_prompt"):
        noisy.prepare(request(audio_prompt=b"root:x:0:0", audio_prompt_transcription="[S1] Hello."))


def test_stereo_at_another_rate_is_read(noisy: DiaPipeline) -> None:
    buffer = io.BytesIO()
    clip = speechlike(1.5, sample_rate=48_000)
    soundfile.write(buffer, np.stack([clip, clip], axis=1), 48_000, format="FLAC")
    plan = noisy.prepare(
        request("[S1] Hi.", audio_prompt=buffer.getvalue(), audio_prompt_transcription="[S1] Hello this is me.")
    )
    assert plan.voice.audio.shape[0] == 1
    assert 0.8 < plan.voice.seconds <= 1.5
