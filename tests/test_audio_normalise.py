"""Music gets the level that AudioCraft's own code gives it, and what that code divides by 0 for stays as it is."""

import math
from types import SimpleNamespace
from typing import get_args

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest
import torch
from audio_fixtures import speechlike, tone
from audiocraft_fixtures import audiocraft

from models.audio.bs1770 import integrated_loudness
from models.audio.normalise import Strategy, normalise, notes_on_level
from models.inputs.settings import NormalizationStrategy

RATE = 32_000
STRATEGIES = get_args(Strategy)


def judged(audio: npt.NDArray, sample_rate: int = RATE) -> float:
    """LUFS by pyloudnorm."""
    return float(pyloudnorm.Meter(sample_rate).integrated_loudness(audio.T.astype(np.float64)))


def stereo(gain: float = 1.0) -> npt.NDArray:
    left = speechlike(2.0, RATE, seed=1)
    return gain * np.concatenate([left, 0.6 * left + 0.3 * speechlike(2.0, RATE, seed=2)])


SOUNDS = {
    "mono": speechlike(2.0, RATE),
    "stereo": stereo(),
    "hot": 6 * stereo(),
    "faint": stereo(0.02),
    "fainter than the floor of loudness": stereo(0.005),
    "a click": np.eye(1, RATE, RATE // 2, dtype=np.float32),
}


class TorchaudioLoudness:
    """torchaudio cannot be installed beside this torch; its transform is BS.1770 as pyloudnorm computes it."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def __call__(self, wav: torch.Tensor) -> torch.Tensor:
        return torch.tensor(judged(wav.numpy(), self.sample_rate))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS)
def test_the_level_is_that_of_audiocraft(monkeypatch, strategy: Strategy, sound: npt.NDArray) -> None:
    theirs = audiocraft("data.audio_utils")
    stand_in = SimpleNamespace(transforms=SimpleNamespace(Loudness=TorchaudioLoudness))
    monkeypatch.setattr(theirs, "torchaudio", stand_in)
    expected = theirs.normalize_audio(torch.tensor(sound), strategy=strategy, sample_rate=RATE)
    np.testing.assert_allclose(normalise(sound, RATE, strategy), expected.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("strategy", "peak_db", "rms_db", "lufs"),
    [("loudness", None, None, -14.0), ("peak", -1.0, None, None), ("rms", None, -18.0, None)],
)
@pytest.mark.parametrize("gain", [0.05, 0.3])
def test_the_published_numbers_are_met(
    strategy: Strategy, peak_db: float | None, rms_db: float | None, lufs: float | None, gain: float
) -> None:
    """The table that does not need audiocraft; 0.01 dB is far below what anyone hears."""
    made = normalise(stereo(gain), RATE, strategy)
    if peak_db is not None:
        assert 20 * math.log10(np.abs(made).max()) == pytest.approx(peak_db, abs=0.01)
    if rms_db is not None:
        assert 10 * math.log10(np.square(made.mean(axis=0)).mean()) == pytest.approx(rms_db, abs=0.01)
    if lufs is not None:
        assert judged(made) == pytest.approx(lufs, abs=0.01)


def test_clip_changes_only_what_passes_the_ceiling() -> None:
    sound = 3 * stereo()
    made = normalise(sound, RATE, "clip")
    ceiling = 10 ** (-1 / 20)
    inside = np.abs(sound) <= ceiling
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(made[inside], sound[inside])
    np.testing.assert_allclose(np.abs(made[~inside]), ceiling, rtol=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("length", [1, 100, RATE])
def test_silence_stays_silence(strategy: Strategy, length: int) -> None:
    """AudioCraft's peak and rms make it NaN."""
    made = normalise(np.zeros((2, length), np.float32), RATE, strategy)
    np.testing.assert_array_equal(made, np.zeros((2, length)))


def test_stereo_whose_sides_cancel_is_no_reason_for_an_endless_gain() -> None:
    """Its mono mix has the level 0, which AudioCraft divides by."""
    left = speechlike(1.0, RATE)
    sides = np.concatenate([left, -left])
    np.testing.assert_array_equal(normalise(sides, RATE, "rms"), sides)


@pytest.mark.parametrize(("seconds", "changes"), [(0.39, False), (0.4, True)])
def test_under_4_tenths_of_a_second_there_is_no_loudness(seconds: float, changes: bool) -> None:
    sound = tone(seconds, sample_rate=RATE, peak=0.05)
    made = normalise(sound, RATE, "loudness")
    assert (np.abs(made).max() > 0.051) == changes
    assert np.isfinite(made).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_sample_passes_full_scale(strategy: Strategy) -> None:
    for sound in (8 * stereo(), 40 * speechlike(0.1, RATE), SOUNDS["a click"] * 3):
        made = normalise(sound, RATE, strategy)
        assert np.abs(made).max() <= 1
        assert made.dtype == np.float32
        assert made.shape == sound.shape


@pytest.mark.parametrize("strategy", ["loudness", "rms"])
def test_what_a_level_takes_past_full_scale_is_told(strategy: Strategy) -> None:
    """A faint hum with a click in it: the level of the hum is reached, and the click is cut."""
    sound = tone(1.0, sample_rate=RATE, peak=0.05)
    sound[:, 1000:1003] = (0.9, -0.9, 0.9)
    assert notes_on_level(normalise(sound, RATE, strategy), strategy) == (
        f"{strategy} took 3 of 32000 samples past full scale, where they are cut; peak cuts none",
    )
    assert notes_on_level(normalise(tone(1.0, sample_rate=RATE), RATE, strategy), strategy) == ()


@pytest.mark.parametrize("strategy", ["clip", "peak"])
def test_what_is_asked_to_cut_or_never_does_has_nothing_to_tell(strategy: Strategy) -> None:
    assert notes_on_level(normalise(6 * stereo(), RATE, strategy), strategy) == ()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_sides_of_stereo_keep_their_balance(strategy: Strategy) -> None:
    sound = stereo(0.1)
    made = normalise(sound, RATE, strategy)
    loud = np.abs(sound).min(axis=0) > 1e-3
    np.testing.assert_allclose(made[0, loud] / made[1, loud], sound[0, loud] / sound[1, loud], rtol=1e-4)


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100])
@pytest.mark.parametrize("sound", [speechlike, tone], ids=["speechlike", "tone"])
def test_loudness_is_measured_as_pyloudnorm_does(rate: int, sound) -> None:
    """A pause, to be gated out, in the middle."""
    pause = np.zeros((1, rate), np.float32)
    audio = np.concatenate([sound(2.0, sample_rate=rate), pause, 0.1 * sound(1.0, sample_rate=rate)], axis=1)
    both = np.concatenate([audio, 0.5 * audio])
    assert integrated_loudness(audio, rate) == pytest.approx(judged(audio, rate), abs=1e-6)
    assert integrated_loudness(both, rate) == pytest.approx(judged(both, rate), abs=1e-6)


def test_what_is_below_the_gate_has_no_loudness() -> None:
    assert integrated_loudness(tone(1.0, sample_rate=RATE, peak=1e-5), RATE) == -math.inf


def test_callers_can_ask_for_each_strategy_and_no_other() -> None:
    assert get_args(NormalizationStrategy) == STRATEGIES
