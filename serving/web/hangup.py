"""Callers who hang up, and answers that break off: what was made for one caller alone is given up. Knows no route."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import Any, TypeVar

from anyio import CancelScope
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from models.errors import Cancelled, ParleyError
from serving.storage.database import DATABASE_AWAY, in_short

log = logging.getLogger("parley.http")

EVENT_STREAM = "text/event-stream"
AT_ONCE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nothing in between may keep or gather the pieces

T = TypeVar("T")


class BrokenOff(Exception):
    """An answer whose head has left cannot be ended as it should. `RequestLog` tells of it; nothing else may."""


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives. Raises Cancelled, the work stopped, as soon as the caller is gone. The body must be read."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled("The caller hung up.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def leaving() -> AsyncIterator[ExitStack]:
    """What is to be done when a caller leaves. It is done at once where this ends badly; else it is WhileHeard's."""
    stack = ExitStack()
    try:
        yield stack
    except BaseException:
        await run_in_threadpool(stack.close)
        raise


class WhileHeard(StreamingResponse):
    """A stream for one caller. `leave` is called at its end, whichever: at the latest when the caller is gone.

    Raises BrokenOff where the stream ends with an error that callers are told of: this one can be told no more.
    """

    def __init__(
        self,
        content: AsyncGenerator[str | bytes],
        leave: Callable[[], object],
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(content, 200, headers, media_type)
        self._content, self._leave, self._gone = content, leave, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def listened() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":  # now: the stream may be waiting for what `leave` stops
                self._gone = True
                await run_in_threadpool(self._leave)
            return message

        try:
            await super().__call__(scope, listened, send)
        except Exception as error:
            self._tell(error)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._leave)
                await self._content.aclose()

    def _tell(self, error: Exception) -> None:
        if self._gone:  # what `leave` took away may have been in use
            log.debug("a stream that nobody heard any more ended: %r", error)
        elif isinstance(error, DATABASE_AWAY):
            raise BrokenOff(in_short(error)) from error
        elif isinstance(error, ParleyError):
            raise BrokenOff(str(error)) from error
        else:
            raise error
