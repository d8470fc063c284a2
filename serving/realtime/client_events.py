"""Every event that a client may send, in the GA dialect, and the text of one → the event, or the fault in it."""

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from serving.realtime.faults import Fault, not_supported
from serving.realtime.fields import LONGEST_SHOWN, Frozen, Json, read
from serving.realtime.items import Id, InputItem, Item
from serving.realtime.settings import (
    LONGEST_INSTRUCTIONS,
    AudioFormat,
    Modality,
    Prompt,
    Reasoning,
    Tokens,
    Tool,
    ToolChoice,
    Voice,
)

LONGEST_EVENT_ID = 512  # characters
MOST_COMMAS = 100_000  # of an event: reading many values takes long, under Python's global lock
MOST_DEPTH = 64  # of objects and arrays in each other: who reads or writes deeper ones stops at limits of his own
BUFFER_FOR_CALLS = (
    "'output_audio_buffer.clear' is for WebRTC and SIP; over WebSocket the client itself holds the audio."
)


class ClientEvent(Frozen):
    event_id: str | None = Field(default=None, max_length=LONGEST_EVENT_ID)


class SessionUpdate(ClientEvent):
    type: Literal["session.update"]
    session: Any  # what it may be depends on what the session is: settings.updated


class Append(ClientEvent):
    type: Literal["input_audio_buffer.append"]
    audio: str  # its length is the buffer's affair, in bytes of audio


class Commit(ClientEvent):
    type: Literal["input_audio_buffer.commit"]


class Clear(ClientEvent):
    type: Literal["input_audio_buffer.clear"]


class ItemCreate(ClientEvent):
    """previous_item_id: behind which one it goes; "root": in front of all; None: behind all."""

    type: Literal["conversation.item.create"]
    item: Item
    previous_item_id: Id | None = None


class ItemRetrieve(ClientEvent):
    type: Literal["conversation.item.retrieve"]
    item_id: str


class ItemDelete(ClientEvent):
    type: Literal["conversation.item.delete"]
    item_id: str


class ItemTruncate(ClientEvent):
    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: int = Field(ge=0)
    audio_end_ms: int = Field(ge=0)


class ResponseOutput(Frozen):
    format: AudioFormat | None = None
    voice: Voice | None = None


class ResponseAudio(Frozen):
    output: ResponseOutput = ResponseOutput()


class ResponseParams(Frozen):
    """What holds for one response alone; what is None here is as the session has it.

    input: its context in place of the conversation. conversation "none": what it says is not added to it.
    """

    conversation: Literal["auto", "none"] = "auto"
    input: list[InputItem] | None = Field(default=None, max_length=1000)
    instructions: str | None = Field(default=None, max_length=LONGEST_INSTRUCTIONS)
    audio: ResponseAudio = ResponseAudio()
    output_modalities: list[Modality] | None = Field(default=None, min_length=1, max_length=1)
    max_output_tokens: Tokens | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    prompt: Prompt | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None


class ResponseCreate(ClientEvent):
    type: Literal["response.create"]
    response: ResponseParams = ResponseParams()


class ResponseCancel(ClientEvent):
    type: Literal["response.cancel"]
    response_id: str | None = None


class OutputBufferClear(ClientEvent):
    type: Literal["output_audio_buffer.clear"]


_EVENTS = (
    SessionUpdate, Append, Commit, Clear, ItemCreate, ItemRetrieve, ItemDelete, ItemTruncate, ResponseCreate,
    ResponseCancel, OutputBufferClear,
)  # fmt: skip
TYPES: Mapping[str, type[ClientEvent]] = {
    event.model_fields["type"].annotation.__args__[0]: event  # type: ignore[union-attr]
    for event in _EVENTS
}


def parse_json(text: str) -> Json:
    """The object that a frame holds. Raises Fault."""
    if text.count(",") > MOST_COMMAS:
        raise Fault("invalid_event", f"The event holds more than {MOST_COMMAS} commas, the most that are read.")
    try:
        event = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Fault("invalid_json", "The event is no JSON that can be read.") from error
    if not isinstance(event, dict):
        raise Fault("invalid_event", "An event must be a JSON object.")
    if text.count("{") + text.count("[") > MOST_DEPTH and _is_deeper(event, MOST_DEPTH):
        raise Fault("invalid_event", f"The event is nested more than {MOST_DEPTH} deep, the most that is read.")
    return event


def parse_event(event: Json) -> ClientEvent:
    """Raises Fault, whose param is the path of what is wrong."""
    if "type" not in event:
        raise Fault("invalid_event", "The 'type' field is missing.")
    kind = event["type"]
    if not isinstance(kind, str) or kind not in TYPES:
        raise not_supported("type", str(kind)[:LONGEST_SHOWN], TYPES)
    if kind == "output_audio_buffer.clear":
        raise Fault("invalid_value", BUFFER_FOR_CALLS, "type")
    return read(TYPES[kind], event)


def event_id_of(event: Json) -> str | None:
    """The client's own, by which it knows what an error is about."""
    given = event.get("event_id")
    return given[:LONGEST_EVENT_ID] if isinstance(given, str) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(number: str) -> float:
    """1e999 is JSON, but what it becomes could not be shown again."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no number that can be kept")
    return value


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return False
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return True
