"""What odd clients send to the Realtime socket: events as they ought to be, events with one thing wrong, and no events.

An action is a frame of text, or what happens meanwhile: Work (all that waits in the background is done) and Wait.
"""

import base64
import copy
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

IDS = ("one", "two", "three", "root", "item_none")
FORMATS = ({"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"})
FRAMES = (  # that are no event
    "", " ", "{", "[]", "[1]", "null", "3", '"type"', "{}", '{"type": null}', '{"type": "nope"}', '{"type": NaN}',
    '{"type": "session.update", "session": {"type": "realtime", "tracing": 1e999}}', "\0", "{" * 200, "[" * 100_000,
    '{"type":' * 100_000, '{"a":' * 80 + "1" + "}" * 80, '{"type": "\\ud800"}', "1" * 5000, "," * 100_001, "ä" * 5000,
    '{"type": "input_audio_buffer.clear", "type": "nope"}', '{"type": {"type": "session.update"}}', '{"type": [[]]}',
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What runs in the background runs now."""


@dataclass(frozen=True)
class Wait:
    seconds: float


Action = str | Work | Wait


def _audio(seconds: float, level: int) -> str:
    return base64.b64encode(np.full(round(24_000 * seconds), level, "<i2").tobytes()).decode()


AUDIO = (_audio(0.02, 3000), _audio(0.3, 3000), _audio(0.3, 0), _audio(1.5, 0), "AA==", "AAAA", "", "*", "AAA", "ÄÄÄÄ")

# By number: what hypothesis shows of a strategy holds all that is sampled from.
audio = st.integers(0, len(AUDIO) - 1).map(lambda number: AUDIO[number])
no_events = st.integers(0, len(FRAMES) - 1).map(lambda number: FRAMES[number])
words = st.text(max_size=20) | st.sampled_from(["Hello.", "[S1] Hello. [S2] Hi.", "", "\ud800", "\0", "x" * 600])
ids = st.sampled_from(IDS) | st.text(max_size=70)
numbers = st.integers() | st.integers(-2, 3000) | st.floats()
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
voices = st.sampled_from(["marin", "s1", "nobody", {"id": "one"}, {"id": "one,two"}, {"id": "voice_none"}])
formats = st.sampled_from(FORMATS)
transcriptions = st.sampled_from([None, {"model": "whisper-1"}, {"model": "whisper-1", "language": "en"}])
noises = st.sampled_from([None, {"type": "near_field"}])
detections = st.none() | st.fixed_dictionaries(
    {"type": st.just("server_vad")},
    optional={
        "threshold": st.floats(0, 1),
        "silence_duration_ms": st.integers(0, 500),
        "prefix_padding_ms": st.integers(0, 2000),
        "idle_timeout_ms": st.none() | st.integers(5000, 6000),
        "create_response": st.booleans(),
        "interrupt_response": st.booleans(),
    },
)  # fmt: skip
semantic = st.fixed_dictionaries(
    {"type": st.just("semantic_vad"), "eagerness": st.sampled_from(["low", "medium", "high", "auto"])}
)


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


sessions = _optional(
    instructions=words,
    output_modalities=st.sampled_from([["audio"], ["text"]]),
    max_output_tokens=st.sampled_from(["inf", 1, 4096]),
    tools=st.just([{"type": "function", "name": "f", "parameters": {"a": 1}}]),
    tracing=values,
    audio=_optional(
        input=_optional(
            format=formats, transcription=transcriptions, noise_reduction=noises, turn_detection=detections | semantic
        ),
        output=_optional(format=formats, voice=voices, speed=st.floats(0.25, 1.5)),
    ),
).map(lambda given: {"type": "realtime", **given})
parts = st.one_of(
    words.map(lambda text: {"type": "input_text", "text": text}),
    audio.map(lambda sound: {"type": "input_audio", "audio": sound}),
)
items = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("message"), "role": st.just("user"), "content": st.lists(parts, max_size=3)},
        optional={"id": ids, "status": st.sampled_from(["completed", "incomplete"])},
    ),
    words.map(lambda text: {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}),
    words.map(
        lambda text: {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    ),
    words.map(lambda text: {"type": "function_call", "name": text, "arguments": "{}"}),
)
responses = _optional(
    instructions=words,
    conversation=st.sampled_from(["auto", "none"]),
    output_modalities=st.sampled_from([["audio"], ["text"]]),
    max_output_tokens=st.sampled_from(["inf", 1]),
    metadata=st.just({"a": "b"}),
    input=st.lists(items | ids.map(lambda item_id: {"type": "item_reference", "id": item_id}), max_size=2),
    audio=_optional(output=_optional(format=formats, voice=voices)),
)


def _event(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields}, optional={"event_id": words})


events = st.one_of(
    *[_event("input_audio_buffer.append", audio=audio) for _ in range(3)],  # as clients do most
    _event("session.update", session=sessions),
    _event("input_audio_buffer.commit"),
    _event("input_audio_buffer.clear"),
    _event("conversation.item.create", item=items),
    _event("conversation.item.create", item=items, previous_item_id=ids | st.none()),
    _event("conversation.item.retrieve", item_id=ids),
    _event("conversation.item.delete", item_id=ids),
    _event(
        "conversation.item.truncate",
        item_id=ids,
        content_index=st.integers(-1, 2),
        audio_end_ms=st.integers(-1, 2000),
    ),
    _event("response.create", response=responses),
    _event("response.create"),
    _event("response.cancel"),
    _event("response.cancel", response_id=ids),
    _event("output_audio_buffer.clear"),
)


@st.composite
def _damaged(draw: st.DrawFn) -> dict[str, Any]:
    """An event in which one value is another, or gone, or one too much."""
    event = copy.deepcopy(draw(events))
    place: Any = event
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        deeper = [key for key in keys if isinstance(place[key], dict | list) and place[key]]
        if not deeper or not draw(st.booleans()):
            break
        place = place[draw(st.sampled_from(deeper))]
    key = draw(st.sampled_from(list(keys)))
    match draw(st.sampled_from(["other", "gone", "more"])):
        case "gone":
            del place[key]
        case "more" if isinstance(place, dict):
            place[draw(words)] = draw(values)
        case _:
            place[key] = draw(values)
    return event


frames = st.one_of(events.map(json.dumps), events.map(json.dumps), _damaged().map(json.dumps), no_events, st.text())
actions: st.SearchStrategy[Action] = st.one_of(
    frames, frames, frames, frames, frames, st.just(Work()), st.sampled_from([Wait(0.1), Wait(6.0)])
)
