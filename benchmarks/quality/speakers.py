"""Pitch of a voice, and when each turn was spoken. Knows words and times, no model and no files."""

from collections.abc import Iterable, Sequence
from statistics import median

import librosa
import numpy as np

from benchmarks.quality.errors import align, normalise
from benchmarks.quality.judge import SAMPLE_RATE, Samples, Word

LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
FRAME_LENGTH, HOP_LENGTH = 1024, 256  # samples at SAMPLE_RATE; a frame holds nearly four periods of the lowest pitch
FEWEST_VOICED_FRAMES = 5

Span = tuple[float, float]  # seconds


def median_pitch(samples: Samples) -> float | None:
    """Hz of [L] samples at SAMPLE_RATE, over voiced frames; None where hardly any is."""
    if samples.size < FRAME_LENGTH or not samples.any():
        return None
    pitches, voiced, _ = librosa.pyin(
        samples,
        fmin=LOWEST_HZ,
        fmax=HIGHEST_HZ,
        sr=SAMPLE_RATE,
        frame_length=FRAME_LENGTH,
        hop_length=HOP_LENGTH,
    )
    heard = pitches[voiced]
    return float(np.median(heard)) if heard.size >= FEWEST_VOICED_FRAMES else None


def voice_pitches(pieces: Iterable[tuple[int, float | None]]) -> dict[int, float]:
    """Median pitch of each speaker, from (speaker, pitch) of pieces that one speaker says alone."""
    known = [(speaker, pitch) for speaker, pitch in pieces if pitch is not None]
    return {speaker: median(p for s, p in known if s == speaker) for speaker in sorted({s for s, _ in known})}


def turn_spans(turns: Sequence[str], words: Sequence[Word]) -> list[Span | None]:
    """When each turn was spoken: from its first to its last word that was heard. None for a turn of which none was.

    turns: the words of each turn. words: what was heard, with times.
    """
    owners = [number for number, text in enumerate(turns) for _ in normalise(text)]
    heard = [(part, word) for word in words for part in normalise(word.text)]
    spans: list[Span | None] = [None] * len(turns)
    for step in align([part for text in turns for part in normalise(text)], [part for part, _ in heard]):
        if not step.reference or not step.hypothesis:
            continue
        turn = owners[step.reference.start]
        start, end = heard[step.hypothesis.start][1].start, heard[step.hypothesis.stop - 1][1].end
        spans[turn] = (spans[turn][0] if spans[turn] else start, end)  # type: ignore[index]
    return spans


def turn_pieces(samples: Samples, turns: Sequence[str], words: Sequence[Word]) -> list[Samples]:
    """Each turn of [L] samples at SAMPLE_RATE; nothing of one of which no word was heard."""
    return [
        samples[:0] if span is None else samples[round(span[0] * SAMPLE_RATE) : round(span[1] * SAMPLE_RATE)]
        for span in turn_spans(turns, words)
    ]
