"""Pitch on tones, turns on words with times."""

import numpy as np
import pytest

from benchmarks.quality.judge import SAMPLE_RATE, Word
from benchmarks.quality.speakers import median_pitch, turn_pieces, turn_spans, voice_pitches


def voiced(hertz: float, seconds: float) -> np.ndarray:
    """A buzz with the harmonics of a voice, [L]."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 8)).astype(np.float32) * 0.2


def spoken(text: str, start: float, end: float) -> list[Word]:
    """Words in equal parts of a stretch of time."""
    parts = text.split()
    edges = np.linspace(start, end, len(parts) + 1)
    return [Word(f" {part}", float(a), float(b)) for part, a, b in zip(parts, edges, edges[1:], strict=False)]


@pytest.mark.parametrize("hertz", [85.0, 120.0, 210.0, 300.0])
def test_the_pitch_of_a_buzz_is_its_own(hertz: float) -> None:
    assert median_pitch(voiced(hertz, 1.0)) == pytest.approx(hertz, rel=0.02)


def test_pauses_and_noise_between_do_not_move_the_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, SAMPLE_RATE).astype(np.float32)
    audio = np.concatenate([voiced(150, 0.6), np.zeros(SAMPLE_RATE, np.float32), noise, voiced(150, 0.6)])
    assert median_pitch(audio) == pytest.approx(150, rel=0.02)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 1.0])
def test_silence_has_no_pitch(seconds: float) -> None:
    assert median_pitch(np.zeros(round(seconds * SAMPLE_RATE), np.float32)) is None


def test_a_voice_is_the_median_of_its_own_pieces() -> None:
    assert voice_pitches([(2, 200.0), (1, 100.0), (1, 110.0), (1, 400.0), (2, None)]) == {1: 110.0, 2: 200.0}


def test_turns_are_found_where_their_words_were_heard() -> None:
    words = spoken("did you find it", 0.2, 1.2) + spoken("yes I did", 2.0, 3.0)
    assert turn_spans(["Did you find it?", "Yes, I did!"], words) == [(0.2, 1.2), (2.0, 3.0)]


def test_turns_are_found_in_spite_of_misheard_and_missing_words() -> None:
    words = spoken("did blue kind it", 0.0, 1.0) + spoken("I did not", 2.0, 3.0)
    first, second = turn_spans(["Did you find it?", "Yes, I did!"], words)
    assert first == (0.0, 1.0)
    assert second is not None
    assert second[0] == pytest.approx(2.0)


def test_a_turn_of_which_nothing_was_heard_has_no_place() -> None:
    assert turn_spans(["Hello there.", "Goodbye."], spoken("hello there", 0.0, 1.0)) == [(0.0, 1.0), None]


def test_each_turn_is_its_own_stretch() -> None:
    audio = np.concatenate([voiced(110, 1.0), np.zeros(SAMPLE_RATE // 4, np.float32), voiced(220, 1.0)])
    words = spoken("how are you today", 0.0, 1.0) + spoken("very well thanks", 1.25, 2.25)
    low, high, unheard = turn_pieces(audio, ["How are you today?", "Very well, thanks.", "Goodbye."], words)
    assert median_pitch(low) == pytest.approx(110, rel=0.03)
    assert median_pitch(high) == pytest.approx(220, rel=0.03)
    assert len(unheard) == 0
