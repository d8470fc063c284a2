"""models/audio/silence.py: what is voice, what is a pause, and a common level."""

import numpy as np
import pytest
from audio_fixtures import RATE, silence, speechlike, tone

from models.audio.silence import cut_at_pause, is_silent, level, trim_silence, voiced_seconds


def noise(seconds, dbfs):
    random = np.random.default_rng(0)
    return (10 ** (dbfs / 20) * random.standard_normal((1, round(seconds * RATE)))).astype(np.float32)


def test_silence_faint_noise_and_an_offset_are_silent():
    for audio in (silence(1), silence(0), noise(1, -70), silence(1) - 0.3):
        assert is_silent(audio)


def test_a_faint_voice_and_a_negative_one_are_not_silent():
    assert not is_silent(tone(1, peak=0.01))
    assert not is_silent(-np.abs(tone(1)))
    assert not is_silent(np.concatenate([silence(5), tone(0.1), silence(5)], axis=1))


def test_trim_keeps_the_voice_and_a_margin():
    audio = np.concatenate([silence(1.0), tone(0.5), silence(0.7)], axis=1)
    trimmed = trim_silence(audio, RATE)
    first = int(np.flatnonzero(trimmed)[0])
    assert first / RATE == pytest.approx(0.05, abs=0.03)
    assert trimmed.shape[1] / RATE == pytest.approx(0.6, abs=0.06)
    assert np.count_nonzero(trimmed) == np.count_nonzero(audio)


def test_trim_takes_background_noise_for_silence():
    audio = noise(2.5, -65)
    audio[:, RATE : RATE + RATE // 2] += tone(0.5)
    assert trim_silence(audio, RATE).shape[1] / RATE == pytest.approx(0.6, abs=0.08)


def test_trim_leaves_what_has_no_silence_and_empties_what_is_silent():
    assert trim_silence(tone(0.5), RATE).shape == (1, RATE // 2)
    assert trim_silence(silence(1), RATE).shape == (1, 0)
    assert trim_silence(silence(0), RATE).shape == (1, 0)
    assert trim_silence(noise(1, -66), RATE).shape == (1, 0)  # not loudest-relative alone: the floor holds


def test_trim_keeps_both_channels_in_step():
    left = np.concatenate([silence(1), tone(0.5), silence(1)], axis=1)
    stereo = np.concatenate([left, np.roll(left, 4410, axis=1)])
    trimmed = trim_silence(stereo, RATE)
    np.testing.assert_array_equal(trimmed[0, :-4410], trimmed[1, 4410:])


def test_voiced_seconds_leaves_pauses_out():
    audio = np.concatenate([tone(0.5), silence(1), tone(0.7), silence(2)], axis=1)
    assert voiced_seconds(audio, RATE) == pytest.approx(1.2, abs=0.06)
    assert voiced_seconds(silence(1), RATE) == 0
    assert voiced_seconds(silence(0), RATE) == 0
    assert voiced_seconds(tone(0.01), RATE) == pytest.approx(0.01)


def test_short_audio_is_not_cut():
    audio = tone(2)
    assert cut_at_pause(audio, RATE, 2.0) is audio


def test_the_cut_lies_in_the_last_pause_before_the_limit():
    parts = [tone(3), silence(0.3), tone(3.7), silence(0.4), tone(1), silence(0.4), tone(4)]  # pauses at 3, 7, 8.4
    audio = np.concatenate(parts, axis=1)
    for limit, end in ((10, 8.4), (8.2, 7.0), (11, 8.4)):
        cut = cut_at_pause(audio, RATE, limit)
        assert cut.shape[1] / RATE == pytest.approx(end + 0.15, abs=0.03)
        np.testing.assert_array_equal(cut, audio[:, : cut.shape[1]])


def test_a_pause_that_reaches_over_the_limit_is_used():
    audio = np.concatenate([tone(4.9), silence(1), tone(2)], axis=1)
    assert cut_at_pause(audio, RATE, 5.0).shape[1] / RATE == pytest.approx(5.0, abs=0.001)


def test_a_pause_with_room_noise_is_a_pause():
    audio = np.concatenate([tone(4), silence(0.4), tone(4)], axis=1)
    cut = cut_at_pause(audio + noise(8.4, -45), RATE, 5.0)
    assert cut.shape[1] / RATE == pytest.approx(4.15, abs=0.03)


def test_the_gaps_of_stops_and_early_pauses_are_no_place_to_cut():
    audio = np.concatenate([tone(2), silence(0.5), tone(2), silence(0.08), tone(4)], axis=1)
    cut = cut_at_pause(audio, RATE, 5.0)
    assert cut.shape[1] == 5 * RATE
    assert cut[0, -1] == 0
    np.testing.assert_array_equal(cut[:, :-441], audio[:, : 5 * RATE - 441])
    assert audio[0, 5 * RATE - 2] != cut[0, -2]  # a copy was faded, the caller's audio stays


@pytest.mark.parametrize("gain", [0.01, 0.1, 1.0])
def test_prompts_of_any_loudness_get_one_level(gain):
    voice = speechlike(2)
    levels = [level(np.concatenate([voice * gain, silence(n)], axis=1)) for n in (0.1, 3)]
    reference = level(voice)
    for levelled in levels:
        np.testing.assert_allclose(levelled[:, : voice.shape[1]], reference, rtol=0.02, atol=1e-4)
        assert levelled.dtype == np.float32


def test_level_sets_the_rms_of_the_voice():
    assert 20 * np.log10(np.sqrt(np.mean(level(tone(2)) ** 2))) == pytest.approx(-20, abs=0.2)


def test_a_peak_holds_the_level_down():
    audio = tone(2, peak=0.05)
    audio[0, 5000] = 0.9
    assert np.abs(level(audio)).max() == pytest.approx(10 ** (-1 / 20), rel=1e-4)


def test_silence_is_not_levelled():
    audio = noise(1, -70)
    assert level(audio) is audio
