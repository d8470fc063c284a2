"""A take and what the judge made of it: words, errors, pitch, timbre of each turn."""

from dataclasses import dataclass
from typing import Any

import soundfile

from benchmarks.quality.errors import WordErrors, count_errors
from benchmarks.quality.judge import SAMPLE_RATE, Listener, mono
from benchmarks.quality.lines import Line
from benchmarks.quality.speakers import median_pitch, turn_pieces
from benchmarks.quality.synthesis import Take
from benchmarks.quality.timbre import Timbre, timbre


@dataclass(frozen=True)
class Heard:
    """One judged take. A take that failed counts as silence."""

    take: Take
    transcript: str
    errors: WordErrors
    pitch: float | None  # Hz, of a take of one turn
    timbres: tuple[Timbre | None, ...]  # one a turn

    @property
    def line(self) -> Line:
        return self.take.line

    @property
    def complete(self) -> bool:
        """The model did not have to be stopped, and stopped after the last word, said once, be it misheard."""
        return self.take.ended is not False and self.errors.last_word.there

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.line.name,
            "script": self.line.script,
            "heard": self.transcript,
            "words": self.errors.words,
            "errors": self.errors.total,
            "last_word": self.errors.last_word,
            "ended": self.take.ended,
            "pitch_hz": self.pitch and round(self.pitch, 1),
            "seconds": round(self.take.audio_seconds, 2),
            "notes": list(self.take.notes),
            "failure": self.take.failure,
        }


def hear(take: Take, judge: Listener) -> Heard:
    """Judge a take's file."""
    line = take.line
    if take.path is None:
        return Heard(take, "", count_errors(line.words, ""), None, (None,) * len(line.turns))
    audio, sample_rate = soundfile.read(take.path, dtype="float32", always_2d=True)
    samples = mono(audio.mean(axis=1), sample_rate)
    if len(line.turns) == 1:
        transcript = judge.transcribe(samples, SAMPLE_RATE)
        pitch, pieces = median_pitch(samples), [samples]
    else:
        words = judge.words(samples, SAMPLE_RATE)
        transcript = "".join(word.text for word in words).strip()
        pitch, pieces = None, turn_pieces(samples, [text for _, text in line.turns], words)
    return Heard(take, transcript, count_errors(line.words, transcript), pitch, tuple(map(timbre, pieces)))
