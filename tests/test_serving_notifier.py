"""What is told of a prediction, and under which id: the same id never stands for two things."""

import json
from dataclasses import dataclass, field

import pytest
from serving_http_fixtures import reply, serve

from serving.public_http import public_client
from serving.storage.database import open_database, sqlite_url
from serving.storage.records import Prediction, Records, Status
from serving.work.notifier import Notifier
from serving.work.queue import Message
from serving.work.webhooks import DeliveryFailed, make_secret

ALL = ["start", "output", "logs", "completed"]


@dataclass
class House:
    """Stands in for the queue and for what shows a prediction."""

    records: Records
    sent: list[tuple[str, str]] = field(default_factory=list)

    def send(self, message: Message, body: str) -> None:
        self.sent.append((message.id, json.loads(body)["status"]))

    def show(self, prediction: Prediction) -> dict[str, str]:
        return {"status": str(prediction.status)}

    def accept(self, webhook: str | None = "http://127.0.0.1/", events: list[str] = ALL) -> None:
        given = Prediction("p1", "alice", "predictions", "parley/dia", "v", {}, webhook=webhook)
        given.webhook_events.extend(events)
        self.records.create(given)


@pytest.fixture
def house(tmp_path):
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    yield House(Records(engine))
    engine.dispose()


@pytest.fixture
def notifier(house):
    with public_client(allow_private=True, seconds=5.0) as client:
        yield Notifier(house.records, house, house, make_secret(), client)


def test_an_attempt_that_begins_anew_tells_its_logs_under_new_ids(house, notifier):
    """Before, they had the ids of the first attempt's, which had been sent, and so were dropped."""
    house.accept()
    for _ in range(2):
        now = house.records.begin("p1")
        notifier.notify(now, "start")
        notifier.notify(now, "logs")
        notifier._throttles.clear()  # half a second later, or another process
    assert [name for name, _ in house.sent] == ["p1-start-0", "p1-logs-1-1", "p1-start-0", "p1-logs-2-1"]


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
        (Status.SUCCEEDED, [("p1-output-0", "succeeded"), ("p1-completed-0", "succeeded")]),
        (Status.FAILED, [("p1-completed-0", "failed")]),
        (Status.CANCELED, [("p1-completed-0", "canceled")]),
    ],
)
def test_the_end_is_announced_under_the_same_ids_each_time(house, notifier, status, told):
    house.accept()
    house.records.finish(house.records.begin("p1"), status)
    notifier.notify_end("p1")
    notifier.notify_end("p1")
    assert house.sent == told * 2


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
        notifier.deliver("p1", "p1-completed-0", "{}")
        assert receiver.asked[0].headers["webhook-id"] == "p1-completed-0"
        receiver.answers["/hook"] = reply(status=503)
        with pytest.raises(DeliveryFailed):
            notifier.deliver("p1", "p1-completed-0", "{}")
