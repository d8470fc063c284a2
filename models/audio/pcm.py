"""Samples as raw bytes, interleaved: float32 and 16-bit, little-endian. Knows no container."""

from typing import Any

import ffmpeg
import numpy as np

from models.request import Audio

PCM16_FULL_SCALE = 32767  # both signs, so that ±1 has the same size


def float_bytes(audio: Audio) -> bytes:
    """float32 [C, L] → L·C little-endian floats, sample after sample."""
    return audio.T.astype("<f4").tobytes()


def pcm16_bytes(audio: Audio) -> bytes:
    """float32 [C, L] within ±1 → L·C little-endian 16-bit integers, rounded to the nearest, no dither."""
    return np.rint(audio.T * PCM16_FULL_SCALE).astype("<i2").tobytes()


class FloatParser:
    """The inverse of float_bytes for a stream: pieces may end anywhere, within a sample too."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._rest = b""

    def push(self, piece: bytes) -> Audio:
        """The samples that `piece` completes, [C, L]; L may be 0."""
        data = self._rest + piece
        size = len(data) - len(data) % (4 * self._channels)
        self._rest = data[size:]
        return np.frombuffer(data[:size], "<f4").reshape(-1, self._channels).T.astype(np.float32)


def pcm_input(sample_rate: int, channels: int, sample_format: str = "f32le") -> Any:
    """ffmpeg-python's input for raw samples on stdin, without the probing that would hold them back."""
    return ffmpeg.input("pipe:0", f=sample_format, ar=sample_rate, ac=channels, probesize=32, analyzeduration=0)
