"""serving/realtime/chat.py before a chat server that is none: real HTTP, streams, and all that goes wrong with them."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from chat_fixtures import BREAK, DONE, PATIENCE, ChatStandIn, call, chat_stand_in, event, written

from models.errors import EngineClosed, GenerationFailed, InvalidRequest, Overloaded, ParleyError
from serving.realtime.chat import ChatServer
from serving.realtime.reply import CallPart, ChatOrder, ReplyEnd, Words

MESSAGES = [{"role": "user", "content": "Hello?"}]
Opened = Callable[..., ChatServer]


@contextmanager
def loop_in_a_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def stand_in() -> Iterator[ChatStandIn]:
    with chat_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def opened() -> Iterator[Opened]:
    """A client of a chat server at an address."""
    servers: list[ChatServer] = []

    async def made(*given: Any) -> ChatServer:
        return ChatServer(*given)

    with loop_in_a_thread() as loop:

        def opened(url: str, key: str = "secret-key", seconds: float = PATIENCE) -> ChatServer:
            servers.append(asyncio.run_coroutine_threadsafe(made(url, "tiny", key, seconds), loop).result())
            return servers[-1]

        yield opened
        for server in servers:
            asyncio.run_coroutine_threadsafe(server.close(), loop).result()


def failure(server: ChatServer) -> ParleyError:
    with pytest.raises(ParleyError) as failed:
        list(server.reply(ChatOrder(MESSAGES, [])))
    assert "secret-key" not in str(failed.value)
    return failed.value


def test_an_answer_comes_in_pieces_and_says_what_it_took(stand_in: ChatStandIn, opened: Opened) -> None:
    stand_in.answer = written("Hel", "lo. ", "How are you?")
    pieces = list(opened(stand_in.url).reply(ChatOrder(MESSAGES, [])))
    assert pieces == [Words("Hel"), Words("lo. "), Words("How are you?"), ReplyEnd(None, 21, 7)]
    assert stand_in.keys == ["Bearer secret-key"]
    (asked,) = stand_in.asked
    assert asked == {
        "model": "tiny", "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_what_is_asked_beside_the_messages_goes_along(stand_in: ChatStandIn, opened: Opened) -> None:
    tool = {"type": "function", "function": {"name": "weather"}}
    order = ChatOrder(MESSAGES, [tool], "required", False, "low", 40)
    list(opened(f"{stand_in.url}/", key="").reply(order))
    (asked,) = stand_in.asked
    assert asked["tools"] == [tool]
    chosen = ("tool_choice", "parallel_tool_calls", "reasoning_effort", "max_tokens")
    assert [asked[name] for name in chosen] == ["required", False, "low", 40]
    assert stand_in.keys == [None]


def test_half_a_character_goes_along(stand_in: ChatStandIn, opened: Opened) -> None:
    """Before, what a client may write could not be sent."""
    message = {"role": "user", "content": "Grüße \ud83d"}
    list(opened(stand_in.url).reply(ChatOrder([message], [])))
    assert stand_in.asked[0]["messages"] == [message]


def test_a_piece_is_there_before_the_next_is_written(stand_in: ChatStandIn, opened: Opened) -> None:
    gate = threading.Event()
    stand_in.answer = [event(content="Hello."), gate, *written(" Bye.")]
    pieces = iter(opened(stand_in.url).reply(ChatOrder(MESSAGES, [])))
    assert next(pieces) == Words("Hello.")
    assert not gate.is_set()
    gate.set()
    assert list(pieces) == [Words(" Bye."), ReplyEnd(None, 21, 7)]


@pytest.mark.parametrize("answer", [[event(content="Hello.")], []])
def test_whoever_stops_a_reply_hangs_up(stand_in: ChatStandIn, opened: Opened, answer: list[bytes]) -> None:
    """In the answer, and while it is still awaited."""
    stand_in.answer, stand_in.status = [*answer, threading.Event()], 200 if answer else 0
    reply = opened(stand_in.url).reply(ChatOrder(MESSAGES, []))
    pieces = iter(reply)
    if answer:
        next(pieces)
    else:
        threading.Timer(0, reply.stop).start()
        assert list(pieces) == []
    reply.stop()
    reply.stop()
    assert list(pieces) == []
    assert not stand_in.asked or stand_in.hung_up.wait(PATIENCE)


def test_calls_of_functions_come_in_pieces(stand_in: ChatStandIn, opened: Opened) -> None:
    stand_in.answer = [
        call(0, "", "weather", "call_a"), call(0, '{"town": '), call(0, '"Rome"}'), call(1, "{}", "time", "call_b"),
        event("tool_calls"), DONE,
    ]  # fmt: skip
    assert list(opened(stand_in.url).reply(ChatOrder(MESSAGES, []))) == [
        CallPart(0, "call_a", "weather", ""),
        CallPart(0, "call_a", "weather", '{"town": '),
        CallPart(0, "call_a", "weather", '"Rome"}'),
        CallPart(1, "call_b", "time", "{}"),
        ReplyEnd(),
    ]


ERROR = {"error": {"message": "The context is too long.", "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (400, InvalidRequest, "refused by the chat server (400): The context is too long."),
        (401, GenerationFailed, "does not let this service in (401): CHAT_API_KEY"),
        (403, GenerationFailed, "does not let this service in (403)"),
        (404, GenerationFailed, "no such model or path (404): CHAT_BASE_URL and CHAT_MODEL"),
        (422, InvalidRequest, "refused by the chat server (422)"),
        (429, Overloaded, "asked too often. Try again in 7 s."),
        (500, GenerationFailed, "answered 500. The log"),
        (302, GenerationFailed, "answered 302"),
    ],
)
def test_a_refusal_is_told_by_whose_fault_it_is(
    status: int, kind: type[ParleyError], told: str, stand_in: ChatStandIn, opened: Opened
) -> None:
    stand_in.status, stand_in.content_type = status, "application/json"
    stand_in.headers = {"Retry-After": "7", "Location": "http://127.0.0.1:9/"}
    stand_in.answer = [json.dumps(ERROR).encode()]
    error = failure(opened(stand_in.url))
    assert type(error) is kind
    assert told in str(error)


def test_a_key_that_is_refused_stands_in_no_log(
    stand_in: ChatStandIn, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.status, stand_in.answer = 401, [b'{"error": {"message": "Incorrect API key provided: secret-key"}}']
    failure(opened(stand_in.url))
    assert "the chat server answered 401" in caplog.text
    assert "secret-key" not in caplog.text


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"error": "no"}', b"[" * 100_000, b"\xff"])
def test_a_refusal_may_say_anything(body: bytes, stand_in: ChatStandIn, opened: Opened) -> None:
    stand_in.status, stand_in.answer = 400, [body or BREAK]
    assert isinstance(failure(opened(stand_in.url)), InvalidRequest | GenerationFailed)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([event(content="Hello."), BREAK], "answer broke off: RemoteProtocolError"),
        ([event(content="Hello.")], "answer broke off."),
        ([b"data: {\n\n"], "no event of an answer"),
        ([b"data: 7\n\n"], "no event of an answer"),
        ([b'data: {"choices": {}}\n\n'], "no event of an answer"),
        ([event(content=["Hello."])], "no event of an answer"),
        ([call(0, "{}")], "no event of an answer"),
        ([b'data: {"error": {"message": "out of memory"}}\n\n'], "broke off: out of memory"),
        ([b"data: " + b"x" * (1 << 20), b"x" * 100], "more than 1048576 bytes"),
        ([event(content="la " * 30_000)], "more than 65536 characters"),
        ([call(0, "x" * 600_000, "weather", "call_a"), call(0, "x" * 600_000)], "more than 1048576 characters"),
        ([call(n, "{}", "weather", f"call_{n}") for n in range(129)], "more than 128 functions"),
    ],
)
def test_a_stream_that_is_none_is_told(answer: list[bytes], told: str, stand_in: ChatStandIn, opened: Opened) -> None:
    stand_in.answer = answer
    error = failure(opened(stand_in.url))
    assert type(error) is GenerationFailed
    assert told in str(error)


def test_an_answer_without_a_stream_is_told_as_such(stand_in: ChatStandIn, opened: Opened) -> None:
    stand_in.content_type, stand_in.answer = "application/json", [b"{}"]
    assert "'application/json' and no stream" in str(failure(opened(stand_in.url)))


@pytest.mark.parametrize("status", [0, 200])
def test_a_server_that_says_nothing_is_not_waited_for(status: int, stand_in: ChatStandIn, opened: Opened) -> None:
    """Before its answer, and in it: what keeps the connection alive says nothing."""
    stand_in.status, stand_in.answer = status, [*([b": alive\n\n"] if status else []), threading.Event()]
    assert str(failure(opened(stand_in.url, seconds=0.2))) == "The chat server said nothing for 0.2 s."
    assert stand_in.hung_up.wait(PATIENCE)


@pytest.mark.parametrize("left", [BREAK, threading.Event()], ids=["broken off", "silent"])
def test_what_fails_behind_the_end_of_an_answer_is_not_missed(
    left: bytes | threading.Event, stand_in: ChatStandIn, opened: Opened
) -> None:
    stand_in.answer = [event(content="Hello."), event("stop"), left]
    pieces = list(opened(stand_in.url, seconds=5.0).reply(ChatOrder(MESSAGES, [])))
    assert pieces == [Words("Hello."), ReplyEnd()]


def test_nobody_at_the_address_is_told_without_it(opened: Opened, stand_in: ChatStandIn) -> None:
    with chat_stand_in() as gone:
        pass
    assert str(failure(opened(gone.url))) == "The chat server cannot be reached."


@pytest.mark.parametrize(
    ("finish", "cut_short"), [("length", "max_output_tokens"), ("content_filter", "content_filter"), ("stop", None)]
)
def test_an_answer_says_why_it_is_not_whole(
    finish: str, cut_short: str | None, stand_in: ChatStandIn, opened: Opened
) -> None:
    stand_in.answer = written("Hello", finish=finish)
    *_, end = opened(stand_in.url).reply(ChatOrder(MESSAGES, []))
    assert end == ReplyEnd(cut_short, 21, 7)  # type: ignore[arg-type]


def test_a_reply_that_is_asked_for_as_the_service_ends_is_refused() -> None:
    async def made() -> ChatServer:
        server = ChatServer("http://127.0.0.1:9/v1", "tiny", "", 1.0)
        await server.close()
        return server

    server = asyncio.run(made())
    with pytest.raises(EngineClosed):
        server.reply(ChatOrder(MESSAGES, []))
