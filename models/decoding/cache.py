"""The keys and values of every request in flight: a pool of equal slots, allocated once within a memory budget.

Knows no model; a slot holds two branches (0 unconditional, 1 conditional) of one sequence.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CacheShape:
    """What one slot holds: both branches' own keys and values, and those of the longest text for one of them."""

    layers: int
    kv_heads: int
    positions: int
    head_dim: int
    text_heads: int
    text_positions: int
    text_head_dim: int
    dtype: torch.dtype

    @property
    def slot_bytes(self) -> int:
        """For Dia-1.6B in 16 bits 226 MB of its own and 151 MB of text."""
        own = 2 * self.kv_heads * self.positions * self.head_dim
        text = self.text_heads * self.text_positions * self.text_head_dim
        return 2 * self.layers * (own + text) * self.dtype.itemsize


class KeyValuePool:
    """Slots of self-attention state, and of the text's keys and values.

    On a CPU the operating system commits a page only when it is first written, so slots that no request has used yet
    cost nothing; on CUDA the whole pool is reserved at once.
    """

    def __init__(self, shape: CacheShape, slots: int, device: torch.device) -> None:
        size = (shape.layers, slots, 2, shape.kv_heads, shape.positions, shape.head_dim)
        self.k = torch.empty(size, dtype=shape.dtype, device=device)
        self.v = torch.empty(size, dtype=shape.dtype, device=device)
        self.text: list[list[tuple[Tensor, Tensor]]] = [[] for _ in range(slots)]  # [slot][layer] → k, v [H, S, d]
        # [layer][slot] → k, v [2·G, P, d]: views, made once because a step on a small network would notice.
        self._heads = [
            list(zip(k.flatten(1, 2).unbind(), v.flatten(1, 2).unbind(), strict=True))
            for k, v in zip(self.k, self.v, strict=True)
        ]
        self._free = list(range(slots))
        self.slots = slots

    @classmethod
    def within(cls, budget_bytes: int, shape: CacheShape, device: torch.device, most: int = 64) -> "KeyValuePool":
        """As many slots as the budget holds, at least one and at most `most`."""
        return cls(shape, max(1, min(most, budget_bytes // shape.slot_bytes)), device)

    @property
    def free_slots(self) -> int:
        return len(self._free)

    def take(self) -> int:
        """A free slot; the lowest, so that few requests touch little memory."""
        assert self._free, "no free slot; ask free_slots first"
        self._free.sort()
        return self._free.pop(0)

    def give_back(self, slot: int) -> None:
        assert slot not in self._free, slot
        self.text[slot] = []
        self._free.append(slot)

    def past(self, layer: int, slot: int, length: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first `length` positions, both branches: [2, G, length, d], views."""
        return self.k[layer, slot, :, :, :length], self.v[layer, slot, :, :, :length]

    def append(self, layer: int, slot: int, position: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Put both branches' keys and values [2·G, d] at one position → all up to it: [2·G, P, d], views."""
        keys, values = self._heads[layer][slot]
        keys.select(1, position).copy_(k)
        values.select(1, position).copy_(v)
        return keys.narrow(1, 0, position + 1), values.narrow(1, 0, position + 1)

    def write(self, layer: int, slot: int, start: int, k: Tensor, v: Tensor) -> None:
        """Put keys and values [2, N, G, d] at positions start … start + N."""
        end = start + k.shape[1]
        self.k[layer, slot, :, :, start:end] = k.transpose(1, 2)
        self.v[layer, slot, :, :, start:end] = v.transpose(1, 2)
