"""What a teacher makes of a text: audio on the frame grid and the exact end of every phone. Knows no voice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from training.frames import FRAME, SAMPLE_RATE
from training.phones import PAUSES, Phone, phones_of

LEAD, TAIL = 4, 8  # frames kept before the first and after the last audible one
AUDIBLE = 0.004  # of the loudest sample
BETWEEN = 0.28  # seconds between the sentences of one text
Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """One text as a teacher reads it: audio float32 [frames * FRAME] and each phone with the frame it ends before."""

    audio: Audio
    phones: tuple[tuple[str, int], ...]


class Teacher(Protocol):
    """A voice that reads phones: audio at its own rate, and for each phone where it ends, in seconds."""

    rate: int
    gain: float

    def say(self, phones: Sequence[Phone]) -> tuple[Audio, list[float]]: ...


def read(teacher: Teacher, text: str) -> Reading:
    """The text in the teacher's voice, from shortly before its first sound to shortly after its last one."""
    pieces: list[Audio] = []
    ends: list[tuple[str, float]] = []
    seconds = 0.0
    for phones in phones_of(text):
        if pieces:
            pieces.append(np.zeros(round(BETWEEN * teacher.rate), np.float32))
            seconds += BETWEEN
            ends.append((" ", seconds))
        audio, phone_ends = teacher.say(phones)
        ends += [(phone.name, seconds + end) for phone, end in zip(phones, phone_ends, strict=True)]
        pieces.append(audio)
        seconds += len(audio) / teacher.rate
    audio = soxr.resample(np.concatenate(pieces), teacher.rate, SAMPLE_RATE) * teacher.gain
    return _framed(audio.astype(np.float32), [(name, round(end * SAMPLE_RATE / FRAME)) for name, end in ends])


def _framed(audio: Audio, phones: list[tuple[str, int]]) -> Reading:
    """Whole frames, the silence around the words cut to LEAD and TAIL.

    A teacher may count silence as part of the first and last sound; here these begin and end where they are heard.
    """
    frames = len(audio) // FRAME
    level = np.abs(audio[: frames * FRAME]).reshape(frames, FRAME).max(axis=1)
    heard = np.flatnonzero(level > AUDIBLE * level.max())
    first, last = max(0, int(heard[0]) - LEAD), min(frames, int(heard[-1]) + 1 + TAIL)
    sounds = [i for i, (name, _) in enumerate(phones) if name not in PAUSES]
    begin = [(" ", int(heard[0]))] if sounds[0] == 0 else []
    opening = int(heard[0]) if begin else 0
    ends = [(name, min(max(end, opening), int(heard[-1]) + 1)) for name, end in phones[: sounds[-1] + 1]]
    closing = phones[sounds[-1] + 1][0] if sounds[-1] + 1 < len(phones) else " "
    kept = [(name, end - first) for name, end in (*begin, *ends, (closing, last)) if end > first]
    return Reading(audio[first * FRAME : last * FRAME], tuple(kept))
