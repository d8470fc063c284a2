"""A loop has no seam where it starts again, no bump in the fade, and is the audio itself everywhere else."""

import numpy as np
import numpy.typing as npt
import pytest

from models.audio.loop import seamless_loop

RATE = 16_000
OVERRUN = RATE // 2


def noise(seconds: float, channels: int = 1, seed: int = 0) -> npt.NDArray:
    return np.random.default_rng(seed).normal(0, 0.1, (channels, int(seconds * RATE))).astype(np.float32)


def swell(seconds: float) -> npt.NDArray:
    """[1, L]: a tone whose end is nothing like its beginning."""
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.4 * np.cos(2 * np.pi * (200 + 30 * time) * time) * (0.2 + time / seconds)).astype(np.float32)[np.newaxis]


@pytest.mark.parametrize("channels", [1, 2])
def test_only_the_fade_changes_and_the_overrun_goes(channels: int) -> None:
    audio = noise(3, channels)
    made = seamless_loop(audio, OVERRUN)
    assert made.shape == (channels, 3 * RATE - OVERRUN)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made[:, OVERRUN:], audio[:, OVERRUN:-OVERRUN])


def test_the_end_goes_over_into_the_beginning_as_in_the_audio_itself() -> None:
    audio = swell(3)
    made = seamless_loop(audio, OVERRUN)
    length = made.shape[1]
    np.testing.assert_array_equal(made[:, 0], audio[:, length])
    cut = audio[:, :length]
    jump = {name: abs(float(a[0, 0] - a[0, -1])) for name, a in (("cut", cut), ("loop", made))}
    largest = float(np.abs(np.diff(audio)).max())  # what the sound itself does from one sample to the next
    assert jump["loop"] <= largest < jump["cut"]
    twice = np.concatenate([made, made], axis=1)
    assert float(np.abs(np.diff(twice)).max()) <= 1.1 * largest


@pytest.mark.parametrize("likeness", [0.0, 0.5, 1.0])
def test_the_power_of_the_fade_is_even(likeness: float) -> None:
    """A plain equal-power fade makes a sound that goes on unchanged 3 dB louder in the middle."""
    audio = noise(9, seed=1)
    overrun = 4 * RATE
    audio[:, -overrun:] *= np.sqrt(1 - likeness**2)
    audio[:, -overrun:] += likeness * audio[:, :overrun]
    fade = seamless_loop(audio, overrun)[:, :overrun]
    levels = [10 * np.log10(np.square(part).mean() / 0.01) for part in np.array_split(fade, 8, axis=1)]
    assert max(map(abs, levels)) < 0.3  # dB; 8000 samples of noise measure their level within 0.15


def test_a_steady_tone_stays_the_tone() -> None:
    time = np.arange(4 * RATE) / RATE
    audio = (0.5 * np.sin(2 * np.pi * 100 * time)).astype(np.float32)[np.newaxis]  # whole periods: the fade is in phase
    np.testing.assert_allclose(seamless_loop(audio, RATE), audio[:, : 3 * RATE], atol=1e-6)


def test_opposite_sounds_get_no_gain() -> None:
    half = noise(1)
    made = seamless_loop(np.concatenate([half, half, -half], axis=1), RATE)
    assert np.abs(made).max() <= np.abs(half).max()


def test_silence_folds_into_silence() -> None:
    assert not seamless_loop(np.zeros((2, RATE), np.float32), 100).any()


def test_no_overrun_is_the_audio_itself() -> None:
    audio = noise(1)
    assert seamless_loop(audio, 0) is audio


@pytest.mark.parametrize("overrun", [-1, 501, 1000])
def test_more_than_remains_cannot_be_folded(overrun: int) -> None:
    with pytest.raises(ValueError, match=f"{overrun} samples of overrun"):
        seamless_loop(np.zeros((1, 1000), np.float32), overrun)
