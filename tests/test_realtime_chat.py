"""serving/realtime/session.py with a language model behind it: what it writes is spoken. Every event is judged."""

import base64
from typing import Any

import numpy as np
import pytest
from realtime_fixtures import Client, kinds, only

from models.errors import GenerationFailed, InvalidRequest, Overloaded, ParleyError
from serving.realtime.reply import CallPart, Piece, ReplyEnd, Words

LOUD = 3000
FIRST, SECOND = "It is good to hear from you.", " How have you been, all of you?"
ENDS = [
    "response.output_audio.done", "response.output_audio_transcript.done", "response.content_part.done", "item.done",
    "response.output_item.done",
]  # fmt: skip
CALL = [
    "response.output_item.added", "item.added", "response.function_call_arguments.delta",
    "response.function_call_arguments.done", "item.done", "response.output_item.done",
]  # fmt: skip
TOOL = {"type": "function", "name": "weather", "description": None, "parameters": None}


def written(*texts: str, **end: Any) -> list[Piece | ParleyError]:
    return [*map(Words, texts), ReplyEnd(**end)]


@pytest.fixture
def client() -> Client:
    client = Client()
    client.workers.replies = written(FIRST[:9], FIRST[9:], SECOND, input_tokens=21, output_tokens=7)
    return client


def write(client: Client, words: str, **fields: Any) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}], **fields}
    client.says("conversation.item.create", item=item)


def respond(client: Client, **response: Any) -> list[dict[str, Any]]:
    return client.says("response.create", response=response) + client.hears_after_work()


def done(events: list[dict[str, Any]]) -> dict[str, Any]:
    return only(events, "response.done")["response"]  # type: ignore[no-any-return]


def deltas(events: list[dict[str, Any]], kind: str) -> str:
    return "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")


def test_what_is_written_is_spoken_passage_by_passage(client: Client) -> None:
    client.updates(instructions="Be kind.")
    write(client, "Hello?")
    told = respond(client)
    assert client.workers.asked[0].messages == [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"},
    ]  # fmt: skip
    assert [order.text for order in client.workers.orders] == [f"[S2] {FIRST}", f"[S2] {SECOND.strip()}"]
    assert len({order.id for order in client.workers.orders}) == 2
    assert kinds(told)[:4] == [
        "response.created",
        "response.output_item.added",
        "item.added",
        "response.content_part.added",
    ]
    assert kinds(told)[-7:] == [*ENDS, "response.done", "rate_limits.updated"]
    assert deltas(told, "output_audio_transcript") == FIRST + SECOND
    assert only(told, "response.output_audio_transcript.done")["transcript"] == FIRST + SECOND
    assert kinds(told).count("response.output_audio.delta") == 6  # twice 0.3 and 0.1 s
    finished = done(told)
    assert (finished["status"], finished["output"][0]["content"][0]["transcript"]) == ("completed", FIRST + SECOND)
    assert finished["usage"]["input_tokens"] == 21
    assert finished["usage"]["output_token_details"] == {"text_tokens": 7, "audio_tokens": 4 * 86}


def test_the_first_is_heard_before_the_rest_is_written(client: Client) -> None:
    heard: list[str] = []

    def replies() -> Any:
        yield Words(FIRST)
        yield Words(SECOND[:1])  # where the first is known to be whole
        heard.extend(kinds(client.hears()))
        yield from written(SECOND[1:])

    class Lazily:
        def __iter__(self) -> Any:
            return replies()

        def stop(self) -> None: ...

    client.workers.chat = lambda order: Lazily()  # type: ignore[method-assign, assignment, return-value]
    write(client, "Hello?")
    assert done(respond(client))["status"] == "completed"
    assert "response.output_audio.delta" in heard


def test_one_passage_goes_on_where_the_one_before_it_ended(client: Client) -> None:
    write(client, "Hello?")
    for _ in range(2):
        respond(client, conversation="none")
    respond(client)
    carried = [order.continues is not None for order in client.workers.orders]
    assert carried == [False, True, False, True, False, True]
    respond(client)
    assert client.workers.orders[6].continues is not None


def test_a_response_in_text_is_written_as_it_comes(client: Client) -> None:
    write(client, "Hello?")
    told = respond(client, output_modalities=["text"])
    assert [event["delta"] for event in told if event["type"].endswith("text.delta")] == [FIRST[:9], FIRST[9:], SECOND]
    assert done(told)["output"][0]["content"] == [{"type": "output_text", "text": FIRST + SECOND}]
    assert done(told)["usage"]["output_tokens"] == 7
    assert client.workers.orders == []


def test_a_text_at_its_limit_is_incomplete(client: Client) -> None:
    client.workers.replies = written("Hel", cut_short="max_output_tokens")
    write(client, "Hello?")
    finished = done(respond(client, output_modalities=["text"], max_output_tokens=1))
    assert finished["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert finished["output"][0]["status"] == "incomplete"
    assert client.workers.asked[0].most_tokens == 1


def test_speech_is_counted_over_all_its_passages(client: Client) -> None:
    """At 86 tokens a piece, and two pieces a passage."""
    client.workers.replies = written(FIRST, SECOND, " And more, much more of it.")
    write(client, "Hello?")
    finished = done(respond(client, max_output_tokens=172))
    assert [order.most_tokens for order in client.workers.orders] == [172]
    assert finished["status_details"]["reason"] == "max_output_tokens"
    assert finished["output"][0]["content"][0]["transcript"] == FIRST
    assert client.workers.left == 1


def test_markup_is_shown_and_not_spoken(client: Client) -> None:
    client.workers.replies = written("**It is good** to hear from you.\n", "🙂")
    write(client, "Hello?")
    told = respond(client)
    assert [order.text for order in client.workers.orders] == ["[S2] It is good to hear from you."]
    assert only(told, "response.output_audio_transcript.done")["transcript"] == "**It is good** to hear from you.\n🙂"


def test_a_model_that_says_nothing_is_silent(client: Client) -> None:
    client.workers.replies = written("", "\n")
    write(client, "Hello?")
    told = respond(client)
    assert kinds(told) == ["response.created", "response.done", "rate_limits.updated"]
    assert (done(told)["status"], done(told)["output"]) == ("completed", [])


# Functions


def test_a_call_is_told_and_its_answer_goes_back(client: Client) -> None:
    client.updates(tools=[TOOL])
    client.workers.replies = [
        CallPart(0, "call_a", "weather", ""), CallPart(0, "call_a", "weather", '{"town": "Rome"}'), ReplyEnd(),
    ]  # fmt: skip
    write(client, "Weather?")
    told = respond(client)
    assert kinds(told) == ["response.created", *CALL, "response.done", "rate_limits.updated"]
    (item,) = done(told)["output"]
    assert {name: item[name] for name in ("type", "status", "name", "call_id", "arguments")} == {
        "type": "function_call", "status": "completed", "name": "weather", "call_id": "call_a",
        "arguments": '{"town": "Rome"}',
    }  # fmt: skip
    client.workers.replies = written("It rains.")
    answer = {"type": "function_call_output", "call_id": "call_a", "output": "rain"}
    client.says("conversation.item.create", item=answer)
    assert done(respond(client))["status"] == "completed"
    call = {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Rome"}'}}
    assert client.workers.asked[1].messages[1:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_a", "content": "rain"},
    ]
    assert client.workers.asked[1].tools == [{"type": "function", "function": {"name": "weather"}}]


def test_words_before_calls_are_spoken_first_and_each_is_an_output(client: Client) -> None:
    client.workers.replies = [
        Words("One moment."), CallPart(0, "call_a", "weather", "{}"), CallPart(1, "call_b", "weather", "{}"),
        Words("There."), ReplyEnd(),
    ]  # fmt: skip
    write(client, "Weather?")
    told = respond(client)
    finished = done(told)
    assert [item["type"] for item in finished["output"]] == ["message", "function_call", "function_call", "message"]
    added = [event for event in told if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == [0, 1, 2, 3]
    places = {
        event["item_id"]: event["output_index"] for event in told if "output_index" in event and "item_id" in event
    }
    assert [places[item["id"]] for item in finished["output"]] == [0, 1, 2, 3]
    ends = [event["output_index"] for event in told if event["type"] == "response.output_item.done"]
    assert ends == [0, 1, 2, 3]
    assert kinds(told)[9 : 9 + len(ENDS) + 2 * len(CALL)] == [*ENDS, *CALL, *CALL]
    assert [item.type for item in client.session._conversation][1:] == [item["type"] for item in finished["output"]]


def test_a_call_that_is_left_and_taken_up_again_fails(client: Client) -> None:
    client.workers.replies = [CallPart(n, f"call_{n}", "weather", "{") for n in (0, 1, 0)]
    write(client, "Weather?")
    finished = done(respond(client))
    assert finished["status"] == "failed"
    assert [item["status"] for item in finished["output"]] == ["completed", "incomplete"]


# What goes wrong


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (InvalidRequest("response", "was refused."), "invalid_request_error", "invalid_value"),
        (Overloaded("Too often."), "rate_limit_error", "rate_limit_exceeded"),
        (GenerationFailed("Broke off."), "server_error", "server_error"),
    ],
)
def test_a_chat_server_that_fails_is_told(client: Client, error: ParleyError, kind: str, code: str) -> None:
    client.workers.replies = [error]
    write(client, "Hello?")
    told = respond(client)
    assert kinds(told) == ["response.created", "response.done", "rate_limits.updated"]
    assert done(told)["status_details"] == {
        "type": "failed", "error": {"type": kind, "code": code, "message": str(error)},
    }  # fmt: skip
    client.workers.replies = written("Hello.")
    assert done(respond(client))["status"] == "completed"


def test_what_was_spoken_before_it_broke_off_stays(client: Client) -> None:
    client.workers.replies = [Words(FIRST + SECOND), GenerationFailed("Broke off.")]
    write(client, "Hello?")
    finished = done(respond(client))
    assert finished["status"] == "failed"
    assert finished["output"][0]["status"] == "incomplete"
    assert finished["output"][0]["content"][0]["transcript"] == FIRST


def test_an_empty_conversation_has_nothing_to_answer(client: Client) -> None:
    finished = done(respond(client))
    assert "has nothing to answer" in finished["status_details"]["error"]["message"]
    assert client.workers.asked == []


def test_a_voice_that_is_nobodys_stops_the_reply(client: Client) -> None:
    write(client, "Hello?")
    assert done(respond(client, audio={"output": {"voice": "nobody"}}))["status"] == "failed"
    assert client.workers.left == 1


# What is heard, and interrupted


def test_a_turn_is_answered_when_it_is_understood(client: Client) -> None:
    """Also where a text was there before: it is this that is to be answered."""
    write(client, "Hello?")
    told = client.appends(1, LOUD) + client.appends(0.5)
    assert kinds(told) == ["speech_started", "speech_stopped", "committed", "item.added", "item.done"]
    assert kinds(client.hears_after_work())[0] == "response.created"
    contents = [message["content"] for message in client.workers.asked[0].messages]
    assert contents == ["Hello?", "Good morning."]


def test_all_that_was_said_is_heard_first_in_silence(client: Client) -> None:
    client.listens_by_hand()
    for _ in range(2):
        client.appends(1, LOUD)
        client.says("input_audio_buffer.commit")
    told = respond(client)
    assert [message["content"] for message in client.workers.asked[0].messages] == ["Good morning."] * 2
    assert not [event for event in told if "transcription" in event["type"]]


def test_what_cannot_be_heard_fails_where_it_is_to_be_answered_and_only_there(client: Client) -> None:
    client.listens_by_hand()
    client.appends(1, LOUD)
    client.says("input_audio_buffer.commit")
    client.workers.said = GenerationFailed("The recogniser is away.")
    assert done(respond(client))["status_details"]["error"]["message"] == "The recogniser is away."
    write(client, "Hello?")
    assert done(respond(client))["status"] == "completed"
    assert [message["content"] for message in client.workers.asked[0].messages] == ["[inaudible]", "Hello?"]


def test_a_cancelled_response_leaves_the_chat_server_alone(client: Client) -> None:
    said: list[dict[str, Any]] = []
    client.workers.replies = written(FIRST, SECOND, " And more, much more of it.")
    client.workers.before_piece = lambda number: said.extend(client.says("response.cancel")) if number == 2 else None
    write(client, "Hello?")
    client.says("response.create")
    assert client.hears_after_work() == []
    assert done(said)["status"] == "cancelled"
    assert (client.workers.left, client.workers.stopped) == (1, 1)


def test_who_interrupts_is_answered_by_one_who_knows_what_was_heard(client: Client) -> None:
    heard: list[dict[str, Any]] = []
    audio = base64.b64encode(np.full(4800, LOUD, "<i2").tobytes()).decode()
    client.workers.replies = written(FIRST, SECOND, " And more, much more of it.")

    def interrupt(number: int) -> None:
        if number == 2 and len(client.workers.orders) == 2:
            heard.extend(client.says("input_audio_buffer.append", audio=audio))

    client.workers.before_piece = interrupt
    write(client, "Hello?")
    client.says("response.create")
    client.hears_after_work()
    assert done(heard)["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    (spoken,) = done(heard)["output"]
    assert spoken["content"][0]["transcript"].startswith(FIRST)
    client.says("conversation.item.truncate", item_id=spoken["id"], content_index=0, audio_end_ms=250)
    client.appends(1, LOUD)
    client.appends(0.5)
    client.hears_after_work()
    *_, assistant, user = client.workers.asked[1].messages
    assert assistant == {"role": "assistant", "content": "It is good"}  # 0.25 of the first 0.4 s
    assert user == {"role": "user", "content": "Good morning."}


def test_a_voice_of_what_was_cut_is_understood_anew(client: Client) -> None:
    """Before, its words were those of the whole."""
    write(client, "Hello?")
    (item,) = done(respond(client))["output"]
    voice = {"output": {"voice": {"id": item["id"]}}}
    respond(client, audio=voice)
    client.says("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=250)
    client.workers.said = ["It is"]
    respond(client, audio=voice)
    said = [order.prompt.transcript for order in client.workers.orders if order.prompt is not None]
    assert said[0] == f"[S1] {FIRST}{SECOND}"
    assert said[-1] == "[S1] It is"


def test_a_session_that_is_closed_hangs_up(client: Client) -> None:
    client.workers.before_piece = lambda number: client.session.close()
    client.workers.replies = written(FIRST, SECOND, " And more, much more of it.")
    write(client, "Hello?")
    client.says("response.create")
    assert "response.done" not in kinds(client.hears_after_work())
    assert (client.workers.left, client.workers.stopped) == (1, 1)


def test_nobody_says_anything_for_too_long_and_is_asked(client: Client) -> None:
    client.updates(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}})
    client.appends(1)
    write(client, "Hello?")
    respond(client)
    client.now += 6
    client.appends(5)
    client.session.tick()
    assert kinds(client.hears())[-1] == "response.created"
    client.hears_after_work()
    assert client.workers.asked[1].messages[-1] == {"role": "user", "content": "[silence]"}


def test_the_older_dialect_hears_calls_too() -> None:
    client = Client(beta=True)
    client.workers.replies = [Words("One moment."), CallPart(0, "call_a", "weather", "{}"), ReplyEnd()]
    write(client, "Weather?")
    assert [item["type"] for item in done(respond(client))["output"]] == ["message", "function_call"]
