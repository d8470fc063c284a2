"""serving/realtime/beta.py: the names of OpenAI's beta for the same things."""

from typing import Any

import pytest
from realtime_fixtures import judge

from serving.realtime import server_events
from serving.realtime.beta import BetaDialect
from serving.realtime.client_events import parse_event
from serving.realtime.faults import Fault
from serving.realtime.settings import Pcmu, RealtimeSettings, TranscriptionSettings

SESSION = RealtimeSettings(type="realtime")


def updated(session: dict[str, Any]) -> RealtimeSettings:
    return SESSION.updated(BetaDialect().read({"type": "session.update", "session": session})["session"])


def test_a_flat_session_is_read() -> None:
    settings = updated(
        {
            "modalities": ["text", "audio"], "voice": "alloy", "input_audio_format": "g711_ulaw",
            "output_audio_format": "pcm16", "input_audio_transcription": {"model": "whisper-1"},
            "input_audio_noise_reduction": {"type": "near_field"}, "temperature": 0.7, "speed": 1.1,
            "turn_detection": None, "max_response_output_tokens": 100, "tools": [], "instructions": "Hello.",
        }
    )  # fmt: skip
    assert settings.audio.input.format == Pcmu(type="audio/pcmu")
    assert settings.audio.input.turn_detection is None
    assert (settings.audio.output.voice, settings.audio.output.speed) == ("alloy", 1.1)
    assert (settings.output_modalities, settings.max_output_tokens) == (["audio"], 100)


def test_a_session_is_shown_flat() -> None:
    dialect = BetaDialect()
    dialect.read({"type": "session.update", "session": {"temperature": 1.1}})
    settings = updated({"voice": "echo", "output_audio_format": "g711_alaw"})
    created = server_events.SessionCreated(session=settings.to_json() | {"id": "sess_1", "expires_at": 1})
    event = dialect.write(created.to_json("event_1"))
    assert event is not None
    judge(event, beta=True)
    shown = event["session"]
    assert (shown["voice"], shown["output_audio_format"], shown["temperature"]) == ("echo", "g711_alaw", 1.1)
    assert shown["modalities"] == ["text", "audio"]
    assert not {"audio", "output_modalities", "type"} & shown.keys()


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"input_audio_format": "g711-ulaw"}, "invalid_value", "session.input_audio_format"),
        ({"input_audio_format": ["pcm16"]}, "invalid_value", "session.input_audio_format"),
        ({"audio": {}}, "unknown_parameter", "session.audio"),
        ({"bogus": 1}, "unknown_parameter", "session.bogus"),
        ({"turn_detection": {"type": "vad"}}, "invalid_value", "session.turn_detection.type"),
        ({"voice": 7}, "invalid_value", "session.voice"),
        ({"temperature": 2}, "decimal_above_max_value", "session.temperature"),
        ({"temperature": "hot"}, "invalid_type", "session.temperature"),
    ],
)
def test_mistakes_are_told_by_betas_names(session: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(Fault) as caught:
        updated(session)
    assert (caught.value.code, BetaDialect().param(caught.value.param)) == (code, param)


def test_a_transcription_session_has_an_event_of_its_own() -> None:
    event = BetaDialect().read(
        {"type": "transcription_session.update", "session": {"input_audio_transcription": {"model": "whisper-1"}}}
    )
    assert event["type"] == "session.update"
    changed = TranscriptionSettings(type="transcription").updated(event["session"])
    assert changed.audio.input.transcription is not None


def test_a_response_is_asked_for_and_shown_in_betas_words() -> None:
    dialect = BetaDialect()
    assistant = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Yes."}]}
    asked = {"modalities": ["text"], "voice": "s1", "temperature": 0.8, "input": [assistant]}
    parsed = parse_event(dialect.read({"type": "response.create", "response": asked}))
    assert parsed.response.output_modalities == ["text"]  # type: ignore[attr-defined]
    assert parsed.response.audio.output.voice == "s1"  # type: ignore[attr-defined]
    item = {
        "id": "item_1", "object": "realtime.item", "type": "message", "status": "completed", "role": "assistant",
        "content": [{"type": "output_audio", "transcript": "Yes."}],
    }  # fmt: skip
    response = {
        "id": "resp_1", "object": "realtime.response", "status": "completed", "status_details": None, "output": [item],
        "conversation_id": "conv_1", "output_modalities": ["audio"], "max_output_tokens": "inf", "usage": None,
        "metadata": None, "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "s1"}},
    }  # fmt: skip
    event = dialect.write(server_events.ResponseDone(response=response).to_json("event_1"))
    assert event is not None
    judge(event, beta=True)
    assert event["response"]["output"][0]["content"][0]["type"] == "audio"
    assert (event["response"]["voice"], event["response"]["output_audio_format"]) == ("s1", "pcm16")


def test_events_have_betas_names() -> None:
    dialect = BetaDialect()
    part = {"response_id": "resp_1", "item_id": "item_1"}
    events = [
        server_events.AudioDelta(**part, delta="AAAA"), server_events.AudioDone(**part),
        server_events.TranscriptDelta(**part, delta="a"), server_events.TranscriptDone(**part, transcript="a"),
        server_events.TextDelta(**part, delta="a"), server_events.TextDone(**part, text="a"),
    ]  # fmt: skip
    named = [dialect.write(event.to_json("event_1")) for event in events]
    assert [event and event["type"] for event in named] == [
        "response.audio.delta", "response.audio.done", "response.audio_transcript.delta",
        "response.audio_transcript.done", "response.text.delta", "response.text.done",
    ]  # fmt: skip
    for event in named:
        judge(event or {}, beta=True)


def test_items_are_created_and_never_done() -> None:
    item = {"id": "item_1", "object": "realtime.item", "type": "message", "role": "user", "status": "completed"}
    added = server_events.ItemAdded(previous_item_id=None, item=item | {"content": []}).to_json("event_1")
    created = BetaDialect().write(added)
    assert created is not None
    assert created["type"] == "conversation.item.created"
    judge(created, beta=True)
    assert BetaDialect().write(added | {"type": "conversation.item.done"}) is None
