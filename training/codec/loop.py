"""What both trainings of the codec have in common: steps, a log of their numbers, a checkpoint to go on from.

Knows no network, no losses and no data.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.files import append_log, whole_file

REPORT = 50  # steps
SAVE = 120  # seconds
COOLDOWN = 0.4  # of the steps, at their end
SLOWEST = 0.05  # of the learning rate
Numbers = Mapping[str, float | list[float]]  # of one step, by name
log = logging.getLogger("training")


class Resumable(ABC):
    """A training all of whose state is in one file. A subclass calls `resume` when it is set up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.step, self.minutes = 0, 0.0  # in all, over all pieces of the run

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What the file holds beside step and minutes."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None: ...

    def resume(self) -> None:
        """Go on from the file, if there is one. Raises ValueError where it holds the state of another training."""
        if not self.path.exists():
            return
        state = torch.load(self.path, weights_only=True)
        try:
            self.load_state(state)
            self.step, self.minutes = state["step"], state["minutes"]
        except (KeyError, RuntimeError, ValueError) as error:  # what torch raises for shapes and names, for counts
            raise ValueError(f"{self.path} does not fit this training. Move it away to begin anew.") from error

    def save(self) -> None:
        with whole_file(self.path) as file:
            torch.save(self.state() | {"step": self.step, "minutes": self.minutes}, file)


def keep_learning(training: Resumable, learn: Callable[[], Numbers], steps: int) -> None:
    """Call `learn`, which takes one step, until there are `steps` in all. Saves every two minutes and at the end."""
    recent: list[Numbers] = []
    saved = time.monotonic()
    while training.step < steps:
        began = time.monotonic()
        recent.append(learn())
        training.minutes += (time.monotonic() - began) / 60
        if training.step % REPORT == 0:
            _report(training, recent)
            recent.clear()
        if time.monotonic() - saved > SAVE:
            training.save()
            saved = time.monotonic()
    training.save()


def pace_at(done: float) -> float:
    """The share of the learning rate: all of it, and over the last 40 % of the steps down to a twentieth."""
    return min(1.0, max(SLOWEST, (1 - done) / COOLDOWN))


def means_of(steps: Sequence[Numbers]) -> dict[str, Any]:
    """Of every number of the last step the mean over the steps that have it, to four decimals."""
    return {
        name: np.mean([numbers[name] for numbers in steps if name in numbers], axis=0).round(4).tolist()
        for name in steps[-1]
    }


def _report(training: Resumable, recent: Sequence[Numbers]) -> None:
    entry = {"step": training.step, "minutes": round(training.minutes, 2), **means_of(recent)}
    log.info("%s %s", training.path.stem, entry)
    append_log(training.path.parent, entry)
