"""Judged takes → figures. Shares and rates are fractions with the counts they come from; knows no audio."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.quality.errors import LastWord
from benchmarks.quality.hearing import Heard
from benchmarks.quality.speakers import voice_pitches
from benchmarks.quality.timbre import Voices

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # per cent

_FLAWED_TAKE = re.compile(r"passage \d+, take \d+: ")  # the note that a request leaves on a take it found bad


def word_errors(heard: Sequence[Heard]) -> dict[str, Any]:
    """Rate, its 95 % interval over lines, and the kinds of errors."""
    words = sum(one.errors.words for one in heard)
    return {
        "lines": len(heard),
        "words": words,
        "wer": round(sum(one.errors.total for one in heard) / words, 4),
        "wer_95": bootstrap([one.errors.total for one in heard], [one.errors.words for one in heard]),
        "substitutions": sum(one.errors.substitutions for one in heard),
        "deletions": sum(one.errors.deletions for one in heard),
        "insertions": sum(one.errors.insertions for one in heard),
        "lines_without_error": sum(1 for one in heard if one.errors.total == 0),
    }


def bootstrap(errors: Sequence[int], words: Sequence[int]) -> list[float]:
    """95 % interval of Σ errors / Σ words, lines drawn anew with replacement; the same for the same figures."""
    lines = np.random.default_rng(0).integers(len(words), size=(RESAMPLES, len(words)))
    rates = np.asarray(errors)[lines].sum(axis=1) / np.asarray(words)[lines].sum(axis=1)
    return [round(float(rate), 4) for rate in np.percentile(rates, INTERVAL)]


def list_figures(heard: Sequence[Heard]) -> dict[str, Any]:
    """All that one list says by itself."""
    by_speaker = {
        f"S{speaker}": word_errors(theirs)["wer"]
        for speaker in (1, 2)
        if (theirs := [one for one in heard if one.line.speaker == speaker])
    }
    return {
        **word_errors(heard),
        "wer_by_speaker": by_speaker,
        "complete": completeness(heard),
        "failures": Counter(one.take.failure for one in heard if one.take.failure is not None),
        "retaken": sum(1 for one in heard if any(_FLAWED_TAKE.match(note) for note in one.take.notes)),
    }


def completeness(heard: Sequence[Heard]) -> dict[str, Any]:
    """Takes that ended by themselves, right after the last word, said once; and what became of that word."""
    return {
        **share(one.complete for one in heard),
        "ended": None if all(one.take.ended is None for one in heard) else sum(1 for one in heard if one.take.ended),
        "last_word": {str(fate): sum(1 for one in heard if one.errors.last_word is fate) for fate in LastWord},
    }


def pitches_of(heard: Sequence[Heard]) -> dict[int, float]:
    """Median pitch of each speaker over takes of one turn."""
    return voice_pitches((one.line.turns[0][0], one.pitch) for one in heard)


def voices_of(heard: Sequence[Heard]) -> Voices | None:
    """Both voices as they sound in takes of one turn; None where there are too few."""
    return Voices.of((one.line.turns[0][0], one.timbres[0]) for one in heard)


def separation(heard: Sequence[Heard], voices: Voices) -> dict[str, Any]:
    """Dialogues, and turns of them, that have the voice of the speaker whom the script names."""
    turns = [turns_right(one, voices) for one in heard]
    return {**share(all(one) for one in turns), "turns": share(right for one in turns for right in one)}


def turns_right(heard: Heard, voices: Voices) -> list[bool]:
    """For each turn, whether it was heard and sounds most like its own speaker."""
    pairs = zip(heard.line.turns, heard.timbres, strict=True)
    return [timbre is not None and voices.nearest(timbre) == speaker for (speaker, _), timbre in pairs]


def speed(heard: Sequence[Heard], jobs: int, run_seconds: float) -> dict[str, Any] | None:
    """Seconds of audio a second, from the raw inputs to the closed file; the audio as it is before the time-stretch."""
    takes = [one.take for one in heard if one.take.wall_seconds]
    if not takes:
        return None
    rates = [take.audio_seconds / take.wall_seconds for take in takes]
    return {
        "jobs": jobs,
        "median_of_takes": round(median(rates), 2),
        "slowest_tenth": round(float(np.percentile(rates, 10)), 2),
        "whole_run": round(sum(take.audio_seconds for take in takes) / run_seconds, 2),
        "audio_seconds": round(sum(take.audio_seconds for take in takes), 1),
    }


def latency(seconds: Sequence[float]) -> dict[str, Any]:
    return {
        "requests": len(seconds),
        "median": round(median(seconds), 3),
        "p95": round(float(np.percentile(seconds, 95)), 3),
    }


def share(outcomes: Any) -> dict[str, Any]:
    """{"share", "right", "of"} of an iterable of truth values."""
    known = list(outcomes)
    return {"share": round(sum(known) / len(known), 4) if known else None, "right": sum(known), "of": len(known)}
