"""What an asynchronous generator gives, for a thread: it runs in the event loop, a thread reads, any thread stops it.

Knows nothing of what is in it. Nothing is held back for a slow reader: use it for what is bounded, or small.
"""

import asyncio
import queue
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Generic, TypeVar

from models.errors import EngineClosed

T = TypeVar("T")


class LoopStream(Generic[T]):
    """Begun at once. Iterating gives its values, raises what it raised, and ends where it was stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, source: Callable[[], AsyncGenerator[T]]) -> None:
        """source: called in the loop. Raises EngineClosed where the loop is over."""
        self._values: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
        running = self._run(source)
        try:
            self._running = asyncio.run_coroutine_threadsafe(running, loop)
        except RuntimeError as error:
            running.close()
            raise EngineClosed("The service is ending.") from error

    def __iter__(self) -> Iterator[T]:
        while (value := self._values.get()) is not None:
            if isinstance(value, BaseException):
                raise value
            yield value[0]

    def stop(self) -> None:
        self._running.cancel()
        self._values.put(None)  # one that is cancelled before it has begun says nothing itself

    async def _run(self, source: Callable[[], AsyncGenerator[T]]) -> None:
        try:
            async with aclosing(source()) as values:
                async for value in values:
                    self._values.put((value,))
        except Exception as error:
            self._values.put(error)
        finally:
            self._values.put(None)
