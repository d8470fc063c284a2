"""How many listen at once, and the threads in which their audio is encoded. Knows no prediction and no format.

An encoder waits in a thread for what is still to be made. Those threads are its own: however many listen, and however
slowly, the threads in which routes ask the database stay free.
"""

import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

from models.errors import Overloaded

MOST_IN_ALL = 200  # of one process, each with a thread and an ffmpeg of its own if it hears what has to be encoded

T = TypeVar("T")


class Listeners:
    def __init__(self, most_of_one: int, most: int = MOST_IN_ALL) -> None:
        """most_of_one: listeners of one caller, most: of all, in this process."""
        self._most_of_one, self._most = most_of_one, most
        self._threads = CapacityLimiter(most)
        self._listening: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, owner: str) -> Iterator[None]:
        """One more listens for as long as this lasts. Raises Overloaded where too many do."""
        self._take(owner)
        try:
            yield
        finally:
            with self._lock:
                self._listening[owner] -= 1
                self._listening += Counter()  # those of nobody are forgotten

    async def run(self, work: Callable[[], T]) -> T:
        """In a thread of theirs. Whoever runs something has a place, so a thread is always free."""
        return await to_thread.run_sync(work, limiter=self._threads)

    async def each(self, pieces: Generator[bytes]) -> AsyncGenerator[bytes]:
        """What the generator gives, made in a thread of theirs. It is closed at the end, whichever."""
        try:
            while (piece := await self.run(partial(next, pieces, None))) is not None:
                yield piece
        finally:
            with suppress(ValueError):  # a thread is still in it, and leaves it as soon as it hears that nobody listens
                pieces.close()

    def _take(self, owner: str) -> None:
        with self._lock:
            own, of_all = self._listening[owner], self._listening.total()
            if own >= self._most_of_one:
                raise Overloaded(f"You listen {own} times at once, the most that is possible. End one, or wait.")
            if of_all >= self._most:
                raise Overloaded(f"{of_all} listen here at once, the most that is possible. Try again later.")
            self._listening[owner] += 1
