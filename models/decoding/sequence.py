"""One autoregressive run as its owner sees it: what goes in, and the frames that have come out so far.

Lives on the host and knows no model. A decoder fills it row by row; whoever started it reads aligned frames.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models.request import SamplingParams

if TYPE_CHECKING:
    import torch


class CodeSequence:
    """A prefix of known codes, and the frames that a decoder adds to it.

    conditioning: what the decoder is to follow, in the words of its family: ids of a text, states of an encoder.
    prompt: int64 [K, T] frames that come before the new ones.
    max_frames: the run ends there if it has not ended by itself.
    generator: what codes are drawn with, where that goes on from a run before; without one it begins at sampling.seed.
    """

    def __init__(
        self,
        conditioning: Any,
        prompt: np.ndarray,
        sampling: SamplingParams,
        max_frames: int,
        delays: tuple[int, ...],
        generator: "torch.Generator | None" = None,
    ) -> None:
        K, T = prompt.shape
        assert len(delays) == K, (K, delays)
        assert max_frames > 0, max_frames
        self.conditioning = conditioning
        self.prompt = prompt
        self.sampling = sampling
        self.max_frames = max_frames
        self.delays = delays
        self.generator = generator
        self.first_row = T + 1  # row of codebook 0 in which the first new frame stands
        self.ended_by_itself = False
        self._rows = np.full((K, self.limit_row + max(delays) + 1), -1, dtype=np.int64)
        self._known = self.first_row
        self._end: int | None = None

    @property
    def limit_row(self) -> int:
        """Row at which the end is forced."""
        return self.first_row + self.max_frames

    @property
    def rows_needed(self) -> int:
        """Positions that the decoder reads at most: every row but the last one written."""
        return self.limit_row + max(self.delays)

    def add_row(self, codes: np.ndarray, end: int | None) -> None:
        """Take the next row [K]. `end` is the row at which codebook 0 ended, once that is known."""
        if self.done:  # a decoder that reads back late may hand over rows past the end
            return
        self._rows[:, self._known] = codes
        self._known += 1
        if end is not None and self._end is None:
            self._end = end
            self.ended_by_itself = end < self.limit_row

    @property
    def done(self) -> bool:
        """True once the last codebook of the last frame is there."""
        return self._end is not None and self._known >= self._end + max(self.delays)

    @property
    def frames(self) -> int:
        """New frames of which every codebook is known."""
        known = self._known - self.first_row - max(self.delays)
        most = self.max_frames if self._end is None else self._end - self.first_row
        return max(0, min(known, most))

    def codes(self, start: int, stop: int) -> np.ndarray:
        """Aligned codes of new frames start … stop: int64 [K, stop - start]."""
        assert 0 <= start <= stop <= self.frames, (start, stop, self.frames)
        offset = self.first_row
        return np.stack([self._rows[k, offset + start + d : offset + stop + d] for k, d in enumerate(self.delays)])


@dataclass(frozen=True, eq=False)
class Wait:
    """What a job yields to the engine: resume me when the sequence has this many frames, or is done."""

    sequence: CodeSequence
    frames: int

    @property
    def over(self) -> bool:
        return self.sequence.done or self.sequence.frames >= self.frames
