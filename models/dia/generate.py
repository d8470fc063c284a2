"""Dia's decode loop for many sequences at once: admit, step, release. Knows no text, no voice, no audio.

Sequences join and leave at any step. Each has a slot of the key/value pool, a grid of its own, its own generator,
options, limit and end; what a step computes for one does not depend on which others are there.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from models.decoding.cache import KeyValuePool
from models.decoding.grid import GridState, host_end
from models.decoding.sequence import CodeSequence
from models.decoding.threads import ThreadGovernor
from models.dia.model import DiaNetwork
from models.dia.stepper import EagerStepper, Place, StaticStepper

PREFILL_ROWS = 128  # rows of a prompt taken in one go: between two of them others step, and a cancel is heard


@dataclass
class _Running:
    """A sequence in its slot, and how much of its prompt the network has read."""

    sequence: CodeSequence
    slot: int
    row: int = 0  # the next row to read; the device holds the same number

    @property
    def prefill_left(self) -> int:
        return max(0, self.sequence.first_row - 1 - self.row)


class DiaDecoder:
    """Steps all admitted sequences together.

    thread_counts: of CPU threads, from which the fastest is taken while steps run; none leaves the number alone.
    """

    def __init__(self, network: DiaNetwork, pool: KeyValuePool, thread_counts: tuple[int, ...] = ()) -> None:
        c = network.config
        self.network = network
        self.pool = pool
        self.state = GridState(pool.slots, c.decoder.positions, c.delays, c.eos, c.pad, c.bos, network.device)
        stepper = StaticStepper if network.device.type == "cuda" else EagerStepper
        self._step = stepper(network, pool, self.state)
        self._thread_counts = thread_counts
        self._governor: ThreadGovernor | None = None
        self._running: dict[int, _Running] = {}

    @property
    def max_frames(self) -> int:
        """Prompt and new frames that fit one window together: 3056 for Dia-1.6B."""
        return self.network.config.decoder.positions - 1 - self.network.config.max_delay

    @property
    def free_slots(self) -> int:
        return self.pool.free_slots

    def admit(self, sequence: CodeSequence) -> None:
        """Give the sequence a slot and read its text. A caller asks `free_slots` first."""
        assert sequence.rows_needed <= self.network.config.decoder.positions, sequence.rows_needed
        with torch.inference_mode():
            text = self.network.read_text(sequence.text)
            slot = self.pool.take()
            try:
                self._step.load_text(slot, text)
                self.state.load(slot, sequence)
            except BaseException:
                self.pool.give_back(slot)
                raise
        self._running[id(sequence)] = _Running(sequence, slot)

    def release(self, sequence: CodeSequence) -> None:
        """Free the slot, at any moment. A sequence that holds none is left alone."""
        running = self._running.pop(id(sequence), None)
        if running is not None:
            self.pool.give_back(running.slot)

    def step(self) -> None:
        """One row for every sequence that has read its prompt, and a block of rows of one that has not."""
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
        stop = running.row + min(PREFILL_ROWS, running.prefill_left)
        self.network.prefill(self.state.prefix(running.slot, running.row, stop), self.pool, running.slot, running.row)
        running.row = stop

    def _decode(self, ready: list[_Running]) -> None:
        rows = self._step([Place(r.slot, r.row, len(r.sequence.text)) for r in ready])
        for running, row in zip(ready, rows, strict=True):
            running.row += 1
            running.sequence.add_row(row[:-1], host_end(int(row[-1])))
