"""Samples on their way from the event loop to the thread that encodes them. Knows no format.

A few pieces at a time: who makes audio waits for who hears it, so that a slow listener costs no memory.
"""

import asyncio
import queue
from collections.abc import Iterator
from contextlib import suppress

MOST_PIECES = 8  # on their way; of 128 KiB at most where whole files are heard, of 52 KiB while they are made


class HandOver:
    """`put` and `end` are the event loop's, to iterate is the thread's; `close` may be called from anywhere."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(MOST_PIECES)
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._closed = False

    async def put(self, piece: bytes) -> None:
        """Waits while there are enough."""
        await self._room.acquire()
        self._pieces.put(piece)

    def end(self) -> None:
        """There is no more: the thread comes to the end of what it has been given."""
        self._pieces.put(None)

    def close(self) -> None:
        """Nobody listens any more: the thread comes to its end at once."""
        self._closed = True
        self._pieces.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None and not self._closed:
            with suppress(RuntimeError):  # the loop has closed, and nobody waits there for room
                self._loop.call_soon_threadsafe(self._room.release)
            yield piece
