"""What a model makes → samples as the wire wants them, at another speed if that is wished. Knows no model."""

import math
from contextlib import ExitStack
from typing import Self

import numpy as np
import soxr

from models.audio.finish import Finisher, FinishOptions
from models.audio.limiter import soft_limit
from models.request import Audio
from serving.realtime.audio_formats import Samples, to_samples


class WireRendering:
    """Of one order; the same samples however what was made is cut. Use it in a `with`.

    is_cut: there was more than the limit lets through, and the rest is of no use.
    """

    def __init__(self, made_rate: int, wire_rate: int, speed: float, most_seconds: float = math.inf) -> None:
        """Rates in Hz. speed: 0.25–4, the pitch is kept. most_seconds: of what was made, at its own speed."""
        self._left = made_rate * most_seconds + 0.5  # whole samples, rounded
        self.is_cut = False
        # At its own speed it is not finished: fades at its edges would be heard where one response continues another.
        options = FinishOptions(speed_factor=speed)
        self._finisher = Finisher(options, made_rate, 1) if speed != 1 else None
        self._resampler = soxr.ResampleStream(made_rate, wire_rate, 1, dtype="float32", quality="HQ")
        self._closing = ExitStack()
        if self._finisher is not None:
            self._closing.callback(self._finisher.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.close()

    def push(self, audio: Audio) -> Samples:
        """[C, L] → [M]"""
        self.is_cut |= audio.shape[1] > self._left
        audio = audio[:, : int(self._left)] if self.is_cut else audio
        self._left -= audio.shape[1]
        mono = audio.mean(axis=0, keepdims=True) if audio.shape[0] > 1 else audio
        return self._wired(self._finisher.push(mono) if self._finisher is not None else mono)

    def flush(self) -> Samples:
        rest = self._finisher.flush() if self._finisher is not None else np.zeros((1, 0), np.float32)
        return self._wired(rest, last=True)

    def _wired(self, audio: Audio, *, last: bool = False) -> Samples:
        return to_samples(soft_limit(self._resampler.resample_chunk(audio[0], last=last)[np.newaxis])[0])
