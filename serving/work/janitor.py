"""Chores of a process: what has to be done again and again, each at its own pace. Knows none of them.

Every process may have one: what two of them do at once is done once.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

log = logging.getLogger("parley.janitor")

FIRST_SECONDS = 0.1  # until each is done for the first time
LEAVE_SECONDS = 5.0  # a chore that takes longer at the end is left to itself


@dataclass(frozen=True)
class Chore:
    name: str
    every_seconds: float
    do: Callable[[], object]


class Janitor:
    """Context manager: a thread for each chore, so that one which takes its time keeps no other waiting."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(chore,), name=f"janitor-{chore.name}", daemon=True)
            for chore in chores
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        end = time.monotonic() + LEAVE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self, chore: Chore) -> None:
        pause = FIRST_SECONDS
        while not self._stop.wait(pause):
            pause = chore.every_seconds
            try:
                chore.do()
            except Exception:  # the database is away, perhaps: the next time may do better
                log.exception("%s failed", chore.name)
