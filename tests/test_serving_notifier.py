"""What is told of a prediction, and under which id: the same id never stands for two things."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from unittest import mock

import pytest
from serving_http_fixtures import reply, serve

from serving.public_http import public_client
from serving.storage import records as records_module
from serving.storage.database import open_database, sqlite_url
from serving.storage.prediction import Prediction, Status
from serving.storage.records import Records
from serving.work.notifier import Notifier
from serving.work.queue import Message
from serving.work.webhooks import DeliveryFailed, make_secret

ALL = ["start", "output", "logs", "completed"]


@dataclass
class House:
    """Stands in for the queue and for what shows a prediction."""

    records: Records
    sent: list[str] = field(default_factory=list)
    now: float = 1000.0  # seconds, of a clock that is set

    def send(self, message: Message) -> None:
        assert message.owner == "alice"
        self.sent.append(message.id)
        if message.next is not None:
            self.sent.append(f"then {message.next.id}")

    def show(self, prediction: Prediction) -> dict[str, str]:
        return {"status": str(prediction.status)}

    def accept(self, webhook: str | None = "http://127.0.0.1/", name: str = "p1", events: list[str] = ALL) -> None:
        given = Prediction(name, "alice", "predictions", "parley/dia", "v", {}, webhook=webhook, webhook_events=events)
        self.records.create(given)

    def begin(self, logs: str = "") -> Prediction:
        now = self.records.begin("p1")
        assert now is not None
        self.records.report(now, 0.5, 1.0, logs)
        return replace(now, logs=logs)


def logs_id(attempt: int, logs: str) -> str:
    return f"p1-logs-{attempt}-{hashlib.sha256(logs.encode()).hexdigest()[:16]}"


@pytest.fixture
def house(tmp_path):
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    yield House(Records(engine))
    engine.dispose()


@pytest.fixture
def notifier(house):
    with public_client(allow_private=True, seconds=5.0) as client:
        yield Notifier(house.records, house, house, make_secret(), client, lambda: house.now)


def test_an_attempt_that_begins_anew_tells_its_logs_under_new_ids(house, notifier):
    """Before, they had the ids of the first attempt's, which had been sent, and so were dropped."""
    house.accept()
    for _ in range(2):
        now = house.begin("a\n")
        notifier.notify(now, "start")
        notifier.notify(now, "logs")
        house.now += 1
    assert house.sent == ["p1-start-0", logs_id(1, "a\n"), "p1-start-0", logs_id(2, "a\n")]


def test_logs_are_told_no_sooner_than_half_a_second_after_the_last_and_who_tells_knows(house, notifier):
    house.accept()
    now = house.begin()
    told = []
    for lines, seconds in ((1, 0.0), (2, 0.0), (3, 0.499), (3, 0.001), (4, 0.25), (5, 0.25), (6, 5.0)):
        house.now += seconds
        told.append(notifier.notify(replace(now, logs="line\n" * lines), "logs"))
    assert told == [True, False, False, True, False, True, True]
    assert house.sent == [logs_id(1, "line\n" * lines) for lines in (1, 3, 5, 6)]


def test_logs_of_as_many_lines_that_say_something_else_are_told_too(house, notifier):
    """They lose their beginning as they grow. Before, their id was the number of their lines."""
    house.accept()
    for logs in ("a\nb\n", "b\nc\n"):
        assert notifier.notify(house.begin(logs), "logs")
        house.now += 1
    assert len(set(house.sent)) == 2


def test_one_predictions_logs_delay_no_others(house, notifier):
    for name in ("p1", "p2"):
        house.accept(name=name)
        assert notifier.notify(house.records.begin(name), "logs")


def test_an_end_that_has_not_come_is_not_announced(house, notifier):
    """Its workflow broke off: a "completed" that says "processing" could never be taken back."""
    house.accept()
    notifier.notify_end("p1")
    house.records.begin("p1")
    notifier.notify_end("p1")
    assert house.sent == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.SUCCEEDED, [logs_id(1, "a\n"), "p1-output-0", "then p1-completed-0"]),
        (Status.FAILED, [logs_id(1, "a\n"), "p1-completed-0"]),
        (Status.CANCELED, [logs_id(1, "a\n"), "p1-completed-0"]),
    ],
)
def test_the_end_is_announced_once_and_after_a_crash_under_the_same_ids(house, notifier, monkeypatch, status, told):
    """All of its logs too, if they were not told before: the last lines may have come too soon after others."""
    house.accept()
    house.records.finish(house.begin("a\n"), status)
    with monkeypatch.context() as crash:
        crash.setattr(house.records, "announced", lambda prediction_id: None)
        notifier.notify_end("p1")
    for _ in range(2):
        notifier.notify_end("p1")
    assert house.sent == told * 2


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (["output", "completed"], ["p1-output-0", "then p1-completed-0"]),
        (["output"], ["p1-output-0"]),
        (["completed"], ["p1-completed-0"]),
        (["start"], []),
    ],
)
def test_the_completed_of_who_asked_for_it_comes_behind_the_output(house, notifier, events, told):
    house.accept(events=events)
    house.records.finish(house.begin("a\n"), Status.SUCCEEDED)
    notifier.notify_end("p1")
    assert house.sent == told


def test_an_end_is_announced_however_long_ago_it_came_without_a_worker(house, notifier):
    """Before, what was cancelled while models were loading was told of in the ten seconds after it, or never."""
    for name in ("p1", "p2", "p3"):
        house.accept(name=name)
    with mock.patch.object(records_module.time, "time", return_value=1000.0):
        house.records.cancel("p2")
    house.records.begin("p3")
    notifier.announce_ended()
    assert house.sent == ["p2-completed-0"]
    notifier.announce_ended()
    assert house.sent == ["p2-completed-0"]


def test_who_asked_for_nothing_is_told_nothing(house, notifier):
    house.accept(webhook=None)
    now = house.records.begin("p1")
    notifier.notify(now, "start")
    house.records.finish(now, Status.SUCCEEDED)
    notifier.notify_end("p1")
    notifier.notify_end("of nobody")
    assert house.sent == []


def test_a_message_is_delivered_or_the_failure_is_told(house, notifier):
    with serve() as receiver:
        house.accept(webhook=receiver.url("/hook"))
        receiver.answers["/hook"] = reply()
        message = Message("alice", "p1", "completed")
        notifier.deliver(message)
        assert receiver.asked[0].headers["webhook-id"] == "p1-completed-0"
        assert json.loads(receiver.asked[0].body) == {"status": "starting"}
        house.records.cancel("p1")
        notifier.deliver(message)
        assert json.loads(receiver.asked[1].body) == {"status": "canceled"}  # as it is when it is delivered
        receiver.answers["/hook"] = reply(status=503)
        with pytest.raises(DeliveryFailed):
            notifier.deliver(message)
