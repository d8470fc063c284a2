"""serving/realtime/beta.py: the names of OpenAI's beta for the same things."""

from typing import Any

import pytest
from realtime_fixtures import Client, judge

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
    told = server_events.SessionUpdated(session=settings.to_json() | {"id": "sess_1", "expires_at": 1})
    event = dialect.write(told.to_json("event_1"))
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
    told = BetaDialect().translate(caught.value)
    assert (told.code, told.param) == (code, param)
    assert caught.value.param == param or f"'{caught.value.param}'" not in told.message


def test_the_text_of_an_error_has_betas_names_too() -> None:
    error = Client(beta=True).error("session.update", session={"voice": 7})
    assert "'session.voice" in error["message"], error["message"]
    assert "audio.output" not in error["message"], error["message"]


def test_a_transcription_session_has_events_of_its_own() -> None:
    client = Client(beta=True, settings=TranscriptionSettings(type="transcription"))
    assert client.created["type"] == "transcription_session.created"
    wanted = {
        "input_audio_format": "g711_ulaw", "input_audio_transcription": {"model": "whisper-1", "language": "en"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400}, "modalities": ["text"],
        "include": ["item.input_audio_transcription.logprobs"],
        "input_audio_noise_reduction": {"type": "near_field"},
    }  # fmt: skip
    (updated,) = client.says("transcription_session.update", session=wanted)
    assert updated["type"] == "transcription_session.updated"
    session = updated["session"]
    assert session["object"] == "realtime.transcription_session"
    assert session.keys() == {"id", "object", "expires_at", *wanted}
    assert session["turn_detection"] == {
        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 400,
        "idle_timeout_ms": None,
    }  # fmt: skip
    assert {name: session[name] for name in wanted if name in ("input_audio_format", "modalities", "include")} == {
        "input_audio_format": "g711_ulaw", "modalities": ["text"], "include": wanted["include"],
    }  # fmt: skip
    assert session["input_audio_transcription"] == {"model": "whisper-1", "language": "en", "prompt": None}


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"voice": "echo"}, "unknown_parameter", "session.voice"),
        ({"temperature": 1}, "unknown_parameter", "session.temperature"),
        ({"modalities": ["smell"]}, "invalid_value", "session.modalities"),
        ({"input_audio_format": "mp3"}, "invalid_value", "session.input_audio_format"),
        ({"input_audio_transcription": {"model": 3}}, "invalid_type", "session.input_audio_transcription.model"),
        ({"modalities": ["text"], "bogus": 1}, "unknown_parameter", "session.bogus"),
        (None, "invalid_type", "session"),
    ],
)
def test_mistakes_in_a_transcription_session_change_nothing(session: Any, code: str, param: str) -> None:
    client = Client(beta=True, settings=TranscriptionSettings(type="transcription"))
    error = client.error("transcription_session.update", session=session)
    assert (error["code"], error["param"]) == (code, param)
    (updated,) = client.says("transcription_session.update", session={})
    assert updated["session"] == client.created["session"]


@pytest.mark.parametrize(("mine", "other"), [("realtime", "transcription"), ("transcription", "realtime")])
def test_an_update_of_the_other_kind_of_session_is_refused(mine: str, other: str) -> None:
    settings = SESSION if mine == "realtime" else TranscriptionSettings(type="transcription")
    client = Client(beta=True, settings=settings)
    kind = "session.update" if other == "realtime" else "transcription_session.update"
    error = client.error(kind, session={"input_audio_format": "pcm16"})
    assert error["code"] == "invalid_parameter"
    assert error["message"] == f"Passing a {other} session update event to a {mine} session is not allowed."


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


def test_a_refused_temperature_is_not_shown() -> None:
    client = Client(beta=True)
    assert client.says("session.update", session={"temperature": 1.1, "bogus": 1})[0]["type"] == "error"
    (updated,) = client.says("session.update", session={})
    assert updated["session"]["temperature"] == 0.8


def test_a_response_shows_its_own_temperature() -> None:
    client = Client(beta=True)
    client.says("session.update", session={"temperature": 0.9})
    said = {"instructions": "Yes.", "temperature": 1.1}
    told = client.says("response.create", response=said) + client.hears_after_work()
    assert {event["response"]["temperature"] for event in told if "response" in event} == {1.1}
    refused = client.error("response.create", response={"temperature": 0.7, "bogus": 1})
    assert refused["param"] == "response.bogus"
    told = client.says("response.create", response={"instructions": "No."}) + client.hears_after_work()
    assert {event["response"]["temperature"] for event in told if "response" in event} == {0.9}


@pytest.mark.parametrize("transcribes", [False, True])
def test_turn_detection_without_a_type_is_the_one_that_was_known_first(transcribes: bool) -> None:
    client = Client(beta=True, settings=TranscriptionSettings(type="transcription") if transcribes else None)
    kind = "transcription_session.update" if transcribes else "session.update"
    (updated,) = client.says(kind, session={"turn_detection": {"threshold": 0.4}})
    detection = updated["session"]["turn_detection"]
    assert (detection["type"], detection["threshold"]) == ("server_vad", 0.4)
