"""models/dia/take.py on synthetic sound: good takes pass, and each rule finds its fault."""

import numpy as np
import pytest

from models.dia.take import TakeFacts, judge, length_limit, passage_seed
from models.request import SEED_LIMIT

RATES = [16_000, 44_100]


def speech(seconds: float, sample_rate: int, seed: int = 0) -> np.ndarray:
    """Syllables of 0.15–0.3 s with gliding pitch and two moving resonances, a short gap after some: [L]."""
    rng = np.random.default_rng(seed)
    pieces, length, total = [], 0, round(seconds * sample_rate)
    while length < total:
        n = round(rng.uniform(0.15, 0.3) * sample_rate)
        t = np.arange(n) / sample_rate
        pitch = rng.uniform(90, 220) * np.exp(rng.uniform(-0.5, 0.5) * t)
        formants = rng.uniform(300, 900), rng.uniform(1000, 2600)
        harmonics = np.arange(1, 25)[:, None]
        gains = sum(np.exp(-(((pitch * harmonics - f) / 250) ** 2)) for f in formants)
        tone = (gains * np.sin(2 * np.pi * harmonics * np.cumsum(pitch) / sample_rate)).sum(axis=0)
        pieces.append(0.1 * tone * np.sin(np.pi * np.arange(n) / n) * rng.uniform(0.3, 1))
        pieces.append(np.zeros(round(rng.choice([0, 0.05, 0.3], p=[0.6, 0.3, 0.1]) * sample_rate)))
        length += n + len(pieces[-1])
    return np.concatenate(pieces)[:total]


def silence(seconds: float, sample_rate: int) -> np.ndarray:
    return np.zeros(round(seconds * sample_rate))


def steady(kind: str, seconds: float, sample_rate: int, level_db: float = -30.0) -> np.ndarray:
    n = round(seconds * sample_rate)
    t = np.arange(n) / sample_rate
    noise = np.random.default_rng(1).normal(size=n)
    sound = {
        "white noise": noise,
        "low noise": np.convolve(noise, np.hanning(sample_rate // 400), mode="same"),
        "tone": np.sin(2 * np.pi * 440 * t),
        "hum": sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 12)),
        "chord": sum(np.sin(2 * np.pi * f * t) for f in (220, 277.2, 329.6)),
    }[kind]
    return sound / sound.std() * 10 ** (level_db / 20)


def take(*parts: np.ndarray, sample_rate: int = 16_000, expected: float | None = None, ended: bool = True) -> TakeFacts:
    audio = np.concatenate(parts)[None].astype(np.float32)
    return TakeFacts(audio, sample_rate, audio.shape[1] / sample_rate if expected is None else expected, ended)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("seed", range(5))
def test_speech_that_ends_is_good(sample_rate, seed):
    assert judge(take(speech(6, sample_rate, seed), sample_rate=sample_rate)) is None


def test_speech_may_end_at_any_point():
    """Each stop inside speech is harder than a natural end; none may look like a steady tail."""
    audio = speech(8, 16_000)
    assert [judge(take(audio[:end])) for end in range(8_000, len(audio), 4_000)] == [None] * 30


def test_speech_in_a_noisy_room_is_good_to_its_end():
    audio = np.concatenate([speech(5, 16_000), silence(2, 16_000)])
    assert judge(take(audio + steady("white noise", 7, 16_000, -45))) is None


def test_silence_after_the_last_word_is_good():
    assert judge(take(speech(4, 16_000), silence(5, 16_000), expected=6)) is None


@pytest.mark.parametrize(("gain", "hiss_db"), [(1, -62), (0.5, -52), (4, -46)])
def test_hiss_that_is_faint_or_far_below_the_voice_is_good(gain, hiss_db):
    assert judge(take(gain * speech(4, 16_000), steady("white noise", 2, 16_000, hiss_db))) is None


def test_a_monotone_voice_is_good_because_its_vowels_change():
    """The level of each 50 ms is the same, the spectrum is not."""
    frames = speech(4, 16_000).reshape(-1, 800) + 1e-4 * np.random.default_rng(2).normal(size=(80, 800))
    assert judge(take((0.05 * frames / frames.std(axis=1, keepdims=True)).ravel())) is None


def test_both_channels_are_judged_together():
    audio = speech(4, 16_000)
    stereo = np.stack([audio, np.zeros_like(audio)]).astype(np.float32)
    assert judge(TakeFacts(stereo, 16_000, 4.0, True)) is None


def test_a_take_of_a_few_frames_is_too_short():
    assert judge(take(speech(0.05, 16_000), expected=6)) == "ended after 0.05 s of an expected 6 s"
    assert judge(take(speech(1.4, 16_000), expected=6)) == "ended after 1.4 s of an expected 6 s"
    assert judge(take(speech(1.6, 16_000), expected=6)) is None


def test_no_word_is_shorter_than_three_tenths_of_a_second():
    assert judge(take(speech(0.25, 16_000), expected=0.4)) == "ended after 0.25 s of an expected 0.4 s"


def test_no_samples_at_all_are_too_short():
    assert judge(take(np.zeros(0), expected=6)) == "ended after 0 s of an expected 6 s"


def test_a_take_that_was_stopped_has_no_end():
    assert judge(take(speech(6, 16_000), ended=False)) == "did not end within 6.0 s"


def test_a_take_that_ends_late_is_too_long():
    assert judge(take(speech(8.9, 16_000), expected=2)) is None
    assert judge(take(speech(9.2, 16_000), expected=2)) == "lasts 9.2 s, expected were 2.0 s"


def test_a_silent_take_is_found_also_under_a_constant_offset():
    hiss = steady("white noise", 4, 16_000, -70)
    assert judge(take(hiss)) == "is silent (-70 dBFS)"
    assert judge(take(hiss + 0.2)) == "is silent (-70 dBFS)"


def test_dead_air_inside_is_found_and_a_long_pause_is_not():
    before, after = speech(2, 16_000, 1), speech(2, 16_000, 2)
    assert judge(take(before, silence(3, 16_000), after)) is None
    assert judge(take(before, silence(6, 16_000), after)).startswith("is silent for 6.")


def test_dead_air_before_the_first_word_is_found():
    assert judge(take(silence(4, 16_000), speech(2, 16_000))) is None
    assert judge(take(silence(4.06, 16_000), speech(2, 16_000))) == "is silent for 4.0 s before its end"


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("kind", ["white noise", "low noise", "tone", "hum", "chord"])
def test_a_steady_tail_is_found(sample_rate, kind):
    audio = speech(4, sample_rate), silence(0.3, sample_rate), steady(kind, 2.5, sample_rate), silence(1, sample_rate)
    reason = judge(take(*audio, sample_rate=sample_rate))
    assert reason in {f"ends in {s} s of steady noise or tone" for s in ("2.3", "2.4", "2.5")}


def test_a_short_tail_passes():
    assert judge(take(speech(4, 16_000), steady("white noise", 1.0, 16_000))) is None


def test_a_take_of_nothing_but_noise_is_found():
    assert "steady noise" in judge(take(steady("white noise", 5, 16_000)))


def test_clipping_is_found_and_a_few_peaks_are_not():
    audio = speech(4, 16_000)
    assert judge(take(np.clip(audio / np.quantile(np.abs(audio), 0.98), -1, 1))) is None
    assert "is clipped in 10%" in judge(take(np.clip(audio / np.quantile(np.abs(audio), 0.9), -1, 1)))


def test_samples_that_are_no_numbers_are_found():
    """Every comparison with NaN is false, so without its own rule such a take would pass them all."""
    audio = speech(4, 16_000)
    audio[100] = np.nan
    assert judge(take(audio)) == "holds samples that are no numbers"


def test_the_first_take_has_the_seed_of_the_request():
    assert passage_seed(7, 0, 0) == 7


def test_seeds_of_all_passages_and_takes_differ_and_fit_32_bits():
    seeds = [passage_seed(SEED_LIMIT, p, t) for p in range(1024) for t in range(16)]
    assert len(set(seeds)) == len(seeds)
    assert 0 <= min(seeds) <= max(seeds) <= SEED_LIMIT


def test_a_seed_is_the_same_on_every_machine():
    assert passage_seed(1, 0, 1) == 0x9E3779BA
    assert passage_seed(1, 2, 3) == (1 + 2 * 0x85EBCA6B + 3 * 0x9E3779B9) % 2**32


def test_generation_stops_later_than_a_take_is_too_long():
    assert length_limit(2.0, 100.0) == 1200
    assert length_limit(0.5, 44_100 / 512) == 646
