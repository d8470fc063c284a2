"""The grids of all requests in flight, on the device: which row each reads, what it may write, when it ends.

Knows no network. Everything is a tensor of fixed shape and nothing waits for the host, so the same code is a step on a
CPU and part of a captured CUDA graph.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.decoding.delay import UNKNOWN, delay_prefix
from models.decoding.sampling import StepOptions, uniform_noise
from models.decoding.sequence import CodeSequence

_NEVER = 2**31  # a row that is never reached: the sequence has not ended


class GridState:
    """One grid a slot, with its options and its randomness."""

    def __init__(
        self, slots: int, rows: int, delays: Sequence[int], eos: int, pad: int, bos: int, device: torch.device
    ) -> None:
        K = len(delays)
        self.delays = torch.tensor(delays, device=device)  # [K]
        self.eos, self.pad, self.bos = eos, pad, bos
        # The row after the last one read, and room for a decoder that runs a little past an end it has not seen yet.
        self.grid = torch.full((slots, K, rows + max(delays) + 2), UNKNOWN, device=device)
        self.noise = torch.zeros(slots, self.grid.shape[-1], K, device=device)
        self.row = torch.zeros(slots, dtype=torch.long, device=device)  # the row that is read next
        self.end = torch.full((slots,), _NEVER, device=device)  # the row in which codebook 0 holds eos
        self.limit = torch.full((slots,), _NEVER, device=device)  # the row in which it does at the latest
        self.active = torch.ones(slots, dtype=torch.bool, device=device)  # a slot that is not stands still when written
        scale, temperature, top_p = torch.ones(3, slots, device=device)
        self.options = StepOptions(scale, temperature, top_p, torch.ones(slots, dtype=torch.long, device=device))

    def load(self, slot: int, sequence: CodeSequence) -> None:
        """Start a sequence in a slot: reading begins at its last known complete row."""
        prefix = delay_prefix(torch.from_numpy(sequence.prompt), self.delays.tolist(), self.bos)
        self.grid[slot].fill_(UNKNOWN)
        self.grid[slot, :, : prefix.shape[1]] = prefix
        first = sequence.first_row
        # Counted from the first new row, so that a seed gives the same draws after any prompt.
        noise = uniform_noise(
            sequence.sampling.seed, sequence.max_frames + int(self.delays.max()) + 1, len(self.delays)
        )
        self.noise[slot, first : first + len(noise)] = noise
        self.row[slot] = first - 1
        self.end[slot] = _NEVER
        self.limit[slot] = sequence.limit_row
        sampling = sequence.sampling
        self.options.cfg_scale[slot] = sampling.cfg_scale
        self.options.temperature[slot] = sampling.temperature
        self.options.top_p[slot] = sampling.top_p
        self.options.top_k[slot] = sampling.cfg_filter_top_k

    def prefix(self, slot: int, start: int, stop: int) -> Tensor:
        """Known rows start … stop of a slot: [N, K]."""
        return self.grid[slot, :, start:stop].T

    def read(self, slots: Tensor) -> Tensor:
        """The rows that the slots [B] read now: codes [B, K]."""
        return self.grid[slots, :, self.row[slots]]

    def draws(self, slots: Tensor) -> tuple[StepOptions, Tensor]:
        """Options of the slots [B], and the uniform numbers [B, K] of the row they write."""
        o = self.options
        chosen = StepOptions(o.cfg_scale[slots], o.temperature[slots], o.top_p[slots], o.top_k[slots])
        return chosen, self.noise[slots, self.row[slots] + 1]

    def write(self, slots: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Put codes [B, K] into the next row, after the rules of prompt and end → what was put [B, K], ends [B].

        A known entry stays. The first eos of codebook 0 outside the prompt, or the limit, ends the sequence: from
        there codebook k gets eos `delays[k]` rows later and pad after that.
        """
        row = self.row[slots] + 1
        known = self.grid[slots, :, row]  # [B, K]
        ends_here = ((codes[:, 0] == self.eos) & (known[:, 0] == UNKNOWN)) | (row >= self.limit[slots])
        end = torch.minimum(self.end[slots], torch.where(ends_here, row, _NEVER))
        since = (row - end)[:, None]  # negative before the end
        codes = torch.where(since == self.delays, self.eos, codes)
        codes = torch.where(since > self.delays, self.pad, codes)
        codes = torch.where(known == UNKNOWN, codes, known)
        active = self.active[slots]
        self.grid[slots, :, row] = torch.where(active[:, None], codes, known)
        self.row[slots] = torch.where(active, row, row - 1)
        self.end[slots] = torch.where(active, end, self.end[slots])
        return codes, end


def host_end(end: int) -> int | None:
    """An end as a CodeSequence takes it."""
    return None if end >= _NEVER else end
