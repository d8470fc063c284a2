"""Drawing one code from logits, for many requests at once and without waiting for the host.

Knows no model and no codebook meaning. Randomness comes in as uniform numbers drawn beforehand by each request's own
generator, so that the same seed gives the same codes alone, in a batch, on a CPU and inside a CUDA graph.
"""

from dataclasses import dataclass
from math import inf
from typing import Self

import torch
from torch import Tensor

from models.decoding.sequence import CodeSequence
from models.request import SamplingParams

COLDEST = 1e-30  # a lower temperature would make infinities of logits; here, only the likeliest code is left already


def is_greedy(sampling: SamplingParams) -> bool:
    """The likeliest code is taken, whatever is drawn."""
    return sampling.temperature < COLDEST


def generator_of(sequence: CodeSequence) -> torch.Generator:
    """What its codes are drawn with: the generator that it goes on with, or one of its own, on the CPU."""
    return sequence.generator or torch.Generator().manual_seed(sequence.sampling.seed)


def uniform_noise(generator: torch.Generator, steps: int, codebooks: int) -> Tensor:
    """The randomness of one sequence: float32 [steps, K] in [0, 1)."""
    return torch.rand(steps, codebooks, generator=generator)


@dataclass(frozen=True)
class StepOptions:
    """Sampling options of the requests of one step, as tensors so that a captured graph can read new values.

    Each is float32 [B, 1, 1], to broadcast over codebooks and candidates.
    """

    cfg_scale: Tensor
    temperature: Tensor  # above 0
    top_p: Tensor  # 0 is greedy, infinity keeps all
    top_k: Tensor  # whole numbers

    @staticmethod
    def numbers(sampling: SamplingParams) -> tuple[float, float, float, float]:
        """What a request asks for, as one row of the table that `of` takes."""
        greedy = is_greedy(sampling)
        top_p = 0 if greedy else sampling.top_p if sampling.top_p < 1 else inf
        return sampling.cfg_scale, 1 if greedy else sampling.temperature, top_p, sampling.cfg_filter_top_k

    @classmethod
    def of(cls, table: Tensor) -> Self:
        """From the numbers of some requests, float32 [B, 4]."""
        return cls(*table[:, :, None, None].unbind(1))


class SamplingTable:
    """Options and randomness of every slot, on the device; rows: of one slot's grid in a GridState."""

    def __init__(self, slots: int, rows: int, codebooks: int, device: torch.device) -> None:
        self._rows = rows
        self._noise = torch.zeros(slots * rows, codebooks, device=device)
        self._numbers = torch.ones(slots, 4, device=device)

    def load(self, slot: int, sequence: CodeSequence) -> None:
        """Start a sequence in a slot."""
        steps = sequence.max_frames + max(sequence.delays) + 1
        # Counted from the first new row, so that a seed gives the same draws after any prompt.
        first = slot * self._rows + sequence.first_row
        self._noise[first : first + steps] = uniform_noise(generator_of(sequence), steps, len(sequence.delays))
        self._numbers[slot] = torch.tensor(StepOptions.numbers(sequence.sampling))

    def of(self, slots: Tensor, places: Tensor) -> tuple[StepOptions, Tensor]:
        """Options of slots [B], and the randomness [B, K] of the rows that they write: see Turn."""
        return StepOptions.of(self._numbers.index_select(0, slots)), self._noise.index_select(0, places)


def draw(weights: Tensor, top_p: Tensor, uniform: Tensor) -> Tensor:
    """Index drawn from the nucleus of descending probabilities [B, K, N] by uniform [B, K] in [0, 1) → [B, K, 1].

    The nucleus is their head that reaches top_p [B, 1, 1]; the candidate that crosses it is kept, so at least one
    always is. One of probability 0 is never drawn: uniform is at most 1 - 2^-24, and times the total less than the
    total. Where no candidate is possible at all (NaN) it is any index.
    """
    _, K, N = weights.shape
    reached = weights.cumsum(-1)
    limit = top_p.expand(-1, K, 1).contiguous()
    last = torch.searchsorted(reached, limit, right=True).clamp_max_(N - 1)  # [B, K, 1]
    index = torch.searchsorted(reached, uniform[..., None] * reached.gather(-1, last), right=True)
    return index.clamp_max_(N - 1)
