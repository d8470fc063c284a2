"""A language model behind an OpenAI-compatible HTTP server: it is asked, its answer is streamed, hanging up stops it.

Knows chat completions; knows no item, no response and no speech. Its errors never repeat the key or the address.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import httpx

from models.errors import GenerationFailed, InvalidRequest, Overloaded, ParleyError
from serving.realtime.chat_stream import ReplyReader, data_of, error_of
from serving.realtime.fields import Json
from serving.realtime.loop_stream import LoopStream
from serving.realtime.reply import ChatOrder, Piece, Reply
from serving.settings import Settings

log = logging.getLogger("parley.realtime")

CONNECT_SECONDS = 5.0
LONGEST_REFUSAL = 1 << 16  # bytes that are read of an answer that is none
EVENT_STREAM = "text/event-stream"
JSON_TYPE = {"Content-Type": "application/json"}
REFUSES_THE_CONVERSATION = (400, 413, 422)
LETS_NOBODY_IN = (401, 403)


class ChatServer:
    """Made in the loop that it is to run in, and closed there. Proxies are those of the environment."""

    def __init__(self, base_url: str, model: str, key: str, silent_seconds: float) -> None:
        """base_url: what stands before "/chat/completions". key: "" where it asks for none. silent_seconds: for so
        long it may say nothing, before its answer and in it."""
        self._url, self._model, self._seconds = f"{base_url.rstrip('/')}/chat/completions", model, silent_seconds
        headers = {"User-Agent": "Parley"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._client = httpx.AsyncClient(headers=headers, timeout=httpx.Timeout(None, connect=CONNECT_SECONDS))
        self._loop = asyncio.get_running_loop()

    @classmethod
    def of(cls, settings: Settings) -> "ChatServer | None":
        """The one that is set; None where a response says what it is told to."""
        if not settings.chat_base_url:
            return None
        return cls(settings.chat_base_url, settings.chat_model, settings.chat_api_key, settings.chat_seconds)

    async def close(self) -> None:
        await self._client.aclose()

    def reply(self, order: ChatOrder) -> Reply:
        """From any thread. Reading it raises InvalidRequest, where the conversation is refused, Overloaded and
        GenerationFailed."""
        return LoopStream(self._loop, lambda: self._pieces(order))

    async def _pieces(self, order: ChatOrder) -> AsyncGenerator[Piece]:
        reader = ReplyReader()
        with _told_as_ours(self._seconds):
            async with self._answer(order) as answer, aclosing(data_of(answer.aiter_bytes())) as events:
                while (data := await self._next(events, reader)) is not None:
                    for piece in reader.read(data):
                        yield piece
                    if reader.done:
                        break
        yield reader.end()

    @asynccontextmanager
    async def _answer(self, order: ChatOrder) -> AsyncIterator[httpx.Response]:
        """Its head has come, and a stream of events follows."""
        body = json.dumps(_body(self._model, order)).encode()  # ASCII: a text may hold half a surrogate pair
        request = self._client.build_request("POST", self._url, content=body, headers=JSON_TYPE)
        answer = await self._in_time(self._client.send(request, stream=True))
        try:
            if answer.status_code != httpx.codes.OK:
                raise _refusal(answer.status_code, await self._in_time(_beginning(answer)), answer.headers)
            if EVENT_STREAM not in (kind := answer.headers.get("content-type", "")):
                raise GenerationFailed(f"The chat server answered {kind[:60]!r} and no stream: does it support it?")
            yield answer
        finally:
            await answer.aclose()

    async def _next(self, events: AsyncGenerator[str], reader: ReplyReader) -> str | None:
        """None: there is no more, or nothing that is missed: what comes behind the end of the text is a count."""
        try:
            data: str | None = await self._in_time(anext(events, None))
        except (TimeoutError, httpx.TransportError):
            if not reader.has_ended:
                raise
            return None
        return data

    async def _in_time(self, awaited: Any) -> Any:
        async with asyncio.timeout(self._seconds):
            return await awaited


@contextmanager
def _told_as_ours(seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise GenerationFailed(f"The chat server said nothing for {seconds:g} s.") from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        log.error("the chat server cannot be reached: %s", error)
        raise GenerationFailed("The chat server cannot be reached.") from error
    except httpx.HTTPError as error:
        raise GenerationFailed(f"The chat server's answer broke off: {type(error).__name__}.") from error


def _body(model: str, order: ChatOrder) -> Json:
    body: Json = {
        "model": model,
        "messages": order.messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if order.tools:
        body |= {"tools": order.tools, "tool_choice": order.tool_choice}
        if order.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = order.parallel_tool_calls
    if order.reasoning_effort is not None:
        body["reasoning_effort"] = order.reasoning_effort
    if order.most_tokens is not None:
        body["max_tokens"] = order.most_tokens  # the older name, which every server knows
    return body


async def _beginning(answer: httpx.Response) -> bytes:
    held = b""
    async for chunk in answer.aiter_bytes():
        held += chunk
        if len(held) > LONGEST_REFUSAL:
            break
    return held


def _refusal(status: int, body: bytes, headers: httpx.Headers) -> ParleyError:
    """Whose fault it is decides what the client is told: what only the operator can mend stands in the log."""
    try:
        words = error_of(json.loads(body))
    except (ValueError, RecursionError):
        words = ""
    if status in LETS_NOBODY_IN:
        words = "it does not know the key"  # which its own words may quote
    log.error("the chat server answered %d: %s", status, words or body[:200])
    if status in REFUSES_THE_CONVERSATION:
        return InvalidRequest(
            "response", f"was refused by the chat server ({status}): {words or 'it does not say why'}"
        )
    if status == httpx.codes.TOO_MANY_REQUESTS:
        after = headers.get("retry-after", "")
        return Overloaded(
            f"The chat server is asked too often. Try again {f'in {after} s' if after.isdigit() else 'later'}."
        )
    if status in LETS_NOBODY_IN:
        return GenerationFailed(
            f"The chat server does not let this service in ({status}): CHAT_API_KEY is to be set right."
        )
    if status == httpx.codes.NOT_FOUND:
        return GenerationFailed(
            "The chat server knows no such model or path (404): CHAT_BASE_URL and CHAT_MODEL say which."
        )
    return GenerationFailed(f"The chat server answered {status}. The log of this service says what.")
