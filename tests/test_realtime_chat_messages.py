"""serving/realtime/chat_messages.py: items and tools as a language model reads them."""

from typing import Any

import numpy as np
import pytest

from models.errors import InvalidRequest
from serving.realtime.audio_formats import PCM
from serving.realtime.chat_messages import order_of, unheard
from serving.realtime.client_events import ResponseParams
from serving.realtime.conversation import Item, Part
from serving.realtime.settings import RealtimeSettings

TOOL = {"type": "function", "name": "weather", "description": "Of a town.", "parameters": {"type": "object"}}


def settings(**given: Any) -> RealtimeSettings:
    return RealtimeSettings(type="realtime").updated({"type": "realtime", **given})


def written(role: str, text: str) -> Item:
    return Item("item", role=role, parts=[Part("output_text" if role == "assistant" else "input_text", text)])


def spoken(role: str, text: str | None, **fields: Any) -> Item:
    kind = "output_audio" if role == "assistant" else "input_audio"
    return Item("item", role=role, parts=[Part(kind, text, np.zeros(2400, np.int16), PCM)], **fields)


def called(call_id: str, arguments: str = "{}", status: str = "completed") -> Item:
    fields = {"name": "weather", "arguments": arguments, "call_id": call_id}
    return Item(f"item_{call_id}", "function_call", status=status, fields=fields)


def answered(call_id: str, output: str) -> Item:
    return Item(f"item_of_{call_id}", "function_call_output", fields={"call_id": call_id, "output": output})


def messages(*items: Item, **given: Any) -> list[dict[str, Any]]:
    return order_of(ResponseParams(), settings(**given), items).messages


def tool_call(call_id: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


def test_instructions_lead_and_items_follow_in_order() -> None:
    items = [
        written("system", "It rains."),
        spoken("user", "Hello?"),
        spoken("assistant", "Hi."),
        written("user", "Ok"),
    ]
    assert messages(*items, instructions="Be kind.") == [
        {"role": "system", "content": "Be kind."},
        {"role": "system", "content": "It rains."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Ok"},
    ]


@pytest.mark.parametrize(("of_response", "content"), [("Be brief.", "Be brief."), (None, "Be kind.")])
def test_instructions_of_a_response_take_the_place_of_the_sessions(of_response: str | None, content: str) -> None:
    order = order_of(ResponseParams(instructions=of_response), settings(instructions="Be kind."), [])
    assert order.messages == [{"role": "system", "content": content}]


def test_parts_are_lines_of_one_message() -> None:
    item = written("user", "Look:")
    item.parts.append(spoken("user", "this").parts[0])
    assert messages(item) == [{"role": "user", "content": "Look:\nthis"}]


def test_what_nobody_understood_is_said_to_be_so() -> None:
    items = [spoken("user", ""), spoken("user", None), spoken("user", "", silent=True), spoken("assistant", "")]
    assert [message["content"] for message in messages(*items)] == ["[inaudible]", "[inaudible]", "[silence]"]
    assert unheard(items) == [items[1]]


def test_a_speech_that_was_cut_says_what_was_heard_of_it() -> None:
    item = spoken("assistant", "One two three four.")
    item.parts[0].cut(60)  # of 100 ms
    assert item.parts[0].text is None
    assert messages(item) == [{"role": "assistant", "content": "One two"}]
    assert unheard([item]) == []
    item.parts[0].cut(30)
    assert messages(item) == [{"role": "assistant", "content": "One"}]
    item.parts[0].cut(0)
    with pytest.raises(InvalidRequest, match="has nothing to answer"):
        messages(item)


def test_a_cut_goes_by_what_was_said_when() -> None:
    item = spoken("assistant", "One two three four.")
    item.parts[0].marks = [(1200, 4), (2400, 19)]  # the first word took half of the time
    item.parts[0].cut(50)
    assert messages(item) == [{"role": "assistant", "content": "One"}]


def test_calls_are_one_message_with_their_answers_behind_it() -> None:
    items = [
        written("user", "Weather?"), spoken("assistant", "One moment."), called("a", '{"town": "Rome"}'), called("b"),
        written("user", "Hurry."), answered("b", "rain"), answered("gone", "?"),
    ]  # fmt: skip
    rome = tool_call("a", '{"town": "Rome"}')
    assert messages(*items) == [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "One moment.", "tool_calls": [rome, tool_call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "[no answer yet]"},
        {"role": "tool", "tool_call_id": "b", "content": "rain"},
        {"role": "user", "content": "Hurry."},
    ]  # fmt: skip


def test_calls_one_after_the_other_stay_so() -> None:
    found = messages(
        called("a", ""), answered("a", "1"), called("b"), answered("b", "2"), called("c", "{", "incomplete")
    )
    assert [message["role"] for message in found] == ["assistant", "tool", "assistant", "tool"]
    assert found[0] == {"role": "assistant", "content": None, "tool_calls": [tool_call("a")]}


def test_tools_are_the_responses_or_else_the_sessions() -> None:
    set_up = settings(tools=[TOOL], tool_choice="required", parallel_tool_calls=False, reasoning={"effort": "low"})
    order = order_of(ResponseParams(), set_up, [written("user", "Hi.")])
    assert order.tools == [{"type": "function", "function": {name: TOOL[name] for name in TOOL if name != "type"}}]
    assert (order.tool_choice, order.parallel_tool_calls, order.reasoning_effort) == ("required", False, "low")
    own = ResponseParams.model_validate({"tools": [], "tool_choice": {"type": "function", "name": "weather"}})
    order = order_of(own, set_up, [written("user", "Hi.")])
    assert (order.tools, order.tool_choice) == ([], {"type": "function", "function": {"name": "weather"}})
    with pytest.raises(InvalidRequest, match="tool_choice: is of a kind"):
        order_of(ResponseParams(), settings(tool_choice={"type": "mcp", "server_label": "x"}), [written("user", "Hi.")])


def test_a_limit_is_the_models_where_nothing_is_spoken() -> None:
    set_up = settings(max_output_tokens=40)
    items = [written("user", "Hi.")]
    assert order_of(ResponseParams(), set_up, items).most_tokens is None
    assert order_of(ResponseParams(output_modalities=["text"]), set_up, items).most_tokens == 40
