"""What a listener understands: whisper-base, which knows neither how speech was made nor what it should say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import faster_whisper
import numpy as np
import numpy.typing as npt
import soxr

from models.listening.whisper import packaged_folder

SAMPLE_RATE = 16_000  # Hz; whisper's
BEAM_SIZE = 5
COMPUTE_TYPE = "float32"  # int8 takes 1.4 s for a sentence instead of 1.9 s, and hears a little less
# Above this, a transcript repeats itself: whisper's own sign of a decoder that runs in circles on noise, where its
# authors would raise the temperature. Such a piece counts as not understood, rather than as two hundred wrong words.
HIGHEST_COMPRESSION = 2.4
SILENCE_PEAK = 1e-3  # of full scale; whisper hears "You" in silence

Samples = npt.NDArray[np.float32]  # [L], mono


@dataclass(frozen=True)
class Word:
    """A word as it was heard, with the space before it, if any; and when, in seconds from the start."""

    text: str
    start: float
    end: float


class Listener(Protocol):
    """What the rest of the room wants of a judge."""

    def transcribe(self, audio: Samples, sample_rate: int) -> str: ...
    def words(self, audio: Samples, sample_rate: int) -> list[Word]: ...


class Judge:
    """English only and deterministic: beam search at temperature 0, no context from one segment to the next."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @classmethod
    def load(cls, *, cpu_threads: int = 1, folder: Path | None = None) -> Self:
        """The pinned model; `folder` is where it is put together. Raises WeightsError if its packages are missing."""
        return cls(
            faster_whisper.WhisperModel(
                str(packaged_folder(folder)), device="cpu", compute_type=COMPUTE_TYPE, cpu_threads=cpu_threads
            )
        )

    def transcribe(self, audio: Samples, sample_rate: int) -> str:
        """What is said in [L] or [1, L] samples at `sample_rate` Hz; "" for silence."""
        return " ".join(segment.text.strip() for segment in self._segments(audio, sample_rate, timed=False))

    def words(self, audio: Samples, sample_rate: int) -> list[Word]:
        """The same, word by word with times, which are good to about 0.2 s."""
        segments = self._segments(audio, sample_rate, timed=True)
        return [Word(w.word, float(w.start), float(w.end)) for s in segments for w in s.words or ()]

    def _segments(self, audio: Samples, sample_rate: int, *, timed: bool) -> Sequence[Any]:
        samples = mono(audio, sample_rate)
        if np.abs(samples).max(initial=0.0) < SILENCE_PEAK:
            return []
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=BEAM_SIZE,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=timed,
        )
        return [segment for segment in segments if segment.compression_ratio <= HIGHEST_COMPRESSION]


def mono(audio: Samples, sample_rate: int) -> Samples:
    """[L] or [1, L] at any rate → [L'] at SAMPLE_RATE."""
    samples = np.ascontiguousarray(audio, dtype=np.float32).reshape(-1)
    assert audio.size == audio.shape[-1], audio.shape
    return samples if sample_rate == SAMPLE_RATE else soxr.resample(samples, sample_rate, SAMPLE_RATE)
