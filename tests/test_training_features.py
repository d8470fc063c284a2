"""Pitch, level and envelope of signals whose pitch, level and envelope are known."""

from collections.abc import Callable

import numpy as np
import pytest
from training_fixtures import noise, tone

from training.codec.features import (
    BANDS,
    CEPSTRA,
    FLOOR,
    MEL_BANDS,
    PHASES,
    PITCHES,
    band_of,
    envelope,
    level,
    mel_bank,
    phase,
    pitch,
    scale,
)
from training.frames import FRAME, SAMPLE_RATE

FRAMES = 40
SAMPLES = FRAMES * FRAME


def nearest_step(hertz: float) -> int:
    return 1 + int(np.abs(np.log(scale() / hertz)).argmin())


def pulses(hertz: float) -> np.ndarray:
    """As a throat gives them: a millisecond long."""
    audio = np.zeros(SAMPLES, np.float32)
    audio[np.round(np.arange(0, SAMPLES - 1, SAMPLE_RATE / hertz)).astype(int)] = 0.9
    return np.convolve(audio, np.hanning(44), "same").astype(np.float32)


def sine(hertz: float, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(SAMPLES) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("signal", [sine, pulses, lambda hertz: tone(hertz, SAMPLES)], ids=["sine", "pulses", "tone"])
@pytest.mark.parametrize("hertz", [75, 110, 163, 220, 311, 450])
def test_pitch_is_found_within_a_step(signal: Callable[[float], np.ndarray], hertz: float) -> None:
    found = pitch(signal(hertz))
    assert len(found) == FRAMES
    inner = found[3:-3]
    assert np.abs(inner - nearest_step(hertz)).max() <= 1, inner


def throat(hertz: float) -> np.ndarray:
    """Pulses that pull: the way round in which a voice is recorded."""
    return -pulses(hertz)


@pytest.mark.parametrize("signal", [sine, throat, lambda hertz: tone(hertz, SAMPLES)], ids=["sine", "pulses", "tone"])
@pytest.mark.parametrize("hertz", [75, 110, 163, 220, 311, 450])
def test_phase_advances_by_the_pitch(signal: Callable[[float], np.ndarray], hertz: float) -> None:
    audio = signal(hertz)
    pitches = pitch(audio)
    band, found = np.divmod(phase(audio, pitches) - 1, PHASES)
    np.testing.assert_array_equal(band, band_of(pitches))
    passed = np.diff(found[3:-3]) / PHASES
    slip = (passed - hertz * FRAME / SAMPLE_RATE + 0.5) % 1 - 0.5
    assert np.abs(slip).max() < 2 / PHASES, slip


def test_phase_is_none_without_pitch_and_half_a_period_off_when_that_much_later() -> None:
    later = np.roll(sine(SAMPLE_RATE / 200), 100)
    steps = np.full(FRAMES, nearest_step(SAMPLE_RATE / 200))
    steps[::2] = 0
    found, moved = phase(sine(SAMPLE_RATE / 200), steps), phase(later, steps)
    assert not found[::2].any()
    off = (found - moved)[3:-3:2] % PHASES
    assert np.abs(off - PHASES / 2).max() <= 1, off


def test_bands_are_even_shares_of_the_scale() -> None:
    sizes = np.bincount(band_of(np.arange(1, PITCHES + 1)))
    assert len(sizes) == BANDS
    assert sizes.max() - sizes.min() <= 1


def test_pitch_follows_a_glide() -> None:
    hertz = np.geomspace(100, 200, SAMPLES)
    audio = 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE).astype(np.float32)
    found = pitch(audio)[3:-3]
    expected = [nearest_step(hertz[(t + 3) * FRAME + FRAME // 2]) for t in range(len(found))]
    assert np.abs(found - expected).max() <= 1


def test_noise_silence_and_the_very_quiet_have_no_pitch() -> None:
    assert not pitch(np.zeros(SAMPLES, np.float32)).any()
    assert np.mean(pitch(noise(SAMPLES)) > 0) < 0.1
    assert not pitch(sine(200, 1e-4)).any()


def test_the_scale_is_logarithmic() -> None:
    steps = scale()
    assert len(steps) == PITCHES
    assert np.allclose(steps[1:] / steps[:-1], steps[1] / steps[0])
    assert (steps[0], steps[-1]) == pytest.approx((60, 500))


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.003])
def test_level_is_the_root_mean_square_in_decibels(amplitude: float) -> None:
    assert level(sine(1000, amplitude))[2:-2] == pytest.approx(20 * np.log10(amplitude / np.sqrt(2)), abs=0.2)


def test_level_has_a_floor() -> None:
    assert level(np.zeros(SAMPLES, np.float32)) == pytest.approx(-80)


def test_the_envelope_of_silence_is_finite_and_flat() -> None:
    silent = envelope(np.zeros(SAMPLES, np.float32))
    assert (silent.shape, silent.dtype) == ((FRAMES, CEPSTRA), np.float32)
    assert silent[:, 0] == pytest.approx(np.log(FLOOR) * np.sqrt(MEL_BANDS), rel=1e-5)
    assert silent[:, 1:] == pytest.approx(0, abs=1e-4)


def test_ten_times_as_loud_is_a_step_of_the_first_coefficient_alone() -> None:
    quiet, loud = envelope(noise(SAMPLES, 0.03)), envelope(noise(SAMPLES, 0.3))
    assert (loud - quiet)[:, 0] == pytest.approx(np.log(10) * np.sqrt(MEL_BANDS), rel=0.05)
    assert np.abs((loud - quiet)[:, 1:]).mean() < 0.05


def test_the_envelope_tells_colours_more_than_pitches() -> None:
    low, high = tone(120, SAMPLES), tone(150, SAMPLES)
    dark, bright = (envelope(a)[5:-5].mean(axis=0) for a in (low, np.diff(low, append=0.0)))
    other = envelope(high)[5:-5].mean(axis=0)
    assert np.linalg.norm(dark - other) < np.linalg.norm(dark - bright)


@pytest.mark.parametrize(("window", "bands"), [(1024, 80), (2048, 96), (512, 48), (256, 24), (128, 12)])
def test_mel_bands_sum_to_one(window: int, bands: int) -> None:
    bank = mel_bank(window, bands)
    assert bank.shape == (bands, window // 2 + 1)
    assert bank.min() == 0
    assert bank.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (np.diff(bank.argmax(axis=1)) >= 0).all()
