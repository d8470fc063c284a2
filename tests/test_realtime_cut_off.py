"""What an assistant is saying, looked at and cut off before it has said all of it."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from realtime_fixtures import Client, only

RATE_BYTES = 48  # of PCM, a millisecond


@pytest.fixture
def client() -> Client:
    client = Client()
    client.workers.pieces = [0.3, 0.2, 0.1]
    return client


def meanwhile(client: Client, *events: dict[str, Any], second: int = 3) -> list[dict[str, Any]]:
    """A response before whose n-th piece of sound the client says this → all that it is told."""
    told: list[dict[str, Any]] = []

    def say(number: int) -> None:
        if number == second:
            item_id = only(client.told, "response.output_item.added")["item"]["id"]
            for event in events:
                told.extend(client.says(**event | ({"item_id": item_id} if event["kind"].startswith("conv") else {})))

    client.workers.before_piece = say
    client.says("response.create", response={"instructions": "Good morning to you."})
    after = client.hears_after_work()
    return told + after


def truncate(milliseconds: int) -> dict[str, Any]:
    return {"kind": "conversation.item.truncate", "content_index": 0, "audio_end_ms": milliseconds}


RETRIEVE = {"kind": "conversation.item.retrieve"}
CANCEL = {"kind": "response.cancel"}


def part_of(item: dict[str, Any]) -> tuple[str | None, float]:
    """Its transcript, and how many milliseconds of it there are."""
    (part,) = item["content"]
    return part["transcript"], len(base64.b64decode(part.get("audio", ""))) / RATE_BYTES


def test_an_item_is_retrieved_with_what_has_been_said_of_it(client: Client) -> None:
    item = only(meanwhile(client, RETRIEVE), "conversation.item.retrieved")["item"]
    assert item["status"] == "in_progress"
    assert part_of(item) == ("Good morning ", 500)


@pytest.mark.parametrize("events", [[truncate(100), CANCEL], [truncate(100)]], ids=["cancelled", "not"])
def test_what_is_cut_off_while_it_is_said_stays_cut_off(client: Client, events: list[dict[str, Any]]) -> None:
    """Clients stop their sound first, and cancel what goes on only then."""
    told = meanwhile(client, *events)
    assert only(told, "conversation.item.truncated")["audio_end_ms"] == 100
    finished = only(told, "response.done")["response"]
    assert finished["status"] == ("cancelled" if CANCEL in events else "completed")
    ended = [only(told, kind)["item"] for kind in ("conversation.item.done", "response.output_item.done")]
    assert [part_of(item) for item in (*ended, *finished["output"])] == 3 * [(None, 0)]
    (retrieved,) = client.says("conversation.item.retrieve", item_id=finished["output"][0]["id"])
    assert part_of(retrieved["item"]) == (None, 100)


def test_what_was_not_said_yet_cannot_be_cut_off(client: Client) -> None:
    told = meanwhile(client, truncate(301), second=2)
    error = only(told, "error")["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "audio_end_ms")
    (item,) = only(told, "response.done")["response"]["output"]
    assert part_of(item)[0] == "Good morning to you."
    (retrieved,) = client.says("conversation.item.retrieve", item_id=item["id"])
    assert part_of(retrieved["item"]) == ("Good morning to you.", 600)


@pytest.mark.parametrize("second", [0, 1])
def test_what_is_cut_off_while_it_is_listened_to_has_the_words_of_none(client: Client, second: int) -> None:
    """Before, whoever waited for its words waited for ever, and no item of the session was transcribed any more."""
    sound = base64.b64encode(bytes(1000 * RATE_BYTES)).decode()
    item = {
        "type": "message",
        "role": "assistant",
        "id": "item_1",
        "content": [{"type": "output_audio", "audio": sound}],
    }
    client.says("conversation.item.create", item=item)

    def heard() -> Iterator[str]:
        for number, word in enumerate(["Good", "morning."]):
            if number == second:
                client.says("conversation.item.truncate", item_id="item_1", content_index=0, audio_end_ms=500)
            yield word

    client.workers.said = heard()
    client.says(
        "response.create", response={"instructions": "Hello.", "audio": {"output": {"voice": {"id": "item_1"}}}}
    )
    assert only(client.hears_after_work(), "response.done")["response"]["status"] == "completed"
    (order,) = client.workers.orders
    assert order.prompt is not None
    assert order.prompt.transcript == "[S1] Good morning."  # of the whole, which is what is spoken like
    kept = only(client.says("conversation.item.retrieve", item_id="item_1"), "conversation.item.retrieved")["item"]
    assert part_of(kept) == (None, 500)
    client.workers.said = ["Again."]
    client.updates(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
    client.appends(0.2, 3000)
    client.says("input_audio_buffer.commit")
    told = client.hears_after_work()
    assert only(told, "conversation.item.input_audio_transcription.completed")["transcript"] == "Again."
