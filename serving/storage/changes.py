"""Waiting for a prediction to change, without a thread for each who waits. Knows no table.

Changes made in this process are heard at once, those of other processes when the database is asked again.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TypeVar

ASK_AGAIN_SECONDS = 0.25

T = TypeVar("T")


class Changes:
    """`tell` may be called from any thread; everything else in the event loop that `attach` was called in."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def attach(self) -> None:
        """From now on those who wait in the running loop are told."""
        self._loop = asyncio.get_running_loop()

    def tell(self, name: str) -> None:
        """Wake all who wait for this name."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits in it any more
                self._loop.call_soon_threadsafe(self._wake, name)

    async def until(
        self, name: str, ask: Callable[[], Awaitable[T]], enough: Callable[[T], bool], seconds: float | None
    ) -> T:
        """What `ask` returns as soon as it is enough; after `seconds`, whatever it returns."""
        clock = asyncio.get_running_loop().time
        end = None if seconds is None else clock() + seconds
        changed = asyncio.Event()
        self._waiting[name].add(changed)
        try:
            while True:
                changed.clear()
                value = await ask()
                left = None if end is None else end - clock()
                if enough(value) or (left is not None and left <= 0):
                    return value
                await self._pause(changed, ASK_AGAIN_SECONDS if left is None else min(left, ASK_AGAIN_SECONDS))
        finally:
            self._waiting[name].discard(changed)
            if not self._waiting[name]:
                del self._waiting[name]

    async def _pause(self, changed: asyncio.Event, seconds: float) -> None:
        try:
            await asyncio.wait_for(changed.wait(), seconds)
        except TimeoutError:
            return

    def _wake(self, name: str) -> None:
        for changed in self._waiting.get(name, ()):
            changed.set()
