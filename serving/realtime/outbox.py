"""Events on their way to one client: put in by any thread, taken out by the loop. Knows no event.

A client that reads more slowly than it is told things would fill the memory: past a mark nothing more is taken in, and
whoever sends them hears that the client is too slow.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from serving.realtime.fields import Json

MOST_LETTERS = 64 << 20  # of what waits: 23 minutes of audio in base64


class SlowReader(Exception):
    """More waits for this client than is kept."""


class WaitingEvents:
    """Made within the loop that takes them out."""

    def __init__(self, most_letters: int = MOST_LETTERS) -> None:
        self._loop = asyncio.get_running_loop()
        self._there_is_one = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: deque[Json] = deque()
        self._letters, self._most_letters = 0, most_letters
        self._is_full = self._is_over = False

    def send(self, event: Json) -> None:
        with self._lock:
            if self._is_full:
                return
            self._letters += _letters(event)
            self._is_full = self._letters > self._most_letters
            self._waiting.append(event)
        self._wake()

    def drop(self, is_stale: Callable[[Json], bool]) -> None:
        with self._lock:
            self._waiting = deque(event for event in self._waiting if not is_stale(event))
            self._letters = sum(map(_letters, self._waiting))

    def end(self) -> None:
        """No more comes: `next` gives what still waits, then None."""
        self._is_over = True
        self._wake()

    async def next(self) -> Json | None:
        """Raises SlowReader."""
        while True:
            with self._lock:
                if self._is_full:
                    raise SlowReader
                if self._waiting:
                    event = self._waiting.popleft()
                    self._letters -= _letters(event)
                    return event
                self._there_is_one.clear()
            if self._is_over:
                return None
            await self._there_is_one.wait()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._there_is_one.set)


def _letters(event: Json) -> int:
    """About as many as its JSON has; only audio counts for much."""
    item = event.get("item")
    parts = item.get("content", ()) if isinstance(item, dict) else ()
    return 500 + len(event.get("delta", "")) + sum(len(part.get("audio", "")) for part in parts)
