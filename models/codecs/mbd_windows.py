"""Windows over long audio: a network looks at one after the other, and what it says is faded from each to the next.

Where two windows overlap, the earlier fades out linearly in the middle half of the overlap while the later fades in.
The outer quarters are context: there a window near its end, where the network misses what lies beyond, is not used.
Knows frames; knows no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """Frames [start, end) of the whole."""

    start: int
    end: int

    def samples(self, hop_length: int) -> slice:
        return slice(self.start * hop_length, self.end * hop_length)


def windows_over(frames: int, *, longest: int, overlap: int, step: int = 1) -> list[Window]:
    """One window if `frames` are at most `longest`; else as few as there can be, nearly equally long, each of them
    overlapping the next by `overlap` frames and all beginning at multiples of `step`.

    `overlap` and `longest` are multiples of `step` too, and longest at least 3 · overlap.
    """
    assert overlap % step == longest % step == 0, (longest, overlap, step)
    assert longest >= 3 * overlap, (longest, overlap)
    if frames <= longest:
        return [Window(0, frames)]
    count = -(-(frames - overlap) // (longest - overlap))
    hop = -(-(frames - overlap) // (count * step)) * step
    return [Window(start, min(start + hop + overlap, frames)) for start in range(0, frames - overlap, hop)]


def fades(windows: Sequence[Window], overlap: int, hop_length: int) -> list[Tensor]:
    """How much each window counts at each of its samples, [its samples]; together 1 everywhere."""
    ramp = _ramp(overlap * hop_length)
    faded = []
    for i, window in enumerate(windows):
        fade = torch.ones((window.end - window.start) * hop_length)
        if i > 0:
            fade[: len(ramp)] *= ramp
        if i + 1 < len(windows):
            fade[len(fade) - len(ramp) :] *= 1 - ramp
        faded.append(fade)
    return faded


def _ramp(samples: int) -> Tensor:
    """From 0 to 1 in the middle half."""
    quarter = samples // 4
    return ((torch.arange(samples) - quarter + 0.5) / (samples - 2 * quarter)).clamp(0, 1)
