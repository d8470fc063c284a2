"""Events on their way to one client: put in by any thread, taken out by the loop as text.

A client that reads more slowly than it is told things would fill the memory: past a mark nothing more is taken in, and
whoever sends them hears that the client is too slow.
"""

import asyncio
import json
import threading
from collections import deque

from serving.realtime.fields import Json

# Of the text that waits. One item alone may have 85 MiB: all that the input buffer holds, in base64.
MOST_LETTERS = 128 << 20


class SlowReader(Exception):
    """More waits for this client than is kept."""


class WaitingEvents:
    """Made within the loop that takes them out."""

    def __init__(self, most_letters: int = MOST_LETTERS) -> None:
        self._loop = asyncio.get_running_loop()
        self._there_is_one = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, str | None]] = deque()  # a text, and the response whose delta it is
        self._letters, self._most_letters = 0, most_letters
        self._is_full = self._is_over = False

    def send(self, event: Json) -> None:
        text = text_of(event)
        delta_of = event.get("response_id") if event["type"].endswith(".delta") else None
        with self._lock:
            if self._is_full:
                return
            self._letters += len(text)
            self._is_full = self._letters > self._most_letters
            self._waiting.append((text, delta_of))
        self._wake()

    def drop_deltas(self, response_id: str) -> None:
        with self._lock:
            self._waiting = deque(waiting for waiting in self._waiting if waiting[1] != response_id)
            self._letters = sum(len(text) for text, _ in self._waiting)

    def end(self) -> None:
        """No more comes: `next` gives what still waits, then None."""
        self._is_over = True
        self._wake()

    def check(self) -> None:
        """Raises SlowReader, also while `next` is not called because what it gave last does not leave."""
        if self._is_full:
            raise SlowReader

    async def next(self) -> str | None:
        """Raises SlowReader."""
        while True:
            with self._lock:
                self.check()
                if self._waiting:
                    text, _ = self._waiting.popleft()
                    self._letters -= len(text)
                    return text
                self._there_is_one.clear()
            if self._is_over:
                return None
            await self._there_is_one.wait()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._there_is_one.set)


def text_of(event: Json) -> str:
    """What it quotes may hold half a surrogate pair, which JSON can say and no frame can hold: JSON's escapes stay."""
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"))
