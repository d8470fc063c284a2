"""The last stage of every answer: what a caller asked of the sound itself, applied to a stream of generated audio.

time-stretch → loudness → soft limit → edge fades. Knows no model and no door.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self, get_args

import numpy as np

from models.audio.effects import EdgeFade
from models.audio.encode import AudioFormat
from models.audio.limiter import soft_limit
from models.audio.loudness import normalise_loudness
from models.audio.stretch import TimeStretcher, check_speed_factor
from models.audio.write import write_audio
from models.errors import InvalidRequest
from models.request import Audio

QUIETEST_LUFS, LOUDEST_LUFS = -40.0, -10.0  # louder speech than that is made of limited peaks


@dataclass(frozen=True)
class FinishOptions:
    """What becomes of generated audio. Raises InvalidRequest for a value out of range.

    speed_factor: 0.25–4; 2 halves the duration, pitch is kept.
    loudness_lufs: −40 to −10, with true peaks up to −1 dBTP; None leaves the loudness as it is.
    """

    speed_factor: float = 1.0
    loudness_lufs: float | None = None
    output_format: AudioFormat = "wav"

    def __post_init__(self) -> None:
        check_speed_factor(self.speed_factor)
        if self.loudness_lufs is not None and not QUIETEST_LUFS <= self.loudness_lufs <= LOUDEST_LUFS:
            raise InvalidRequest(
                "loudness_lufs",
                f"is {self.loudness_lufs}; it must lie between {QUIETEST_LUFS:g} and {LOUDEST_LUFS:g}.",
            )
        if self.output_format not in get_args(AudioFormat):
            raise InvalidRequest(
                "output_format", f"is {self.output_format!r}; choose one of {', '.join(get_args(AudioFormat))}."
            )

    @property
    def needs_whole(self) -> bool:
        """Whether no sample can leave before the last one came: loudness is a property of the whole."""
        return self.loudness_lufs is not None


class Finisher:
    """A stream of audio, finished: push(), …, flush(); then close(), or use it in a `with`.

    What comes out is the same however the input is cut. No sample passes ±1: soft_limit bends those above ±0.95,
    which tanh-limited codecs seldom reach and stretching seldom makes. Where `options.needs_whole`, push() keeps
    everything and flush() returns it all; a door that must stream refuses such options.
    """

    def __init__(self, options: FinishOptions, sample_rate: int, channels: int) -> None:
        self._options = options
        self._sample_rate = sample_rate
        self._whole: list[Audio] = []
        self._none = np.zeros((channels, 0), np.float32)
        self._fade = EdgeFade(sample_rate, channels)
        self._stretcher = TimeStretcher(options.speed_factor, sample_rate, channels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def push(self, audio: Audio) -> Audio:
        """[C, L] in; returns [C, any], what is finished."""
        return self._after_stretch(self._stretcher.push(audio))

    def flush(self) -> Audio:
        """The rest, [C, any]. Nothing can be pushed afterwards."""
        rest = self._after_stretch(self._stretcher.flush())
        if self._options.loudness_lufs is not None:
            whole = np.concatenate(self._whole, axis=1)
            self._whole.clear()
            rest = self._polish(normalise_loudness(whole, self._sample_rate, self._options.loudness_lufs))
        return np.concatenate([rest, self._fade.flush()], axis=1)

    def close(self) -> None:
        """End the process behind the time-stretch. May be called twice."""
        self._stretcher.close()

    def _after_stretch(self, audio: Audio) -> Audio:
        if self._options.needs_whole:
            self._whole.append(audio)
            return self._none
        return self._polish(audio)

    def _polish(self, audio: Audio) -> Audio:
        return self._fade.push(soft_limit(audio))


def finish_stream(chunks: Iterable[Audio], sample_rate: int, options: FinishOptions) -> Iterator[Audio]:
    """Chunks [C, L], finished; yields chunks of at least one sample. Close the iterator to stop early."""
    finisher: Finisher | None = None
    try:
        for chunk in chunks:
            finisher = finisher or Finisher(options, sample_rate, chunk.shape[0])
            if (audio := finisher.push(chunk)).shape[1]:
                yield audio
        if finisher is not None and (audio := finisher.flush()).shape[1]:
            yield audio
    finally:
        if finisher is not None:
            finisher.close()


def finish_to_file(chunks: Iterable[Audio], path: Path, sample_rate: int, options: FinishOptions) -> float:
    """Finish chunks [C, L] into `path`; returns the seconds written. No file is left behind by a failure.

    Raises GenerationFailed where no chunk has a sample.
    """
    samples = 0

    def counted() -> Iterator[Audio]:
        nonlocal samples
        for audio in finish_stream(chunks, sample_rate, options):
            samples += audio.shape[1]
            yield audio

    write_audio(path, counted(), sample_rate, options.output_format)
    return samples / sample_rate
