"""Voices told apart by how they sound, whatever their pitch."""

import numpy as np
import pytest
from scipy.signal import lfilter

from benchmarks.quality.judge import SAMPLE_RATE
from benchmarks.quality.timbre import COEFFICIENTS, FEWEST_PIECES, Voices, timbre

BRIGHT, DARK = 1, 2  # speakers


def whisper(speaker: int, seed: int, seconds: float = 0.6) -> np.ndarray:
    """Noise in the colour of a speaker, [L]: it has no pitch at all."""
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * SAMPLE_RATE))
    return lfilter([1.0], [1.0, 0.6 if speaker == BRIGHT else -0.6], noise).astype(np.float32)


def pieces(count: int) -> list[tuple[int, np.ndarray | None]]:
    return [(speaker, timbre(whisper(speaker, seed))) for speaker in (BRIGHT, DARK) for seed in range(count)]


def test_voices_without_a_pitch_are_told_apart() -> None:
    voices = Voices.of(pieces(FEWEST_PIECES))
    assert voices is not None
    for speaker in (BRIGHT, DARK):
        assert [voices.nearest(timbre(whisper(speaker, seed, 0.2))) for seed in range(100, 110)] == [speaker] * 10


def test_neither_level_nor_silence_around_changes_the_timbre() -> None:
    audio = whisper(DARK, 0)
    silence = np.zeros(SAMPLE_RATE, np.float32)
    found = timbre(np.concatenate([silence, 0.1 * audio, silence]))
    assert found.shape == (COEFFICIENTS - 1,)
    np.testing.assert_allclose(found, timbre(audio), atol=6)  # of some hundreds; the ends of the noise are soft


@pytest.mark.parametrize("samples", [0, 100, SAMPLE_RATE])
def test_silence_has_none(samples: int) -> None:
    assert timbre(np.zeros(samples, np.float32)) is None


def test_too_few_pieces_make_no_voices() -> None:
    assert Voices.of(pieces(FEWEST_PIECES - 1)) is None
    assert Voices.of([(DARK, timbre(whisper(DARK, seed))) for seed in range(20)]) is None
    assert Voices.of([(speaker, None) for speaker in (BRIGHT, DARK) for _ in range(20)]) is None
