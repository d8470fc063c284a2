"""models/audio/effects.py, limiter.py and loudness.py: edges, peaks and loudness."""

import numpy as np
import pytest
import soxr
from audio_fixtures import RATE, pieces_of, silence, speechlike, tone
from scipy.signal import lfilter

from models.audio.effects import EdgeFade, fade_edges
from models.audio.limiter import KNEE, limit_true_peak, soft_limit, true_peak
from models.audio.loudness import measure_loudness, normalise_loudness


def bs1770(audio, sample_rate):
    """LUFS of [C, L] from the text of ITU-R BS.1770-4: its 48 kHz filters, blocks of 0.4 s, both gates."""
    x = soxr.resample(audio.T, sample_rate, 48_000).T
    x = lfilter([1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585], x)
    x = lfilter([1, -2, 1], [1, -1.99004745483398, 0.99007225036621], x)
    starts = range(0, x.shape[1] - 19_200 + 1, 4_800)
    power = np.array([np.mean(x[:, s : s + 19_200] ** 2, axis=1).sum() for s in starts])
    power = power[-0.691 + 10 * np.log10(power) > -70]
    gate = -0.691 + 10 * np.log10(power.mean()) - 10
    return -0.691 + 10 * np.log10(power[-0.691 + 10 * np.log10(power) > gate].mean())


def sharp_voice(seconds=3.0):
    """Speech-like, with a click of full scale every half second: far more peak than loudness."""
    audio = 0.2 * speechlike(seconds)
    audio[0, RATE // 4 :: RATE // 2] = 0.99
    return audio


def peak_db(audio):
    return 20 * np.log10(np.abs(soxr.resample(audio.T, 1, 8, quality="VHQ")).max())


@pytest.mark.parametrize("length", [0, 1, 2, 3, 200, 441, 442, 443, 5000])
def test_fade_chunked_equals_whole(length):
    audio = tone(1)[:, 100 : 100 + length]
    whole = fade_edges(audio, RATE)
    for seed, largest in ((0, 3000), (1, 50)):
        fade = EdgeFade(RATE, channels=1)
        streamed = [fade.push(piece) for piece in pieces_of(audio, seed, largest)] + [fade.flush()]
        np.testing.assert_array_equal(np.concatenate(streamed, axis=1), whole)
    assert whole.shape == audio.shape
    assert whole.dtype == np.float32


def test_fades_end_in_zero_and_leave_the_middle_alone():
    audio = np.ones((2, 2000), np.float32)
    faded = fade_edges(audio, RATE, ms=5)
    fade = round(RATE * 0.005)
    np.testing.assert_array_equal(faded[:, [0, -1]], 0)
    np.testing.assert_array_equal(faded[:, fade:-fade], 1)
    np.testing.assert_array_equal(faded, faded[:, ::-1])
    assert (np.diff(faded[0, : fade + 1]) > 0).all()
    assert np.diff(faded[0]).max() < 0.01  # no step is left that could click
    np.testing.assert_array_equal(audio, 1)


def test_a_fade_of_no_length_changes_nothing():
    audio = tone(0.1)
    np.testing.assert_array_equal(fade_edges(audio, RATE, ms=0), audio)


def test_the_stream_holds_back_one_fade_only():
    fade = EdgeFade(RATE, channels=1)
    assert fade.push(tone(0.1)).shape[1] == 4410 - round(RATE * 0.005)


@pytest.mark.parametrize("fade_in", [False, True])
@pytest.mark.parametrize("fade_out", [False, True])
def test_an_edge_where_other_audio_follows_on_is_left_alone(fade_in, fade_out):
    audio = tone(0.1)
    fade = EdgeFade(RATE, 1, fade_in=fade_in, fade_out=fade_out)
    faded = np.concatenate([fade.push(audio[:, :100]), fade.push(audio[:, 100:]), fade.flush()], axis=1)
    both = fade_edges(audio, RATE)
    middle = audio.shape[1] // 2
    np.testing.assert_array_equal(faded[:, :middle], (both if fade_in else audio)[:, :middle])
    np.testing.assert_array_equal(faded[:, middle:], (both if fade_out else audio)[:, middle:])


def test_soft_limit_leaves_what_fits_and_bends_the_rest():
    audio = np.linspace(-3, 3, 60_001, dtype=np.float32)[np.newaxis]
    limited = soft_limit(audio)
    inside = np.abs(audio) <= KNEE
    np.testing.assert_array_equal(limited[inside], audio[inside])
    assert np.abs(limited).max() <= 1
    assert (np.diff(limited[0]) >= 0).all()
    assert limited.dtype == np.float32
    assert soft_limit(limited[:, 29_000:31_000]).shape == (1, 2000)


def test_true_peak_sees_between_the_samples():
    time = np.arange(4000)
    audio = np.sin(np.pi / 2 * time + np.pi / 4).astype(np.float32)[np.newaxis]  # every sample is ±0.707
    assert true_peak(audio)[1000:3000].max() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("sample_rate", [16_000, RATE])
def test_the_limiter_holds_the_true_peak_and_touches_nothing_far_from_it(sample_rate):
    quiet = tone(1.0, peak=0.2, sample_rate=sample_rate)
    audio = np.concatenate([quiet, 8 * quiet, quiet], axis=1)
    limited = limit_true_peak(audio, sample_rate, -1.0)
    assert peak_db(limited) == pytest.approx(-1.1, abs=0.1)
    assert limited.shape == audio.shape
    reach = round(0.025 * sample_rate)
    np.testing.assert_allclose(limited[:, : sample_rate - reach], quiet[:, :-reach], rtol=1e-6)
    np.testing.assert_allclose(limited[:, 2 * sample_rate + reach :], quiet[:, reach:], rtol=1e-6)


@pytest.mark.parametrize("length", [1, 2, 500, 881, 882, 883])
def test_the_limiter_takes_any_length(length):
    limited = limit_true_peak(np.full((2, length), 1.5, np.float32), RATE, -1.0)
    assert limited.shape == (2, length)
    assert np.abs(limited).max() <= 10 ** (-1 / 20)


@pytest.mark.parametrize("channels", [1, 2])
def test_measured_loudness_is_that_of_the_standard(channels):
    audio = np.concatenate([speechlike(3, seed=k) for k in range(channels)])
    assert measure_loudness(audio, RATE).lufs == pytest.approx(bs1770(audio, RATE), abs=0.1)
    assert measure_loudness(audio, RATE).true_peak_db == pytest.approx(peak_db(audio), abs=0.2)


@pytest.mark.parametrize("target_lufs", [-30.0, -23.0, -16.0])
def test_loudness_is_reached_by_one_gain_where_peaks_allow(target_lufs):
    audio = 0.3 * speechlike(3)
    normalised = normalise_loudness(audio, RATE, target_lufs)
    assert bs1770(normalised, RATE) == pytest.approx(target_lufs, abs=0.5)
    gain = normalised[0, 1000:2000] / audio[0, 1000:2000]
    np.testing.assert_allclose(gain, gain[0], rtol=1e-4)


def test_peaks_are_limited_where_the_gain_would_drive_them_over():
    audio = sharp_voice()
    normalised = normalise_loudness(audio, RATE, -16.0, true_peak_db=-1.0)
    assert bs1770(audio, RATE) < -25
    assert bs1770(normalised, RATE) == pytest.approx(-16, abs=0.5)
    assert peak_db(normalised) <= -0.9


def test_silence_and_very_short_audio_keep_their_loudness():
    for audio in (silence(2), silence(0), 1e-5 * tone(1), tone(0.39)):
        assert normalise_loudness(audio, RATE) is audio


@pytest.mark.parametrize("seconds", [0.45, 1.0])
def test_audio_just_long_enough_is_normalised(seconds):
    assert bs1770(normalise_loudness(tone(seconds), RATE, -20), RATE) == pytest.approx(-20, abs=0.5)
