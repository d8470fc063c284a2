"""serving/realtime/session.py, the speaking half: responses, their order, voices, barge-in. Every event is judged."""

import base64
import gc
from typing import Any

import numpy as np
import pytest
from realtime_fixtures import Client, kinds, only

from models.errors import GenerationFailed, InvalidRequest, Overloaded

LOUD = 3000
SPOKEN = [
    "response.output_item.added", "item.added", "response.content_part.added",
    "response.output_audio_transcript.delta", "response.output_audio.delta", "response.output_audio.delta",
    "response.output_audio_transcript.delta", "response.output_audio.delta", "response.output_audio.done",
    "response.output_audio_transcript.done", "response.content_part.done", "item.done", "response.output_item.done",
    "response.done", "rate_limits.updated",
]  # fmt: skip


@pytest.fixture
def client() -> Client:
    return Client()


def text(words: str, role: str = "user", **fields: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": words}], **fields}


def write(client: Client, words: str, role: str = "user", **fields: Any) -> None:
    client.says("conversation.item.create", item=text(words, role, **fields))


def speak(client: Client, **response: Any) -> list[dict[str, Any]]:
    """All that a response of these parameters is answered with."""
    return client.says("response.create", response=response) + client.hears_after_work()


def commit(client: Client, seconds: float = 1.0) -> str:
    client.listens_by_hand()
    client.appends(seconds, LOUD)
    return str(client.says("input_audio_buffer.commit")[0]["item_id"])


def done(events: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(only(events, "response.done")["response"])


def test_a_response_is_told_in_openais_order(client: Client) -> None:
    write(client, "Good morning.")
    told = speak(client)
    assert kinds(told) == ["response.created", *SPOKEN]
    created, finished = told[0]["response"], done(told)
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    assert (finished["status"], finished["id"]) == ("completed", created["id"])
    (item,) = finished["output"]
    assert item["content"] == [{"type": "output_audio", "transcript": "Good morning."}]
    assert finished["usage"]["total_tokens"] == finished["usage"]["input_tokens"] + finished["usage"]["output_tokens"]
    assert only(told, "response.output_audio_transcript.done")["transcript"] == "Good morning."
    assert len({event["event_id"] for event in told}) == len(told)


def test_no_delta_is_longer_than_200_ms_and_together_they_are_the_audio(client: Client) -> None:
    client.workers.pieces = [0.05, 1.0, 0.33]
    write(client, "Good morning.")
    told = speak(client)
    audio = [base64.b64decode(event["delta"]) for event in told if event["type"] == "response.output_audio.delta"]
    assert max(map(len, audio)) == 9600
    assert b"".join(audio) == np.full(round(1.38 * 24_000), 1000, "<i2").tobytes()
    (retrieved,) = client.says("conversation.item.retrieve", item_id=done(told)["output"][0]["id"])
    assert base64.b64decode(retrieved["item"]["content"][0]["audio"]) == b"".join(audio)


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_it_is_spoken_in_the_format_that_was_asked_for(client: Client, name: str) -> None:
    write(client, "Good morning.")
    told = speak(client, audio={"output": {"format": {"type": name}}})
    audio = [base64.b64decode(event["delta"]) for event in told if event["type"] == "response.output_audio.delta"]
    assert list(map(len, audio)) == [1600, 800, 800]
    assert done(told)["audio"]["output"]["format"] == {"type": name}


def test_speed_format_and_limit_of_the_session_are_those_of_the_order(client: Client) -> None:
    client.updates(max_output_tokens=400, audio={"output": {"speed": 1.25, "voice": "echo"}})
    write(client, "Good morning.")
    speak(client)
    (order,) = client.workers.orders
    assert (order.speed, order.most_tokens, order.text) == (1.25, 400, "[S1] Good morning.")
    assert order.wire.name == "audio/pcm"


# What it says


def test_the_instructions_of_the_response_go_before_everything(client: Client) -> None:
    client.updates(instructions="Be kind.")
    write(client, "Good morning.")
    told = speak(client, instructions="Good night.")
    assert only(told, "response.output_audio_transcript.done")["transcript"] == "Good night."


def test_then_the_last_text_of_user_or_assistant(client: Client) -> None:
    write(client, "First.")
    write(client, "Second.", "assistant")
    write(client, "Be kind.", "system")
    commit(client)
    assert client.workers.heard == []
    speak(client)
    assert client.workers.orders[0].text == "[S2] Second."


def test_then_what_was_last_said_aloud_transcribed_in_silence(client: Client) -> None:
    commit(client)
    told = speak(client)
    assert only(told, "response.output_audio_transcript.done")["transcript"] == "Good morning."
    assert not [event for event in told if "transcription" in event["type"]]
    assert client.workers.orders[0].text == "[S2] Good morning."


def test_a_response_with_nothing_to_say_fails_and_says_so(client: Client) -> None:
    told = speak(client)
    assert kinds(told) == ["response.created", "response.done", "rate_limits.updated"]
    assert done(told)["status"] == "failed"
    assert done(told)["status_details"]["error"]["message"].startswith("response: has nothing to say")
    assert done(told)["output"] == []


def test_its_own_input_takes_the_place_of_the_conversation(client: Client) -> None:
    write(client, "Good morning.", id="first")
    write(client, "Good evening.")
    speak(client, input=[{"type": "item_reference", "id": "first"}])
    speak(client, input=[text("[S1] Hello. [S2] Hi!")])
    assert [order.text for order in client.workers.orders] == ["[S2] Good morning.", "[S1] Hello. [S2] Hi!"]
    (error,) = speak(client, input=[{"type": "item_reference", "id": "none"}])
    assert error["error"]["param"] == "response.input[0].id"


def test_a_response_in_text_is_written(client: Client) -> None:
    write(client, "Good morning.")
    told = speak(client, output_modalities=["text"])
    assert kinds(told) == [
        "response.created", "response.output_item.added", "item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done", "item.done",
        "response.output_item.done", "response.done", "rate_limits.updated",
    ]  # fmt: skip
    assert done(told)["output"][0]["content"] == [{"type": "output_text", "text": "Good morning."}]
    assert client.workers.orders == []


# Its voice


def test_an_item_of_the_conversation_lends_its_voice(client: Client) -> None:
    item_id = commit(client)
    told = speak(client, audio={"output": {"voice": {"id": item_id}}}, input=[text("[S1] Hello.")])
    (order,) = client.workers.orders
    assert order.prompt is not None
    assert order.prompt.transcript == "[S1] Good morning."
    assert order.prompt.audio[:4] == b"RIFF"
    assert len(order.prompt.audio) == 44 + 48_000
    assert (order.text, done(told)["audio"]["output"]["voice"]) == ("[S1] Hello.", item_id)
    assert not [event for event in told if "transcription" in event["type"]]


def test_two_items_are_the_two_speakers_of_a_dialogue(client: Client) -> None:
    first, second = commit(client, 1.0), commit(client, 0.5)
    client.workers.said = ["Hm."]
    speak(client, audio={"output": {"voice": {"id": f"{first},{second}"}}}, input=[text("[S1] Hello. [S2] Hi!")])
    (order,) = client.workers.orders
    assert order.prompt is not None
    assert order.prompt.transcript == "[S1] Hm. [S2] Hm."
    assert len(order.prompt.audio) == 44 + round(1.8 * 48_000)  # 0.3 s between them


def test_items_that_are_longer_than_a_voice_are_each_cut_and_heard_anew(client: Client) -> None:
    """Joined and then cut, the second would be lost."""
    client.listens_by_hand()
    buzz, pause = np.tile(np.array([LOUD, -LOUD], np.int16), 48_000), np.zeros(12_000, np.int16)  # 4 s and 0.5 s
    said = base64.b64encode(np.concatenate([buzz, pause, buzz]).tobytes()).decode()
    ids = []
    for _ in range(2):
        client.says("input_audio_buffer.append", audio=said)
        ids.append(client.says("input_audio_buffer.commit")[0]["item_id"])
    speak(client, audio={"output": {"voice": {"id": ",".join(ids)}}}, input=[text("[S1] Hello. [S2] Hi!")])
    (order,) = client.workers.orders
    assert order.prompt is not None
    assert order.prompt.transcript == "[S1] Good morning. [S2] Good morning."
    cut = 4.15  # in the pause
    assert len(order.prompt.audio) == pytest.approx(44 + (2 * cut + 0.3) * 48_000, abs=1500)
    assert [length / 16_000 for length, _ in client.workers.heard] == pytest.approx([cut, cut], abs=0.03)


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        ({"id": "item_none"}, "the conversation has no item of this id"),
        ({"id": "a,b,c"}, "a dialogue has at most 2 speakers"),
        ({"id": "written"}, "which has no audio"),
        ("nobody", "voice: is 'nobody'"),
    ],
)
def test_a_voice_that_is_none_fails_the_response(client: Client, voice: Any, message: str) -> None:
    write(client, "Good morning.", id="written")
    finished = done(speak(client, audio={"output": {"voice": voice}}))
    assert finished["status"] == "failed"
    assert message in finished["status_details"]["error"]["message"]
    assert finished["status_details"]["error"]["type"] == "invalid_request_error"


def test_an_item_that_cannot_be_understood_is_no_voice(client: Client) -> None:
    item_id = commit(client)
    client.workers.said = GenerationFailed("The model is away.")
    finished = done(speak(client, audio={"output": {"voice": {"id": item_id}}}, instructions="Hello."))
    assert finished["status_details"]["error"]["message"] == "The model is away."


def test_one_voice_goes_on_where_it_ended_and_another_does_not(client: Client) -> None:
    for voice in ("echo", "echo", "marin", "marin"):
        speak(client, instructions="Hello.", audio={"output": {"voice": voice}})
    carried = [None if order.continues is None else order.continues.codes.tolist() for order in client.workers.orders]
    assert carried == [None, [[2] * 9], None, [[2] * 9]]


def test_the_voice_of_a_session_that_has_spoken_cannot_change(client: Client) -> None:
    client.updates(audio={"output": {"voice": "echo"}})
    speak(client, instructions="Hello.")
    error = client.error("session.update", session={"type": "realtime", "audio": {"output": {"voice": "marin"}}})
    assert (error["code"], error["param"]) == ("cannot_update_voice", "session.audio.output.voice")
    assert client.updates(audio={"output": {"voice": "echo"}})["audio"]["output"]["voice"] == "echo"


# More than one, and the end of one


def test_a_second_response_in_the_conversation_is_refused(client: Client) -> None:
    client.says("response.create", response={"instructions": "Hello."})
    error = client.error("response.create", response={"instructions": "Hello."})
    assert error["code"] == "conversation_already_has_active_response"
    assert done(client.hears_after_work())["status"] == "completed"


def test_a_response_out_of_band_adds_nothing_to_the_conversation(client: Client) -> None:
    client.says("response.create", response={"instructions": "Hello."})
    told = speak(client, conversation="none", instructions="Hello.", metadata={"topic": "greeting"})
    beside = [event for event in told if event["type"] == "response.done"][-1]["response"]
    assert (beside["conversation_id"], beside["metadata"]) == (None, {"topic": "greeting"})
    assert kinds(told).count("item.added") == 1
    assert len(client.session._conversation) == 1


def test_no_more_than_four_at_once(client: Client) -> None:
    for _ in range(4):
        client.says("response.create", response={"conversation": "none", "instructions": "Hello."})
    error = client.error("response.create", response={"conversation": "none", "instructions": "Hello."})
    assert error["code"] == "too_many_responses"


def test_a_cancelled_response_ends_all_that_it_began(client: Client) -> None:
    said: list[dict[str, Any]] = []
    client.workers.before_piece = lambda number: said.extend(client.says("response.cancel")) if number == 2 else None
    client.says("response.create", response={"instructions": "Good morning."})
    assert client.hears_after_work() == []
    assert kinds(said)[-7:] == SPOKEN[-7:]
    assert kinds(said).count("response.done") == 1
    finished = done(said)
    assert finished["status"] == "cancelled"
    assert finished["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert finished["output"][0]["status"] == "incomplete"
    assert only(said, "response.output_audio_transcript.done")["transcript"] == "Good "
    assert client.workers.stopped == 1


def test_a_response_is_cancelled_by_its_id_before_it_has_begun(client: Client) -> None:
    (created,) = client.says("response.create", response={"conversation": "none", "instructions": "Hello."})
    assert client.error("response.cancel")["code"] == "response_cancel_not_active"
    told = client.says("response.cancel", response_id=created["response"]["id"])
    assert kinds(told) == ["response.done", "rate_limits.updated"]
    assert client.hears_after_work() == []


def test_who_begins_to_speak_interrupts_and_no_delta_follows(client: Client) -> None:
    """What had not left yet does not leave either."""
    heard: list[dict[str, Any]] = []
    audio = base64.b64encode(np.full(4800, LOUD, "<i2").tobytes()).decode()

    def interrupt(number: int) -> None:
        if number == 2:
            heard.extend(client.says("input_audio_buffer.append", audio=audio))

    client.workers.before_piece = interrupt
    client.says("response.create", response={"instructions": "Good morning."})
    assert client.hears_after_work() == []
    assert "response.output_audio.delta" not in kinds(heard)
    assert done(heard)["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    order = kinds(heard)
    assert order.index("speech_started") < order.index("response.done")


def test_who_must_not_interrupt_does_not(client: Client) -> None:
    client.updates(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}})
    client.workers.before_piece = lambda number: client.told.extend(client.appends(0.2, LOUD))
    assert done(speak(client, instructions="Hello."))["status"] == "completed"


def test_a_limit_that_was_reached_is_told(client: Client) -> None:
    finished = done(speak(client, instructions="Good morning.", max_output_tokens=1))
    assert (finished["status"], finished["status_details"]["reason"]) == ("incomplete", "max_output_tokens")


@pytest.mark.parametrize("fault", [InvalidRequest("input", "is too long."), RuntimeError("a secret of ours")])
def test_a_response_that_fails_says_why_and_leaves_no_item(client: Client, fault: Any) -> None:
    def fail(number: int) -> None:
        raise fault

    client.workers.before_piece = fail
    finished = done(speak(client, instructions="Hello."))
    assert (finished["status"], finished["output"]) == ("failed", [])
    assert "secret" not in finished["status_details"]["error"]["message"]
    assert len(client.session._conversation) == 0
    client.workers.before_piece = lambda number: None
    assert done(speak(client, instructions="Hello."))["status"] == "completed"


def test_whoever_asks_too_often_is_refused_and_nothing_is_begun(client: Client) -> None:
    client.workers.refusal = Overloaded("Too many.")
    error = client.error("response.create")
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


# What was heard of it


def test_what_was_not_heard_is_cut_off_and_its_words_go(client: Client) -> None:
    item_id = done(speak(client, instructions="Good morning."))["output"][0]["id"]
    (truncated,) = client.says("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=150)
    assert truncated["audio_end_ms"] == 150
    (retrieved,) = client.says("conversation.item.retrieve", item_id=item_id)
    part = retrieved["item"]["content"][0]
    assert (part["transcript"], len(base64.b64decode(part["audio"]))) == (None, 7200)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"audio_end_ms": 401, "content_index": 0}, "audio_end_ms"),
        ({"audio_end_ms": 0, "content_index": 1}, "content_index"),
    ],
)
def test_what_is_not_there_cannot_be_cut_off(client: Client, fields: dict[str, int], param: str) -> None:
    item_id = done(speak(client, instructions="Good morning."))["output"][0]["id"]
    error = client.error("conversation.item.truncate", item_id=item_id, **fields)
    assert (error["code"], error["param"]) == ("invalid_value", param)


# Of the session's own accord


def test_a_turn_is_answered_when_it_is_understood(client: Client) -> None:
    told = client.appends(1, LOUD) + client.appends(0.5)
    assert kinds(told) == ["speech_started", "speech_stopped", "committed", "item.added", "item.done"]
    assert kinds(client.hears_after_work()) == ["response.created", *SPOKEN]


def test_a_turn_is_answered_at_once_where_there_is_a_text(client: Client) -> None:
    write(client, "Good morning.")
    told = client.appends(1, LOUD) + client.appends(0.5)
    assert kinds(told)[-1] == "response.created"


def test_a_turn_in_which_nothing_was_understood_is_not_answered(client: Client) -> None:
    client.workers.said = []
    client.appends(1, LOUD)
    client.appends(0.5)
    assert client.hears_after_work() == []


def test_a_session_that_is_not_to_answer_does_not(client: Client) -> None:
    client.updates(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    write(client, "Good morning.")
    client.appends(1, LOUD)
    client.appends(0.5)
    assert client.hears_after_work() == []


def test_nobody_says_anything_for_too_long(client: Client) -> None:
    client.updates(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}})
    client.appends(1)
    speak(client, instructions="Hello?")
    client.now += 5.3  # the response took 0.4 s to play
    client.appends(5)
    client.session.tick()
    assert client.hears() == []
    client.now += 0.2
    client.session.tick()
    told = client.hears()
    assert kinds(told) == ["timeout_triggered", "committed", "item.added", "item.done", "response.created"]
    assert (told[0]["audio_start_ms"], told[0]["audio_end_ms"]) == (1000, 6000)
    assert told[0]["item_id"] == told[1]["item_id"]
    client.session.tick()
    assert client.hears() == []


def test_whoever_speaks_is_not_idle(client: Client) -> None:
    client.updates(
        audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000, "create_response": False}}}
    )
    speak(client, instructions="Hello?")
    client.appends(1, LOUD)
    client.now += 60
    client.session.tick()
    assert client.hears() == []


def test_a_session_that_is_closed_stops_speaking(client: Client) -> None:
    client.workers.before_piece = lambda number: client.session.close() if number == 2 else None
    client.says("response.create", response={"instructions": "Hello."})
    told = client.hears_after_work()
    assert "response.done" not in kinds(told)
    assert client.workers.stopped == 1


def test_a_thousand_turns_keep_memory_flat(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are forgotten, the oldest first; nothing else stays of a turn."""
    monkeypatch.setattr("serving.realtime.conversation.MOST_ITEMS", 50)
    client.workers.pieces = [0.1]
    client.listens_by_hand()
    objects = {}
    for turn in range(1000):
        client.appends(0.1, LOUD)
        client.says("input_audio_buffer.commit")
        speak(client, instructions="Hello.")
        client.workers.orders.clear()
        if turn in (199, 999):
            gc.collect()
            objects[turn] = len(gc.get_objects())
    assert objects[999] < objects[199] + 200
    assert len(client.session._conversation) == 50
    assert client.session._ear.buffer.end == client.session._ear.buffer.start == 2_400_000


def test_only_the_newest_audio_is_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.realtime.conversation.MOST_AUDIO", 3 * 4800)
    items = [commit(client, 0.1) for _ in range(4)]
    kept = [client.says("conversation.item.retrieve", item_id=item_id)[0]["item"]["content"][0] for item_id in items]
    assert ["audio" in part for part in kept] == [False, True, True, True]
    finished = done(speak(client, audio={"output": {"voice": {"id": items[0]}}}, instructions="Hello."))
    assert "no audio, or none that is still kept" in finished["status_details"]["error"]["message"]
