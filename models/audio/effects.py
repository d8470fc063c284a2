"""Edges: short fades against the clicks that a sudden start or end makes.

Works on any float32 [C, L]; knows neither loudness nor tempo.
"""

import numpy as np
import numpy.typing as npt

from models.request import Audio


class EdgeFade:
    """Fades the first and last `ms` milliseconds of a stream: push(), …, flush(). Holds back that much, no more.

    The curve is a raised cosine; the first and the last sample become 0. Audio shorter than both fades together
    gets fades of half its length. An edge where other audio follows on can be left alone.
    """

    def __init__(
        self, sample_rate: int, channels: int, ms: float = 5, *, fade_in: bool = True, fade_out: bool = True
    ) -> None:
        self._length = round(sample_rate * ms / 1000)  # samples of a fade
        self._held = np.zeros((channels, 0), np.float32)
        self._begun = not fade_in
        self._fade_out = fade_out

    def push(self, audio: Audio) -> Audio:
        """[C, L] in; returns [C, any], what can no longer belong to the end."""
        self._held = np.concatenate([self._held, audio], axis=1)
        if not self._begun:
            if self._held.shape[1] < 2 * self._length:
                return self._held[:, :0]
            self._held = _fade_in(self._held, self._length)
            self._begun = True
        size = max(0, self._held.shape[1] - (self._length if self._fade_out else 0))
        ready, self._held = self._held[:, :size], self._held[:, size:]
        return ready

    def flush(self) -> Audio:
        """The rest, [C, any], faded out."""
        length = self._length
        if not self._begun:
            length = min(length, self._held.shape[1] // 2)
            self._held = _fade_in(self._held, length)
        rest, self._held = self._held, self._held[:, :0]
        return _fade_out(rest, min(length, rest.shape[1])) if self._fade_out else rest


def fade_edges(audio: Audio, sample_rate: int, ms: float = 5) -> Audio:
    """Fade the first and last `ms` milliseconds of [C, L]; EdgeFade's stream, collected."""
    fade = EdgeFade(sample_rate, audio.shape[0], ms)
    return np.concatenate([fade.push(audio), fade.flush()], axis=1)


def _rise(length: int) -> npt.NDArray[np.float32]:
    """sin² from 0 up; the sample after the last would be 1."""
    return (np.sin(np.pi / 2 * np.arange(length) / max(length, 1)) ** 2).astype(np.float32)


def _fade_in(audio: Audio, length: int) -> Audio:
    return np.concatenate([audio[:, :length] * _rise(length), audio[:, length:]], axis=1)


def _fade_out(audio: Audio, length: int) -> Audio:
    return _fade_in(audio[:, ::-1], length)[:, ::-1]
