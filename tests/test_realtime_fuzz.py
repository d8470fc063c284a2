"""Whatever clients send, and whenever: each frame is answered or ignored as the contract says, and the session stays.

Frames are odd in three ways (realtime_fuzz_fixtures.py). What holds afterwards is said here without any code of the
session: an answer for each kind of event, and the conversation as a client who believes every event would see it.
"""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from realtime_fixtures import Client
from realtime_fuzz_fixtures import Action, Wait, Work, actions

from serving.realtime.conversation import MOST_AUDIO, MOST_ITEMS

# Of frames that are long, which a failure shows in full; a warning about that would hide the failure.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

AT_ONCE = 20  # actions of one session, 15 of them frames or a few more
FRAMES_ARE_EVENTS = {
    "session.update": "session.updated",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.create": "conversation.item.added",
    "conversation.item.retrieve": "conversation.item.retrieved",
    "conversation.item.delete": "conversation.item.deleted",
    "conversation.item.truncate": "conversation.item.truncated",
    "response.create": "response.created",
    "response.cancel": "response.done",
}
NEVER_BY_APPEND = {"input_audio_buffer.cleared", "session.updated", "conversation.item.retrieved", "session.created"}


class Watcher:
    """Believes every event that a session tells, and checks what each may follow."""

    def __init__(self, *, beta: bool = False) -> None:
        self.client = Client(beta=beta)
        self.order: list[str] = []  # the ids of the conversation's items
        self.speaking: set[str] = set()  # items whose turn has begun and not ended
        self.committed: set[str] = set()
        self.responses: dict[str, set[str]] = {}  # those that run: the items that each has begun and not ended
        self._added = "conversation.item.created" if beta else "conversation.item.added"
        self._answers = FRAMES_ARE_EVENTS | {"conversation.item.create": self._added}

    def take(self, action: Action) -> None:
        match action:
            case Work():
                self.client.workers.run()
            case Wait():
                self.client.now += action.seconds
                self.client.session.tick()
            case str():
                self.client.session.receive(action)
        told = self.client.hears()
        for event in told:
            self._believe(event)
        if isinstance(action, str):
            self._check_answer(action, told)
        assert not self.client.session.over

    def check_end(self) -> None:
        """When all that was begun is done."""
        self.take(Work())
        assert not self.responses, self.responses
        assert [item.id for item in self.client.session._conversation] == self.order
        held = [part.samples for item in self.client.session._conversation for part in item.parts]
        assert len(self.order) <= MOST_ITEMS
        assert sum(samples.nbytes for samples in held if samples is not None) <= MOST_AUDIO
        assert self.client.says("input_audio_buffer.clear")[-1]["type"] == "input_audio_buffer.cleared"

    def _check_answer(self, frame: str, told: list[dict[str, Any]]) -> None:
        errors = [event["error"] for event in told if event["type"] == "error"]
        assert all(error["type"] == "invalid_request_error" for error in errors), errors
        assert len(errors) <= 1
        event = _read(frame)
        kind = event.get("type")
        if errors:
            given = event.get("event_id") if errors[0]["code"] != "invalid_json" else None  # nobody could read it
            assert errors[0]["event_id"] == (given[:512] if isinstance(given, str) else None)
            assert errors[0]["message"]
        elif kind == "input_audio_buffer.append":
            assert not NEVER_BY_APPEND & {one["type"] for one in told}
        else:
            assert isinstance(kind, str)
            assert kind in self._answers, f"{frame[:200]} is answered by silence"
            assert self._answers[kind] in [one["type"] for one in told], (frame[:200], told)

    def _believe(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        match kind.removeprefix("input_audio_buffer.").removeprefix("conversation."):
            case "speech_started":
                assert event["item_id"] not in self.committed
                self.speaking.add(event["item_id"])
            case "speech_stopped":
                self.speaking.remove(event["item_id"])
            case "committed":
                assert event["item_id"] not in self.committed
                self.committed.add(event["item_id"])
            case "item.added" | "item.created":
                before = event["previous_item_id"]
                self.order.insert(0 if before is None else self.order.index(before) + 1, event["item"]["id"])
            case "item.deleted":
                self.order.remove(event["item_id"])
            case "item.truncated" | "item.retrieved":
                assert event.get("item_id", event.get("item", {}).get("id")) in self.order
            case "response.created":
                self.responses[event["response"]["id"]] = set()
            case "response.output_item.added":
                self.responses[event["response_id"]].add(event["item"]["id"])
            case "response.output_item.done":
                self.responses[event["response_id"]].remove(event["item"]["id"])
            case "response.done":
                assert self.responses.pop(event["response"]["id"]) == set()
            case _ if kind.startswith("response.") and kind.endswith(("delta", "done")):
                assert event["item_id"] in self.responses[event["response_id"]], "a delta after its response"


def _read(frame: str) -> dict[str, Any]:
    try:
        event = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _campaign(examples: int) -> Callable[[Any], Any]:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    chosen = settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks)
    of_one_session = st.lists(actions, min_size=AT_ONCE, max_size=AT_ONCE)
    return lambda test: chosen(given(of_one_session)(test))


def _play(taken: list[Action], *, beta: bool = False) -> None:
    watcher = Watcher(beta=beta)
    for action in taken:
        watcher.take(action)
    watcher.check_end()


@pytest.fixture(autouse=True)
def _nothing_fails_on_our_side(caplog: pytest.LogCaptureFixture) -> Any:
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@_campaign(30)
def test_odd_frames_are_answered_as_the_contract_says(taken: list[Action]) -> None:
    _play(taken)


@_campaign(10)
def test_odd_frames_of_the_older_dialect_are_answered_too(taken: list[Action]) -> None:
    _play(taken, beta=True)


@pytest.mark.slow
@_campaign(700)
def test_10_000_odd_frames_are_answered_as_the_contract_says(taken: list[Action]) -> None:
    _play(taken)


@pytest.mark.slow
@_campaign(100)
def test_1_400_odd_frames_of_the_older_dialect_are_answered_too(taken: list[Action]) -> None:
    _play(taken, beta=True)
