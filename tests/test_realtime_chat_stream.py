"""serving/realtime/chat_stream.py: whatever way the bytes are cut, and whatever a server leaves out."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from chat_fixtures import DONE, call, event, written

from serving.realtime.chat_stream import ReplyReader, data_of, error_of
from serving.realtime.reply import CallPart, Piece, ReplyEnd, Words


def data(*chunks: bytes) -> list[str]:
    async def given() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def found() -> list[str]:
        return [one async for one in data_of(given())]

    return asyncio.run(found())


def read(*chunks: bytes) -> list[Piece]:
    reader = ReplyReader()
    return [*(piece for one in data(*chunks) for piece in reader.read(one)), reader.end()]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_cut_anywhere_is_whole(size: int, end: bytes) -> None:
    stream = b"".join(written("Grüße. ", "Bye.")).replace(b"\n", end)  # type: ignore[arg-type]
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert read(*pieces) == [Words("Grüße. "), Words("Bye."), ReplyEnd(None, 21, 7)]


def test_only_data_is_read() -> None:
    assert data(b": alive\n\nevent: x\nid: 1\ndata:a\n\ndata: b \nretry: 1\n") == ["a", "b"]


def test_the_end_may_be_told_in_one_way_or_the_other() -> None:
    assert read(event(content="Hello."), event("stop")) == [Words("Hello."), ReplyEnd()]
    assert read(event(content="Hello."), DONE) == [Words("Hello."), ReplyEnd()]


def test_a_refusal_of_the_model_is_its_answer() -> None:
    assert read(event(refusal="I cannot."), DONE)[0] == Words("I cannot.")


def test_thoughts_are_no_words() -> None:
    assert read(event(reasoning_content="Hm."), event(content=None), DONE) == [ReplyEnd()]


def numberless(call_id: str | None, name: str, arguments: str) -> bytes:
    told: dict[str, Any] = {"function": {"name": name, "arguments": arguments}}
    return event(tool_calls=[told | ({"id": call_id} if call_id else {})])


def test_calls_are_told_apart_without_numbers_or_with_one_for_all() -> None:
    whole = read(numberless("call_a", "weather", "{}"), numberless("call_b", "weather", "[]"), DONE)
    assert whole[:2] == [CallPart(0, "call_a", "weather", "{}"), CallPart(1, "call_b", "weather", "[]")]
    same = read(call(0, "{}", "weather", "call_a"), call(0, "[]", "weather", "call_b"), DONE)
    assert same[:2] == whole[:2]


def test_a_call_without_an_id_is_given_one() -> None:
    first, second, _ = read(numberless(None, "weather", "{}"), numberless(None, "weather", "{}"), DONE)
    assert isinstance(first, CallPart)
    assert isinstance(second, CallPart)
    assert first.call_id.startswith("call_")
    assert first.call_id != second.call_id


def test_counts_that_are_none_are_not_taken() -> None:
    assert read(event(usage={"prompt_tokens": "many"}), DONE) == [ReplyEnd()]


@pytest.mark.parametrize(
    ("answer", "told"),
    [({"error": {"message": "no"}}, "no"), ({"error": "no"}, "no"), ({"detail": "no"}, ""), ([], ""), (None, "")],
)
def test_what_a_server_says_went_wrong(answer: Any, told: str) -> None:
    assert error_of(json.loads(json.dumps(answer))) == told
