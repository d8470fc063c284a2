"""The grids of all requests in flight, on the device: which row each reads, what it may write, when it ends.

Knows no network and draws nothing. Everything is a tensor of fixed shape and nothing waits for the host, so the same
code is a step on a CPU and part of a captured CUDA graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.decoding.delay import UNKNOWN, delay_prefix
from models.decoding.sequence import CodeSequence

_NEVER = 2**31  # a row that is never reached: the sequence has not ended


@dataclass(frozen=True)
class Turn:
    """What some slots need for one step. A place is a row of one slot's grid among those of all slots."""

    slots: Tensor  # [B]
    codes: Tensor  # [B, K], the row that is read
    place: Tensor  # [B], of the row that is written
    row: Tensor  # [B], the same, counted within its grid
    end: Tensor  # [B], the row in which codebook 0 holds eos
    limit: Tensor  # [B], the row in which it does at the latest


class GridState:
    """One grid a slot."""

    def __init__(
        self, slots: int, rows: int, delays: Sequence[int], eos: int, pad: int, bos: int, device: torch.device
    ) -> None:
        self.delays = torch.tensor(delays, device=device)  # [K]
        self.max_delay = max(delays)
        self.eos, self.pad, self.bos = eos, pad, bos
        # The row after the last one read, and room for a decoder that runs a little past an end it has not seen yet.
        self.rows = rows + self.max_delay + 2
        self.grid = torch.full((slots * self.rows, len(delays)), UNKNOWN, device=device)
        # One table, because a look-up costs as much for four numbers as for one.
        self._marks = torch.full((slots, 4), _NEVER, device=device)
        self.place, self.row, self.end, self.limit = self._marks.unbind(1)  # place and row: what is read next
        self.place.copy_(torch.arange(slots) * self.rows)
        self.row.zero_()

    def load(self, slot: int, sequence: CodeSequence) -> None:
        """Start a sequence in a slot: reading begins at its last known complete row."""
        prefix = delay_prefix(torch.from_numpy(sequence.prompt), self.delays.tolist(), self.bos)
        start = slot * self.rows
        self.grid[start : start + self.rows].fill_(UNKNOWN)
        self.grid[start : start + prefix.shape[1]] = prefix.T
        first = sequence.first_row
        self._marks[slot] = torch.tensor([start + first - 1, first - 1, _NEVER, sequence.limit_row])

    def prefix(self, slot: int, start: int, stop: int) -> Tensor:
        """Known rows start … stop of a slot: [N, K]."""
        return self.grid[slot * self.rows + start : slot * self.rows + stop]

    def turn(self, slots: Tensor) -> Turn:
        """What the slots [B] read now, and what is known of the row they write next."""
        place, row, end, limit = self._marks.index_select(0, slots).unbind(1)
        return Turn(
            slots=slots, codes=self.grid.index_select(0, place), place=place + 1, row=row + 1, end=end, limit=limit
        )

    def write(self, turn: Turn, codes: Tensor, active: Tensor | None = None) -> Tensor:
        """Put codes [B, K] into the next row, after the rules of prompt and end → [B, K + 1]: what was put, and ends.

        A known entry stays. The first eos of codebook 0 outside the prompt, or the limit, ends the sequence: from
        there codebook k gets eos `delays[k]` rows later and pad after that. active [B]: a slot that is not stands
        still; by default all are.
        """
        known = self.grid.index_select(0, turn.place)
        unknown = known == UNKNOWN
        ends_here = ((codes[:, 0] == self.eos) & unknown[:, 0]).logical_or_(turn.row >= turn.limit)
        end = torch.where(ends_here, torch.minimum(turn.row, turn.end), turn.end)
        since = (turn.row - end)[:, None]  # negative before the end
        codes = codes.masked_fill(since == self.delays, self.eos).masked_fill_(since > self.delays, self.pad)
        codes = torch.where(unknown, codes, known)
        place, row = turn.place, turn.row
        if active is not None:
            codes = torch.where(active[:, None], codes, known)
            place, row, end = (
                torch.where(active, new, old) for new, old in ((place, place - 1), (row, row - 1), (end, turn.end))
            )
        self.grid.index_copy_(0, turn.place, codes)
        for mark, value in ((self.place, place), (self.row, row), (self.end, end)):
            mark.index_copy_(0, turn.slots, value)
        return torch.cat((codes, end[:, None]), dim=1)


def host_end(end: int) -> int | None:
    """An end as a CodeSequence takes it."""
    return None if end >= _NEVER else end
