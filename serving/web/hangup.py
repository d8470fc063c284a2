"""Callers who hang up: what was made for them alone is given up. Knows no route and no form of answer."""

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from anyio import CancelScope
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from models.errors import Cancelled

T = TypeVar("T")


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


class WhileHeard(StreamingResponse):
    """A stream for one caller. `leave` is called at its end, whichever: at the latest when the caller is gone."""

    def __init__(
        self,
        content: AsyncIterable[str | bytes],
        leave: Callable[[], object],
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(content, 200, headers, media_type)
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def listened() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":  # now: the stream may be waiting for what `leave` stops
                await run_in_threadpool(self._leave)
            return message

        try:
            await super().__call__(scope, listened, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._leave)
