"""Melodies: chroma, its length and the tiling of windows are audiocraft's; drums and bass are left out by Demucs."""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from musicgen_chroma_fixtures import RATE, chroma_conditioner, tune
from musicgen_window_fixtures import window_calls

from models.musicgen.chroma import FFT, HOP, chroma, tile
from models.musicgen.stems import StemSeparator

LENGTH = 24  # frames of chroma; 235 in the published models

# The loudest pitch classes of `tune(2.0)`, from audiocraft's ChromaExtractor (tts-webui-audiocraft 1.4.0a2), repeated
# to LENGTH by its ChromaStemConditioner.
AUDIOCRAFT = [0, 0, 0, 0, 4, 4, 4, 7, 7, 7, 0, 0, 0, 11, 11, 11, 0, 0, 0, 0, 4, 4, 4, 7]


@pytest.fixture
def conditioner() -> Any:
    """audiocraft's ChromaStemConditioner as MusicGen-melody has it, of LENGTH frames and without Demucs."""
    return chroma_conditioner(LENGTH, 8)


def theirs(conditioner: Any, audio: np.ndarray) -> torch.Tensor:
    condition = SimpleNamespace(wav=torch.from_numpy(audio)[None], path=[None], sample_rate=[RATE])
    return conditioner._get_wav_embedding(condition)[0]


@pytest.mark.parametrize("seconds", [0.01, 0.3, 0.7, 1.0, 3.0, 5.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_chroma_is_audiocrafts(conditioner: Any, seconds: float, channels: int) -> None:
    audio = tune(seconds, channels)
    torch.testing.assert_close(chroma(audio, RATE, LENGTH), theirs(conditioner, audio), rtol=0, atol=0)


def test_chroma_of_noise_and_of_silence_is_audiocrafts(conditioner: Any) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 2 * RATE)).astype(np.float32)
    for audio in (noise, np.zeros((1, 2 * RATE), np.float32), np.zeros((1, 1), np.float32)):
        torch.testing.assert_close(chroma(audio, RATE, LENGTH), theirs(conditioner, audio), rtol=0, atol=0)


def test_chroma_is_the_frozen_one_of_audiocraft() -> None:
    assert chroma(tune(2.0), RATE, LENGTH).argmax(1).tolist() == AUDIOCRAFT


@pytest.mark.parametrize("key", range(48, 84, 5))
def test_a_tone_is_its_pitch_class(key: int) -> None:
    frequency = 440 * 2 ** ((key - 69) / 12)
    tone = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)[None].astype(np.float32)
    assert chroma(tone, RATE, 4).argmax(1).tolist() == [key % 12] * 4


@pytest.mark.parametrize("length", [1, 2, 3, LENGTH])
def test_what_lies_behind_the_last_frame_is_not_heard(length: int) -> None:
    heard = tune(3.2)
    changed = heard.copy()
    changed[:, max(FFT, (length - 1) * HOP + FFT // 2) :] = 0.7
    torch.testing.assert_close(chroma(changed, RATE, length), chroma(heard, RATE, length))


def test_silence_is_the_first_pitch_class() -> None:
    assert chroma(np.zeros((2, 5), np.float32), RATE, LENGTH).argmax(1).tolist() == [0] * LENGTH


@pytest.mark.parametrize("frames", [25, 50, 87, 125])
@pytest.mark.parametrize("seconds", [0.3, 1.7])
def test_windows_of_a_melody_are_tiled_as_audiocraft_does(frames: int, seconds: float) -> None:
    """In a model of 1 s windows, 0.6 s apart. A piece of one window takes the wave as it is."""
    melody = tune(seconds, 2)
    calls = window_calls("musicgen.MusicGen", frames / 50, 1.0, 0.6, 0, melody)
    expected = [melody] if frames <= 50 else [tile(melody, start * 640, RATE) for start in range(0, frames - 20, 30)]
    assert len(calls) == len(expected)
    for call, wave in zip(calls, expected, strict=True):
        np.testing.assert_array_equal(call.melody, wave)


@pytest.fixture
def demucs(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The package, without the mp3 encoder that it imports; afterwards nobody has imported it."""
    monkeypatch.setitem(sys.modules, "lameenc", ModuleType("lameenc"))
    yield pytest.importorskip("demucs.apply", reason="demucs is not installed; see requirements-audiocraft.txt")
    for name in [name for name in sys.modules if name.partition(".")[0] == "demucs"]:
        del sys.modules[name]


@pytest.fixture
def tiny_demucs(demucs: ModuleType) -> torch.nn.Module:
    """htdemucs' own class at toy size."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return demucs.HTDemucs(
            ["drums", "bass", "other", "vocals"], channels=8, t_layers=1, t_heads=2, bottom_channels=8, segment=1
        )


def test_what_demucs_keeps_is_what_audiocraft_keeps(
    tiny_demucs: torch.nn.Module, conditioner: Any, demucs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    separate = demucs.apply_model
    # audiocraft leaves Demucs' random shift on.
    monkeypatch.setattr(demucs, "apply_model", lambda *a, **options: separate(*a, **{"shifts": 0, **options}))
    conditioner.demucs = tiny_demucs
    conditioner.stem_indices = torch.tensor([3, 2])
    audio = tune(0.7, 2)
    expected = type(conditioner)._get_stemmed_wav(conditioner, torch.from_numpy(audio)[None], RATE)[0]
    melody = StemSeparator(tiny_demucs, torch.device("cpu")).melody(audio, RATE)
    np.testing.assert_allclose(melody, expected.numpy(), rtol=0, atol=1e-6)  # the order of the sum of two stems


def test_the_same_audio_gives_the_same_melody(tiny_demucs: torch.nn.Module) -> None:
    separator = StemSeparator(tiny_demucs, torch.device("cpu"))
    np.testing.assert_array_equal(separator.melody(tune(0.7), RATE), separator.melody(tune(0.7), RATE))


def test_demucs_as_it_is_published_is_loaded(
    tiny_demucs: torch.nn.Module, demucs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`htdemucs` comes as a bag of one model."""
    monkeypatch.setattr("demucs.hf.get_hf_model", lambda name: {"htdemucs": demucs.BagOfModels([tiny_demucs])}[name])
    separator = StemSeparator.load(torch.device("cpu"))
    assert separator is not None
    alone = StemSeparator(tiny_demucs, torch.device("cpu")).melody(tune(0.7), RATE)
    np.testing.assert_allclose(separator.melody(tune(0.7), RATE), alone, atol=1e-6)


def test_without_demucs_there_is_no_separator(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "demucs.audio", None)  # as if it could not be imported
    with caplog.at_level("INFO", "parley.musicgen"):
        assert StemSeparator.load(torch.device("cpu")) is None
    assert "demucs is not installed" in caplog.text


def test_demucs_without_weights_is_none_and_says_why(
    demucs: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable(name: str) -> None:
        raise OSError(f"no network for {name}")

    monkeypatch.setattr("demucs.hf.get_hf_model", unreachable)
    assert StemSeparator.load(torch.device("cpu")) is None
    assert "no network for htdemucs" in caplog.text
