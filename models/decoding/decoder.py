"""The decode loop of many sequences at once: admit, step, release. Knows no network, no condition, no audio.

Sequences join and leave at any step. Each has a slot of the key/value pool, a grid of its own, its own generator,
options, limit and end; what a step computes for one does not depend on which others are there. A family brings the
stepper, which is its network on one row of some slots.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from models.decoding.cache import KeyValuePool
from models.decoding.grid import GridState, host_end
from models.decoding.sequence import CodeSequence
from models.decoding.threads import ThreadGovernor

PREFILL_ROWS = 128  # positions of a prompt taken in one go: between two of them others step, and a cancel is heard


@dataclass(frozen=True)
class Place:
    """A slot to step, and the position of the cache that the row it reads will fill."""

    slot: int
    position: int


class Stepper(Protocol):
    """A family's network, on the slots of a pool and the grids of a state."""

    def load(self, slot: int, sequence: CodeSequence) -> int:
        """Read what the sequence is conditioned on → how many positions of the cache stand before its rows."""
        ...

    def prefill(self, slot: int, start: int, stop: int) -> None:
        """Fill positions start … stop of the cache: those before the rows first, then known rows."""
        ...

    def __call__(self, places: Sequence[Place]) -> np.ndarray:
        """One row of each place → [B, K + 1]: the codes written, and the row in which each sequence ends."""
        ...


@dataclass
class _Running:
    """A sequence in its slot, and how much of what it begins with the network has read."""

    sequence: CodeSequence
    slot: int
    before: int  # positions before its rows
    position: int = 0  # the next to fill; the device holds the same number, counted in rows

    @property
    def prefill_left(self) -> int:
        return max(0, self.before + self.sequence.first_row - 1 - self.position)


class CodeDecoder:
    """Steps all admitted sequences together.

    rows: of a grid, at most. thread_counts: of CPU threads, from which the fastest is taken while steps run; none
    leaves the number alone.
    """

    def __init__(
        self,
        stepper: Stepper,
        pool: KeyValuePool,
        state: GridState,
        rows: int,
        thread_counts: tuple[int, ...] = (),
    ) -> None:
        self._step = stepper
        self.pool = pool
        self.state = state
        self.rows = rows
        self._thread_counts = thread_counts
        self._governor: ThreadGovernor | None = None
        self._running: dict[int, _Running] = {}

    @property
    def max_frames(self) -> int:
        """Prompt and new frames that fit one window together: 3056 for Dia-1.6B, 1500 for MusicGen."""
        return self.rows - 1 - self.state.max_delay

    @property
    def free_slots(self) -> int:
        return self.pool.free_slots

    def admit(self, sequence: CodeSequence) -> None:
        """Give the sequence a slot and read what it is conditioned on. A caller asks `free_slots` first."""
        assert sequence.rows_needed <= self.rows, sequence.rows_needed
        slot = self.pool.take()
        try:
            with torch.inference_mode():
                before = self._step.load(slot, sequence)
                self.state.load(slot, sequence)
        except BaseException:
            self.pool.give_back(slot)
            raise
        self._running[id(sequence)] = _Running(sequence, slot, before)

    def release(self, sequence: CodeSequence) -> None:
        """Free the slot, at any moment. A sequence that holds none is left alone."""
        running = self._running.pop(id(sequence), None)
        if running is not None:
            self.pool.give_back(running.slot)

    def step(self) -> None:
        """One row for every sequence that has read its prompt, and a block of positions of one that has not."""
        with torch.inference_mode():
            for running in self._running.values():
                if running.prefill_left:
                    self._prefill(running)
                    break
            ready = [r for r in self._running.values() if not r.prefill_left and not r.sequence.done]
            if ready:
                with self._governed():
                    self._decode(ready)

    def _governed(self) -> AbstractContextManager[None]:
        """Around a step: made at the first one, because a thread count belongs to the thread that runs the steps."""
        if not self._thread_counts:
            return nullcontext()
        self._governor = self._governor or ThreadGovernor(self._thread_counts)
        return self._governor.step()

    def _prefill(self, running: _Running) -> None:
        stop = running.position + min(PREFILL_ROWS, running.prefill_left)
        self._step.prefill(running.slot, running.position, stop)
        running.position = stop

    def _decode(self, ready: list[_Running]) -> None:
        rows = self._step([Place(r.slot, r.position) for r in ready])
        for running, row in zip(ready, rows, strict=True):
            running.position += 1
            running.sequence.add_row(row[:-1], host_end(int(row[-1])))
