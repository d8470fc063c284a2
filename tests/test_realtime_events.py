"""What clients may send, and each mistake in OpenAI's words: realtime/client_events.py, settings.py, items.py."""

import json
import typing
from typing import Any

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter
from realtime_fixtures import judge

from serving.realtime import server_events
from serving.realtime.client_events import (
    TYPES,
    Append,
    ResponseCreate,
    SessionUpdate,
    event_id_of,
    parse_event,
    parse_json,
)
from serving.realtime.faults import Fault
from serving.realtime.settings import MODEL, RealtimeSettings, ServerVad, TranscriptionSettings, VoiceId

SESSION = RealtimeSettings(type="realtime")
VAD = {"type": "server_vad"}
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "[S1] Good morning."}]}


def take(text: str) -> None:
    parsed = parse_event(parse_json(text))
    if isinstance(parsed, SessionUpdate):
        SESSION.updated(parsed.session)


def fault_of(event: Any) -> tuple[str | None, str | None, str]:
    """(code, param, message) of the one mistake in it."""
    with pytest.raises(Fault) as caught:
        take(event if isinstance(event, str) else json.dumps(event))
    return caught.value.code, caught.value.param, caught.value.message


def update(**session: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def heard(**fields: Any) -> dict[str, Any]:
    return update(audio={"input": fields})


def create(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": item}


@pytest.mark.parametrize(
    ("event", "code", "param", "message"),
    [
        ("{", "invalid_json", None, "The event is no JSON that can be read."),
        ("[" * 100_000, "invalid_json", None, "The event is no JSON that can be read."),
        ('{"type": NaN}', "invalid_json", None, "The event is no JSON that can be read."),
        ("[1]", "invalid_event", None, "An event must be a JSON object."),
        ("{}", "invalid_event", None, "The 'type' field is missing."),
        ({"type": "nope"}, "invalid_value", "type", "Invalid value: 'nope'. Supported values are: 'session.update', "),
        ({"type": 3}, "invalid_value", "type", "Invalid value: '3'. Supported values are: "),
        (
            {"type": "output_audio_buffer.clear"},
            "invalid_value",
            "type",
            "'output_audio_buffer.clear' is for WebRTC and SIP",
        ),
        ({"type": "session.update"}, "missing_required_parameter", "session", "Missing required parameter: 'session'."),
        (
            {"type": "session.update", "session": {}},
            "missing_required_parameter",
            "session.type",
            "Missing required parameter: 'session.type'.",
        ),
        (update(bogus=1), "unknown_parameter", "session.bogus", "Unknown parameter: 'session.bogus'."),
        (heard(gain=1), "unknown_parameter", "session.audio.input.gain", "Unknown parameter: "),
        (heard(format="pcm16"), "invalid_type", "session.audio.input.format", "Invalid type for"),
        (
            heard(format={"type": "g711-ulaw"}),
            "invalid_value",
            "session.audio.input.format.type",
            "Invalid value: 'g711-ulaw'. Supported values are: 'audio/pcm', 'audio/pcmu', 'audio/pcma'.",
        ),
        (
            heard(format={"type": "audio/pcm", "rate": 16000}),
            "integer_below_min_value",
            "session.audio.input.format.rate",
            "Invalid 'session.audio.input.format.rate': integer below minimum value. Expected a value >= 24000, but "
            "got 16000 instead.",
        ),
        (
            heard(turn_detection=VAD | {"threshold": 1.5}),
            "decimal_above_max_value",
            "session.audio.input.turn_detection.threshold",
            "Invalid 'session.audio.input.turn_detection.threshold': decimal above maximum value.",
        ),
        (
            heard(turn_detection=VAD | {"idle_timeout_ms": 4999}),
            "integer_below_min_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
            "Invalid",
        ),
        (
            heard(turn_detection=VAD | {"idle_timeout_ms": 30_001}),
            "integer_above_max_value",
            "session.audio.input.turn_detection.idle_timeout_ms",
            "Invalid",
        ),
        (
            heard(turn_detection={"type": "semantic_vad", "eagerness": "keen"}),
            "invalid_value",
            "session.audio.input.turn_detection.eagerness",
            "Invalid value: 'keen'. Supported values are: 'low', 'medium', 'high', 'auto'.",
        ),
        (
            heard(turn_detection={"type": "semantic_vad", "threshold": 0.5}),
            "unknown_parameter",
            "session.audio.input.turn_detection.threshold",
            "Unknown parameter: 'session.audio.input.turn_detection.threshold'.",
        ),
        (heard(noise_reduction={"type": "none"}), "invalid_value", "session.audio.input.noise_reduction.type", "In"),
        (update(audio={"output": {"speed": 2}}), "decimal_above_max_value", "session.audio.output.speed", "Invalid"),
        (update(audio={"output": {"voice": {"id": 3}}}), "invalid_value", "session.audio.output.voice", "Invalid"),
        (update(instructions=3), "invalid_type", "session.instructions", "Invalid type for 'session.instructions': "),
        (update(instructions="a" * 70_000), "string_above_max_length", "session.instructions", "Invalid"),
        (update(tools=[{"type": "mcp"}]), "invalid_value", "session.tools[0].type", "Invalid value: 'mcp'."),
        (update(max_output_tokens=5000), "invalid_value", "session.max_output_tokens", "Invalid"),
        (update(output_modalities=["text", "audio"]), "array_above_max_length", "session.output_modalities", "Invalid"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio", "Missing"),
        (
            {"type": "input_audio_buffer.append", "audio": 1},
            "invalid_type",
            "audio",
            "Invalid type for 'audio': expected a string, but got an integer instead.",
        ),
        ({"type": "input_audio_buffer.commit", "audio": "AAAA"}, "unknown_parameter", "audio", "Unknown"),
        ({"type": "input_audio_buffer.clear", "event_id": "e" * 513}, "string_above_max_length", "event_id", "Invalid"),
        (
            create(USER | {"content": [{"type": "input_image"}]}),
            "invalid_value",
            "item.content[0].type",
            "Invalid value: 'input_image'. Supported values are: 'input_text', 'input_audio'.",
        ),
        (create({"type": "message"}), "missing_required_parameter", "item.role", "Missing"),
        (create(USER | {"id": "i" * 65}), "string_above_max_length", "item.id", "Invalid"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id", "Missing"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
            "integer_below_min_value",
            "audio_end_ms",
            "Invalid",
        ),
        (
            {"type": "response.create", "response": {"conversation": "mine"}},
            "invalid_value",
            "response.conversation",
            "Invalid value: 'mine'. Supported values are: 'auto', 'none'.",
        ),
        ({"type": "response.create", "response": {"audio": {"output": {"speed": 1}}}}, "unknown_parameter",
         "response.audio.output.speed", "Unknown"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_openais_words(event: Any, code: str, param: str | None, message: str) -> None:
    told = fault_of(event)
    assert told[:2] == (code, param)
    assert told[2].startswith(message)


def test_an_event_of_too_many_values_is_refused_before_they_are_read() -> None:
    assert fault_of('{"type": "session.update", "session": [' + "1," * 200_000 + "1]}")[0] == "invalid_event"


def test_what_a_client_says_of_itself_is_repeated_shortened() -> None:
    assert len(fault_of({"type": "x" * 10_000})[2]) < 1000
    assert len(fault_of(update(**{"y" * 10_000: 1}))[2]) < 1000


def test_the_clients_own_id_of_an_event_is_found_in_whatever_it_sent() -> None:
    assert event_id_of({"type": "nope", "event_id": "event_7"}) == "event_7"
    assert event_id_of({"type": "nope", "event_id": 7}) is None


def test_every_event_of_openais_clients_is_known() -> None:
    """Their own union of events, name by name."""
    schema = json.dumps(TypeAdapter(RealtimeClientEvent).json_schema())
    union = typing.get_args(typing.get_args(RealtimeClientEvent)[0])
    theirs = {typing.get_args(event.model_fields["type"].annotation)[0] for event in union}
    assert theirs == TYPES.keys()
    assert all(name in schema for name in TYPES)


def test_events_of_the_sdk_are_read_as_they_are_sent() -> None:
    """openai-java and openai-python leave out what is not set."""
    appended = parse_event(parse_json('{"audio": "AAAA", "type": "input_audio_buffer.append", "event_id": "e1"}'))
    assert appended == Append(type="input_audio_buffer.append", audio="AAAA", event_id="e1")
    asked = parse_event(
        {"type": "response.create", "response": {"audio": {"output": {"voice": {"id": "item_A"}}}, "input": [USER]}}
    )
    assert isinstance(asked, ResponseCreate)
    assert asked.response.audio.output.voice == VoiceId(id="item_A")


def test_a_session_begins_as_openais_does() -> None:
    shown = SESSION.to_json()
    assert shown["audio"]["input"]["turn_detection"] == {
        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
        "idle_timeout_ms": None, "create_response": True, "interrupt_response": True,
    }  # fmt: skip
    assert shown["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert (shown["model"], shown["output_modalities"], shown["max_output_tokens"]) == (MODEL, ["audio"], "inf")


def test_an_update_changes_what_is_present_and_nothing_else() -> None:
    first = SESSION.updated({"type": "realtime", "audio": {"input": {"turn_detection": VAD | {"threshold": 0.7}}}})
    second = first.updated(
        {"type": "realtime", "instructions": "Hello.", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    )
    assert second.audio.input.turn_detection == ServerVad(type="server_vad", threshold=0.7)
    assert second.to_json()["audio"]["input"]["transcription"] == {
        "model": "whisper-1", "language": None, "prompt": None
    }  # fmt: skip
    third = second.updated({"type": "realtime", "audio": {"input": {"transcription": {"language": "en"}}}})
    assert third.audio.input.transcription is not None
    assert (third.audio.input.transcription.model, third.instructions) == ("whisper-1", "Hello.")


def test_null_clears_or_restores_the_default() -> None:
    changed = SESSION.updated({"type": "realtime", "instructions": "Hello.", "audio": {"output": {"speed": 1.2}}})
    cleared = changed.updated(
        {
            "type": "realtime",
            "instructions": None,
            "audio": {"input": {"turn_detection": None}, "output": {"speed": None}},
        }
    )
    assert (cleared.instructions, cleared.audio.output.speed) == ("", 1.0)
    assert cleared.audio.input.turn_detection is None


def test_another_kind_of_turn_detection_starts_from_its_own_defaults() -> None:
    changed = SESSION.updated({"type": "realtime", "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    assert changed.to_json()["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True
    }  # fmt: skip


def test_a_refused_update_changes_nothing() -> None:
    with pytest.raises(Fault):
        SESSION.updated({"type": "realtime", "instructions": "Hello.", "bogus": 1})
    assert SESSION.instructions == ""


@pytest.mark.parametrize("settings", [SESSION, TranscriptionSettings(type="transcription")])
def test_a_session_is_one_of_openais(settings: Any) -> None:
    shown = settings.to_json() | {"id": "sess_1", "expires_at": 1_800_000_000}
    judge(server_events.SessionCreated(session=shown).to_json("event_1"))
    if settings.type == "transcription":
        assert "create_response" not in shown["audio"]["input"]["turn_detection"]
