"""Frames on their way to a session: taken in as they come, heard one after the other. Knows no event.

Behind a frame that nobody takes in lie the client's pings and its answers to the server's, and whoever waits for those
gives the connection up: so frames are always taken in, however long the one before them is listened to. What waits is
bounded; past that a frame is refused, and the session goes on.
"""

import asyncio
import sys
from collections import deque

from serving.realtime.faults import Fault

MOST_BYTES = 128 << 20  # of text in memory: more than an input buffer that is full to its brim, in base64
LEAST_BYTES = 1 << 10  # that a frame counts as, however short


class WaitingFrames:
    """Of one client. A frame is its text, or None if it was none."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._waiting: deque[str | None] = deque()
        self._bytes, self._most_bytes = 0, most_bytes
        self._there_is_one = asyncio.Event()

    def put(self, frame: str | None) -> None:
        """Raises Fault where too much waits, and keeps what does; one frame alone is always taken."""
        size = _size_of(frame)
        if self._waiting and self._bytes + size > self._most_bytes:
            raise Fault(
                "rate_limit_exceeded",
                f"{len(self._waiting)} events of {self._bytes} bytes wait to be heard; with this one, of {size}, they "
                f"would pass the {self._most_bytes} that may. It is not taken: send it again when they are answered.",
                kind="rate_limit_error",
            )
        self._bytes += size
        self._waiting.append(frame)
        self._there_is_one.set()

    async def next(self) -> str | None:
        while not self._waiting:
            self._there_is_one.clear()
            await self._there_is_one.wait()
        frame = self._waiting.popleft()
        self._bytes -= _size_of(frame)
        return frame


def _size_of(frame: str | None) -> int:
    return max(LEAST_BYTES, sys.getsizeof(frame))
