"""The randomness of every slot: exponential noise for each row, from a generator that belongs to the request.

It is drawn as the rows come, because that of a whole window would be 50 MB a request (4 codebooks of 2048 codes), and
always on the CPU, so that a seed gives the same codes on any device. Knows no logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.decoding.sampling import generator_of
from models.decoding.sequence import CodeSequence


class ExponentialNoise:
    """A generator for each slot."""

    def __init__(self, slots: int, codebooks: int, vocabulary: int) -> None:
        self._shape = (codebooks, vocabulary)
        self._generators = [torch.Generator() for _ in range(slots)]

    def load(self, slot: int, sequence: CodeSequence) -> None:
        """Start a sequence in a slot. Rows are counted from the first new one, whatever the prompt."""
        self._generators[slot] = generator_of(sequence)

    def draw(self, slots: Sequence[int]) -> list[Tensor]:
        """What the next row of each slot takes, float32 [K, V]: just what torch.multinomial would draw of [K, V]."""
        return [torch.empty(self._shape).exponential_(generator=self._generators[slot]) for slot in slots]
