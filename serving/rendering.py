"""Finished audio → the bytes a listener asked for: speed, sample rate, format. Knows no prediction."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr

from models.audio.encode import OPUS_RATE, AudioFormat, encode_stream
from models.audio.finish import FinishOptions, finish_stream
from models.audio.limiter import soft_limit
from models.request import Audio


@dataclass(frozen=True)
class Rendering:
    """speed_factor: 0.25–4, the pitch is kept. sample_rate: Hz; None: that of the audio."""

    output_format: AudioFormat
    speed_factor: float = 1.0
    sample_rate: int | None = None

    def untouched(self, made_rate: int) -> bool:
        """Whether 16-bit samples made at this rate leave as they are."""
        same = self.speed_factor == 1 and self.sample_rate in (None, made_rate)
        return same and self.output_format in ("pcm", "wav")

    def heard_rate(self, made_rate: int) -> int:
        """Hz of what leaves, of audio made at this rate."""
        return OPUS_RATE if self.output_format == "opus" else self.sample_rate or made_rate

    def render(self, pieces: Iterable[Audio], made_rate: int) -> Generator[bytes]:
        """Pieces [1, L] of one signal → bytes, as soon as they are there. Raises GenerationFailed without a sample.

        An encoder may be a piece behind, as FfmpegProcess.push says; at the end it gives all.
        """
        if self.speed_factor != 1:
            pieces = finish_stream(pieces, made_rate, FinishOptions(speed_factor=self.speed_factor))
        rate = self.sample_rate or made_rate
        if rate != made_rate:
            pieces = resample_stream(pieces, made_rate, rate)
        return encode_stream(pieces, rate, self.output_format)


def resample_stream(pieces: Iterable[Audio], made_rate: int, rate: int) -> Iterator[Audio]:
    """[C, L] pieces at another rate (soxr HQ), the same samples however they are cut. None passes ±1."""
    resampler: soxr.ResampleStream | None = None
    channels = 1
    for piece in pieces:
        channels = piece.shape[0]
        resampler = resampler or soxr.ResampleStream(made_rate, rate, channels, dtype="float32", quality="HQ")
        yield soft_limit(resampler.resample_chunk(piece.T).T)
    if resampler is not None:
        yield soft_limit(resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True).T)
