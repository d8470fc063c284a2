"""serving/realtime/session.py, the listening half: buffer, turns, items, transcription. Every event sent is judged."""

import base64
from typing import Any

import numpy as np
import pytest
from realtime_fixtures import Client, kinds, only

from models.errors import GenerationFailed, WeightsError
from serving.realtime.audio_formats import PCMA, PCMU
from serving.realtime.settings import TranscriptionSettings

LOUD = 3000
WHISPER = {"model": "whisper-1", "language": "en", "prompt": "Greetings."}
COMMITTED = ["committed", "item.added", "item.done"]


@pytest.fixture
def client() -> Client:
    return Client()


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}], **fields}


def vad(**fields: Any) -> dict[str, Any]:
    return {"input": {"turn_detection": {"type": "server_vad", "create_response": False, **fields}}}


def test_a_session_says_what_it_is(client: Client) -> None:
    assert client.created["type"] == "session.created"
    session = client.created["session"]
    assert session["expires_at"] == 1_800_003_600
    assert session["id"].startswith("sess_")


def test_a_commit_by_hand_is_answered_as_openai_does(client: Client) -> None:
    client.listens_by_hand(transcription=WHISPER)
    assert client.appends(0.5, LOUD) == []
    committed, added, done = client.says("input_audio_buffer.commit")
    item_id = committed["item_id"]
    assert kinds([committed, added, done]) == COMMITTED
    assert (committed["previous_item_id"], added["previous_item_id"]) == (None, None)
    item = {
        "id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }  # fmt: skip
    assert added["item"] == done["item"] == item
    first, second, completed = client.hears_after_work()
    assert (first["delta"] + second["delta"], first["item_id"]) == ("Good morning.", item_id)
    assert completed["transcript"] == "Good morning."
    assert completed["usage"] == {"type": "duration", "seconds": 0.5}
    samples, wanted = client.workers.heard[0]
    assert (samples, wanted.language, wanted.prompt) == (8000, "en", "Greetings.")


def test_the_second_item_names_the_first(client: Client) -> None:
    client.listens_by_hand()
    client.appends(0.1)
    first = client.says("input_audio_buffer.commit")[0]["item_id"]
    client.appends(0.1)
    assert client.says("input_audio_buffer.commit")[0]["previous_item_id"] == first


def test_a_transcription_that_fails_says_so_and_the_session_goes_on(client: Client) -> None:
    client.listens_by_hand(transcription=WHISPER)
    client.workers.said = GenerationFailed("The model is away.")
    client.appends(0.2, LOUD)
    item_id = client.says("input_audio_buffer.commit")[0]["item_id"]
    (failed,) = client.hears_after_work()
    assert failed["type"] == "conversation.item.input_audio_transcription.failed"
    assert (failed["item_id"], failed["error"]["message"]) == (item_id, "The model is away.")
    assert client.says("input_audio_buffer.clear")[0]["type"] == "input_audio_buffer.cleared"


def test_an_item_deleted_meanwhile_is_not_transcribed_any_more(client: Client) -> None:
    client.listens_by_hand(transcription=WHISPER)
    client.appends(0.2, LOUD)
    client.says("conversation.item.delete", item_id=client.says("input_audio_buffer.commit")[0]["item_id"])
    assert client.hears_after_work() == []


def test_without_transcription_nothing_is_transcribed(client: Client) -> None:
    client.listens_by_hand()
    client.appends(0.2, LOUD)
    client.says("input_audio_buffer.commit")
    assert client.hears_after_work() == []
    assert client.workers.heard == []


def test_a_retrieved_item_has_its_audio_and_no_other_event_does(client: Client) -> None:
    client.listens_by_hand()
    client.appends(0.1, LOUD)
    told = client.says("input_audio_buffer.commit")
    assert all("audio" not in event["item"]["content"][0] for event in told[1:])
    (retrieved,) = client.says("conversation.item.retrieve", item_id=told[0]["item_id"])
    audio = base64.b64decode(retrieved["item"]["content"][0]["audio"])
    assert audio == np.full(2400, LOUD, "<i2").tobytes()


@pytest.mark.parametrize("wire", [PCMU, PCMA], ids=lambda wire: wire.name)
def test_g711_comes_back_byte_for_byte_and_offsets_count_its_time(client: Client, wire: Any) -> None:
    client.updates(audio={"input": {"format": {"type": wire.name}, "turn_detection": vad()["input"]["turn_detection"]}})
    told = client.appends(1, 0, wire) + client.appends(1, LOUD, wire) + client.appends(0.5, 0, wire)
    assert kinds(told) == ["speech_started", "speech_stopped", *COMMITTED]
    assert abs(told[0]["audio_start_ms"] - 700) <= 32
    assert abs(told[1]["audio_end_ms"] - 2200) <= 32
    (retrieved,) = client.says("conversation.item.retrieve", item_id=told[0]["item_id"])
    audio = base64.b64decode(retrieved["item"]["content"][0]["audio"])
    loud = wire.encode(np.full(8000, LOUD, np.int16))
    assert loud in audio


def test_noise_reduction_is_heard_in_the_retrieved_item_and_shifts_nothing(client: Client) -> None:
    client.listens_by_hand(noise_reduction={"type": "near_field"})
    client.appends(0.1, LOUD)
    item_id = client.says("input_audio_buffer.commit")[0]["item_id"]
    (retrieved,) = client.says("conversation.item.retrieve", item_id=item_id)
    audio = np.frombuffer(base64.b64decode(retrieved["item"]["content"][0]["audio"]), "<i2")
    assert np.array_equal(audio, np.full(2400, LOUD // 2))


def test_noise_reduction_of_g711_keeps_every_sample(client: Client) -> None:
    client.listens_by_hand(noise_reduction={"type": "far_field"}, format={"type": "audio/pcmu"})
    client.appends(0.5, LOUD, PCMU)
    item_id = client.says("input_audio_buffer.commit")[0]["item_id"]
    (retrieved,) = client.says("conversation.item.retrieve", item_id=item_id)
    assert len(base64.b64decode(retrieved["item"]["content"][0]["audio"])) == 4000


# Turns


def test_a_turn_starts_with_its_padding_and_stops_with_the_silence_that_was_waited_for(client: Client) -> None:
    client.updates(audio=vad(prefix_padding_ms=100, silence_duration_ms=400))
    told = client.appends(1) + client.appends(1, LOUD) + client.appends(1)
    started, stopped, committed = told[:3]
    assert kinds(told) == ["speech_started", "speech_stopped", *COMMITTED]
    assert started["item_id"] == stopped["item_id"] == committed["item_id"]
    assert abs(started["audio_start_ms"] - 900) <= 32  # a frame of the detector
    assert abs(stopped["audio_end_ms"] - 2400) <= 32
    (retrieved,) = client.says("conversation.item.retrieve", item_id=committed["item_id"])
    seconds = len(base64.b64decode(retrieved["item"]["content"][0]["audio"])) / 48_000
    assert seconds == pytest.approx((stopped["audio_end_ms"] - started["audio_start_ms"]) / 1000, abs=0.002)


def test_audio_in_one_append_is_cut_into_the_same_turns_as_in_many() -> None:
    samples = np.concatenate(
        [np.full(round(s * 24_000), level, "<i2") for s, level in [(1, 0), (1, LOUD), (1, 0), (0.5, LOUD), (1, 0)]]
    )
    in_one, in_many = Client(), Client()
    for client in (in_one, in_many):
        client.updates(audio=vad())
    told = in_one.says("input_audio_buffer.append", audio=base64.b64encode(samples.tobytes()).decode())
    also = []
    for piece in np.array_split(samples, 300):
        also += in_many.says("input_audio_buffer.append", audio=base64.b64encode(piece.tobytes()).decode())
    times = ("audio_start_ms", "audio_end_ms")
    assert kinds(told) == kinds(also) == 2 * ["speech_started", "speech_stopped", *COMMITTED]
    for a, b in zip(told, also, strict=True):
        assert [a.get(name) for name in times] == [b.get(name) for name in times]


def test_a_threshold_that_is_never_reached_hears_no_turn(client: Client) -> None:
    client.updates(audio=vad(threshold=0.99))
    assert client.appends(2, LOUD) == []


def test_a_shorter_pause_cuts_more_turns() -> None:
    counts = []
    for pause_ms in (200, 600):
        client = Client()
        client.updates(audio=vad(silence_duration_ms=pause_ms))
        told = client.appends(0.5, LOUD) + client.appends(0.4) + client.appends(0.5, LOUD) + client.appends(1)
        counts.append(kinds(told).count("committed"))
    assert counts == [2, 1]


def test_turns_do_not_overlap_however_long_the_padding(client: Client) -> None:
    client.updates(audio=vad(prefix_padding_ms=2000, silence_duration_ms=200))
    told = client.appends(0.5, LOUD) + client.appends(0.4) + client.appends(0.5, LOUD) + client.appends(1)
    starts = [event["audio_start_ms"] for event in told if "audio_start_ms" in event]
    stops = [event["audio_end_ms"] for event in told if "audio_end_ms" in event]
    assert len(starts) == len(stops) == 2
    assert starts[1] >= stops[0]


def test_a_commit_by_hand_during_speech_takes_its_item_and_there_is_no_stop(client: Client) -> None:
    client.updates(audio=vad())
    (started,) = client.appends(0.96, LOUD)  # whole frames: the detector waits for the rest of none
    committed = client.says("input_audio_buffer.commit")
    assert kinds(committed) == COMMITTED
    assert committed[0]["item_id"] == started["item_id"]
    assert client.appends(1) == []  # that turn is over
    again = client.appends(1, LOUD)
    assert kinds(again) == ["speech_started"]
    assert again[0]["item_id"] != started["item_id"]


def test_a_commit_of_a_pause_is_an_item_that_nobody_transcribes(client: Client) -> None:
    """Whisper hears "Thank you." in silence."""
    client.updates(audio=vad() | {"input": vad()["input"] | {"transcription": WHISPER}})
    client.appends(1)
    told = client.says("input_audio_buffer.commit")
    assert kinds(told) == [*COMMITTED, "item.input_audio_transcription.completed"]
    assert told[-1]["transcript"] == ""
    assert client.workers.heard == []


def test_clear_forgets_the_turn(client: Client) -> None:
    client.updates(audio=vad())
    client.appends(0.96, LOUD)
    assert kinds(client.says("input_audio_buffer.clear")) == ["cleared"]
    assert kinds(client.says("input_audio_buffer.clear")) == ["cleared"]
    assert client.appends(1) == []


def test_settings_of_turns_hold_at_once(client: Client) -> None:
    client.updates(audio=vad(silence_duration_ms=5000))
    client.appends(0.5, LOUD)
    client.appends(0.3)
    client.updates(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}})
    assert kinds(client.appends(0.1))[:2] == ["speech_stopped", "committed"]


def test_between_turns_only_the_padding_is_kept(client: Client) -> None:
    client.updates(audio=vad(prefix_padding_ms=300))
    client.appends(5)
    (message,) = client.says("input_audio_buffer.commit")[:1]
    (retrieved,) = client.says("conversation.item.retrieve", item_id=message["item_id"])
    seconds = len(base64.b64decode(retrieved["item"]["content"][0]["audio"])) / 48_000
    assert 0.3 <= seconds < 0.4


@pytest.mark.parametrize(("eagerness", "wait"), [("low", 8.0), ("auto", 4.0), ("medium", 4.0), ("high", 2.0)])
def test_semantic_turns_wait_as_long_as_their_eagerness_says(client: Client, eagerness: str, wait: float) -> None:
    client.updates(
        audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness, "create_response": False}}}
    )
    client.appends(1, LOUD)
    assert client.appends(wait - 0.1) == []
    (stopped, *_) = client.appends(0.2)
    assert abs(stopped["audio_end_ms"] - 1000 * (1 + wait)) <= 32


def test_a_semantic_turn_that_sounds_finished_ends_at_once(client: Client) -> None:
    client.updates(audio={"input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}})
    client.workers.likely = 0.95
    client.appends(1, LOUD)
    told = client.appends(1)
    assert kinds(told) == ["speech_stopped", *COMMITTED]
    assert told[0]["audio_end_ms"] < 1300


def test_whether_a_turn_sounds_finished_is_asked_once_a_pause(client: Client) -> None:
    client.updates(audio={"input": {"turn_detection": {"type": "semantic_vad", "create_response": False}}})
    client.workers.likely = 0.1
    for _ in range(2):
        client.appends(0.5, LOUD)
        assert kinds(client.appends(1)) in ([], ["speech_started"])
    assert len(client.workers.judged) == 2


# Items


def test_items_go_where_they_are_told(client: Client) -> None:
    for item_id, after in [("b", None), ("c", None), ("a", "root"), ("d", "b")]:
        place = {} if after is None else {"previous_item_id": after}
        told = client.says("conversation.item.create", item=text("Hello.", id=item_id), **place)
        assert kinds(told) == ["item.added", "item.done"]
        assert told[0]["previous_item_id"] == {"b": None, "c": "b", "a": None, "d": "b"}[item_id]
    assert [item.id for item in client.session._conversation] == ["a", "b", "d", "c"]


def test_an_item_of_every_kind_is_kept_as_it_was_sent(client: Client) -> None:
    items: list[dict[str, Any]] = [
        text("Hello.", id="one"),
        {"id": "two", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}]},
        {"id": "three", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]},
        {"id": "four", "type": "function_call", "name": "look", "arguments": "{}", "call_id": "call_1"},
        {"id": "five", "type": "function_call_output", "call_id": "call_1", "output": "Nothing."},
        {
            "id": "six", "type": "message", "role": "user",
            "content": [{"type": "input_audio", "audio": "AAAAAA==", "transcript": "Hm."}],
        },
    ]  # fmt: skip
    for item in items:
        client.says("conversation.item.create", item=item)
        (retrieved,) = client.says("conversation.item.retrieve", item_id=item["id"])
        assert retrieved["item"] == item | {"object": "realtime.item", "status": "completed"}


def test_a_deleted_item_is_gone(client: Client) -> None:
    client.says("conversation.item.create", item=text("Hello.", id="one"))
    assert client.says("conversation.item.delete", item_id="one")[0]["item_id"] == "one"
    error = client.error("conversation.item.retrieve", item_id="one")
    assert error["code"] == "item_retrieve_invalid_item_id"


# Mistakes, one a row


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param", "message"),
    [
        ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty", None, "Error committing input"),
        ("input_audio_buffer.append", {"audio": "%"}, "invalid_value", "audio", "Invalid 'audio'. Expected base64"),
        ("input_audio_buffer.append", {"audio": ""}, "invalid_value", "audio", "Invalid 'audio'. Expected base64"),
        ("nope", {}, "invalid_value", "type", "Invalid value: 'nope'. Supported values are: 'session.update'"),
        ("session.update", {"session": {}}, "missing_required_parameter", "session.type", "Missing required"),
        (
            "session.update",
            {"session": {"type": "realtime", "bogus_field": 1}},
            "unknown_parameter",
            "session.bogus_field",
            "Unknown parameter: 'session.bogus_field'.",
        ),
        (
            "session.update",
            {"session": {"type": "realtime", "model": "gpt-9"}},
            "invalid_value",
            "session.model",
            "The model of a session stays",
        ),
        (
            "conversation.item.delete",
            {"item_id": "yo"},
            "item_delete_invalid_item_id",
            None,
            "Error deleting item: the item with id 'yo' does not exist.",
        ),
        ("conversation.item.retrieve", {"item_id": "yo"}, "item_retrieve_invalid_item_id", None, "Error retrieving"),
        (
            "conversation.item.truncate",
            {"item_id": "yo", "content_index": 0, "audio_end_ms": 0},
            "item_truncate_invalid_item_id",
            None,
            "Error truncating item",
        ),
        ("conversation.item.create", {"item": text("", id="taken")}, "invalid_value", "item.id", "Error adding item"),
        (
            "conversation.item.create",
            {"item": text(""), "previous_item_id": "yo"},
            "invalid_value",
            "previous_item_id",
            "Error adding item: the previous item with id 'yo' does not exist.",
        ),
        (
            "conversation.item.create",
            {"item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAA"}]}},
            "invalid_value",
            "item.content[0].audio",
            "Invalid 'item.content[0].audio'. Expected base64",
        ),
        ("response.cancel", {}, "response_cancel_not_active", None, "Cancellation failed: no active response found"),
        ("output_audio_buffer.clear", {}, "invalid_value", "type", "'output_audio_buffer.clear' is for WebRTC"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_and_the_session_goes_on(
    client: Client, kind: str, fields: dict[str, Any], code: str, param: str | None, message: str
) -> None:
    client.says("conversation.item.create", item=text("Hello.", id="taken"))
    error = client.error(kind, **fields)
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["message"].startswith(message)
    assert client.updates(instructions="Still here.")["instructions"] == "Still here."


def test_what_is_no_json_is_answered(client: Client) -> None:
    client.session.receive("{")
    assert only(client.hears(), "error")["error"]["code"] == "invalid_json"


def test_a_refused_update_changes_nothing_of_how_it_listens(client: Client) -> None:
    wrong = {
        "type": "realtime",
        "audio": {"input": {"turn_detection": None, "format": {"type": "audio/pcm", "rate": 1}}},
    }
    assert client.says("session.update", session=wrong)[0]["error"]["code"] == "integer_below_min_value"
    assert kinds(client.appends(1, LOUD)) == ["speech_started"]


# The session itself


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (WeightsError("RNNoise is away."), "RNNoise is away."),
        (RuntimeError("a secret"), "Something broke on our side."),
    ],
)
def test_what_breaks_on_our_side_is_told_and_the_session_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch, fault: Exception, message: str
) -> None:
    def broken(field: str) -> Any:
        raise fault

    monkeypatch.setattr(client.workers, "denoiser", broken)
    listening = {"input": {"noise_reduction": {"type": "near_field"}}}
    error = client.error("session.update", session={"type": "realtime", "audio": listening})
    assert error["type"] == error["code"] == "server_error"
    assert error["message"].startswith(message)
    assert client.updates(instructions="Still here.")["audio"]["input"]["noise_reduction"] is None


def test_a_client_that_has_named_no_model_may_do_so_once() -> None:
    """OpenAI's agents connect without one and name it in their first update."""
    client = Client(names_model=False)
    assert client.updates(model="gpt-realtime")["model"] == "gpt-realtime"
    assert client.updates(model="gpt-realtime")["model"] == "gpt-realtime"
    assert client.error("session.update", session={"type": "realtime", "model": "dia"})["param"] == "session.model"


def test_a_session_ends_after_an_hour(client: Client) -> None:
    client.now += 3599.9
    client.session.tick()
    assert client.hears() == []
    client.now += 0.2
    client.session.tick()
    assert only(client.hears(), "error")["error"]["code"] == "session_expired"
    assert client.session.over
    assert client.says("input_audio_buffer.clear") == []


def test_a_transcription_session_listens_and_never_answers() -> None:
    client = Client(settings=TranscriptionSettings(type="transcription"))
    assert client.created["session"]["object"] == "realtime.transcription_session"
    transcription = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    assert client.says("session.update", session=transcription)[0]["type"] == "session.updated"
    assert "committed" in kinds(client.appends(1, LOUD) + client.appends(1))
    assert client.hears_after_work()[-1]["transcript"] == "Good morning."
    assert client.error("response.create")["param"] == "type"


def test_the_beta_dialect_has_its_own_words_for_the_same_things() -> None:
    client = Client(beta=True)
    updated = client.says("session.update", session={"turn_detection": None, "voice": "echo"})
    assert updated[0]["session"]["voice"] == "echo"
    client.appends(0.2, LOUD)
    assert kinds(client.says("input_audio_buffer.commit")) == ["committed", "item.created"]
    told = client.says("response.create") + client.hears_after_work()
    assert kinds(told) == [
        "response.created", "response.output_item.added", "item.created", "response.content_part.added",
        "response.audio_transcript.delta", "response.audio.delta", "response.audio.delta",
        "response.audio_transcript.delta", "response.audio.delta", "response.audio.done",
        "response.audio_transcript.done", "response.content_part.done", "response.output_item.done", "response.done",
        "rate_limits.updated",
    ]  # fmt: skip
    error = client.says("session.update", session={"turn_detection": {"type": "server_vad", "threshold": 3}})[0]
    assert error["error"]["param"] == "session.turn_detection.threshold"


def test_items_that_go_because_there_are_too_many_are_told_as_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.realtime.conversation.MOST_ITEMS", 2)
    client = Client()
    told = []
    for number in range(4):
        content = [{"type": "input_text", "text": "Hello."}]
        item = {"type": "message", "role": "user", "id": f"item_{number}", "content": content}
        told += client.says("conversation.item.create", item=item)
    gone = [event["item_id"] for event in told if event["type"] == "conversation.item.deleted"]
    assert gone == ["item_0", "item_1"]
    assert client.error("conversation.item.retrieve", item_id="item_0")["code"] == "item_retrieve_invalid_item_id"
