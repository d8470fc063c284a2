"""What is queued is done, once, however often it is queued, left, lost or refused."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
import sqlalchemy as sa
from serving_fixtures import wait_for

from serving.storage.database import open_database, sqlite_url
from serving.work import queue as queues
from serving.work.queue import Message, Queue
from serving.work.runner import GivenUp
from serving.work.webhooks import DeliveryFailed

DATABASE_AWAY = sa.exc.OperationalError("SELECT", {}, psycopg.OperationalError("the server closed the connection"))
Doing = Callable[[], None]


@dataclass
class Log:
    """What was done, by prediction or message; `doing`: what a test wants to happen, call by call, then nothing."""

    doing: dict[str, list[Doing]] = field(default_factory=lambda: defaultdict(list))
    done: list[str] = field(default_factory=list)

    def predict(self, prediction_id: str) -> None:
        self._do(prediction_id)

    def announce(self, prediction_id: str) -> None:
        self._do(f"{prediction_id} announced")

    def post(self, prediction_id: str, message_id: str, body: str) -> None:
        self._do(message_id)

    def _do(self, name: str) -> None:
        self.done.append(name)
        if self.doing[name]:
            self.doing[name].pop(0)()

    def wait_for(self, *names: str) -> None:
        wait_for(lambda: set(names) <= set(self.done))


def raising(error: BaseException) -> Doing:
    def do() -> None:
        raise error

    return do


def waiting_for(event: threading.Event) -> Doing:
    def do() -> None:
        assert event.wait(20)

    return do


@contextmanager
def opened(folder) -> Iterator[Queue]:
    url = sqlite_url(folder / "x.db")
    open_database(url).dispose()  # for the way it sets up the file
    queue = Queue(url)
    try:
        yield queue
    finally:
        queue.close()


@contextmanager
def working(queue: Queue, log: Log, executor: str = "host-0", give_up: Doing = lambda: None) -> Iterator[Log]:
    queues.launch(queue, executor, queues.Workflows(log.predict, log.announce, log.post), 4)
    try:
        yield log
    finally:
        queues.stop(1, give_up)


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("queue")) as queue:
        yield queue


@pytest.fixture(scope="module")
def log(queue):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queues, "DELIVERY_SECONDS", 0.01)
        patch.setattr(queues, "DELIVERY_BACKOFF", 1.0)
        patch.setattr(queues, "DELIVERY_ATTEMPTS", 3)
        patch.setattr(queues, "AGAIN_SECONDS", 0.05)
        with working(queue, Log()) as log:
            yield log


def state_of(queue: Queue, workflow_id: str) -> str | None:
    found = queue.client.list_workflows(workflow_ids=[workflow_id])
    return found[0].status if found else None


def test_what_is_queued_twice_is_done_once_and_then_told_of(queue, log):
    for _ in range(2):
        queue.predict("twice")
    log.wait_for("twice announced")
    wait_for(lambda: state_of(queue, "twice") == "SUCCESS")
    queue.predict("twice")
    time.sleep(3 * queues.POLL_SECONDS)
    assert [name for name in log.done if name.startswith("twice")] == ["twice", "twice announced"]


def test_what_is_begun_is_done_again_when_the_database_is_back(queue, log):
    log.doing["away"] = [raising(DATABASE_AWAY)] * 2
    log.doing["away announced"] = [raising(DATABASE_AWAY)]
    queue.predict("away")
    wait_for(lambda: state_of(queue, "away") == "SUCCESS")
    assert [log.done.count("away"), log.done.count("away announced")] == [3, 2]


def test_given_up_work_stays_with_its_executor_until_it_is_handed_back(queue, log):
    log.doing["given-up"] = [raising(GivenUp())]
    queue.predict("given-up")
    log.wait_for("given-up")
    time.sleep(0.3)
    assert state_of(queue, "given-up") == "PENDING"
    assert queue.running_on("host-0") == [("given-up", queues.PREDICTIONS)]
    assert queue.executors() == {"host-0"}
    queue.hand_back("given-up", queues.PREDICTIONS)
    log.wait_for("given-up announced")
    assert log.done.count("given-up") == 2


def test_what_broke_off_is_done_anew_and_what_waits_or_runs_is_left_alone(queue, log):
    go_on = threading.Event()
    log.doing["broken"] = [raising(ValueError("a fault"))]
    queue.predict("broken")
    wait_for(lambda: state_of(queue, "broken") == "ERROR")
    assert "broken" not in queue.unfinished()
    log.doing["broken"] = [waiting_for(go_on)]
    queue.predict_anew("broken")
    wait_for(lambda: log.done.count("broken") == 2)
    assert "broken" in queue.unfinished()
    queue.predict_anew("broken")
    go_on.set()
    log.wait_for("broken announced")
    assert log.done.count("broken") == 2


def test_what_was_never_queued_is_queued(queue, log):
    queue.predict_anew("never")
    log.wait_for("never announced")
    assert log.done.count("never") == 1


def test_a_message_that_was_not_taken_is_sent_again_as_the_same_but_not_for_ever(queue, log):
    """Also where the error was ours. One that is refused for good is not sent again."""
    once_more = [DeliveryFailed("status 500", retry=True), DATABASE_AWAY, ValueError("a fault of ours")]
    wanted: dict[str, tuple[list[Doing], int]] = {
        **{f"p{number}": ([raising(error)], 2) for number, error in enumerate(once_more)},
        "never": ([raising(once_more[0])] * 100, queues.DELIVERY_ATTEMPTS),
        "refused": ([raising(DeliveryFailed("status 404", retry=False))], 1),
    }
    for name, (doing, _) in wanted.items():
        message = Message(name, "completed")
        log.doing[message.id] = doing
        for _ in range(2):
            queue.send(message, "{}")
    expected = {f"{name}-completed-0": times for name, (_, times) in wanted.items()}
    wait_for(lambda: {name: log.done.count(name) for name in expected} == expected)
    time.sleep(1.2)  # a message that is to be sent later is looked for each second
    assert {name: log.done.count(name) for name in expected} == expected


def test_dead_receivers_keep_nobodys_place(queue, log, monkeypatch):
    """Before, each message that was to be sent again kept one of the few places until it was."""
    monkeypatch.setattr(queues, "DELIVERY_SECONDS", 60.0)
    for number in range(queues.WEBHOOKS_AT_ONCE + 1):
        message = Message(f"dead-{number}", "completed")
        log.doing[message.id] = [raising(DeliveryFailed("no answer", retry=True))]
        queue.send(message, "{}")
    queue.send(Message("alive", "completed"), "{}")
    log.wait_for("alive-completed-0")


def test_rows_of_what_ended_are_forgotten_but_for_messages_that_may_be_announced_again(queue, log):
    go_on = threading.Event()
    log.doing["unfinished announced"] = [waiting_for(go_on)]
    queue.predict("unfinished")
    for prediction in ("unfinished", "finished"):
        queue.send(Message(prediction, "logs", "1-1"), "{}")
        wait_for(lambda prediction=prediction: state_of(queue, f"{prediction}-logs-1-1") == "SUCCESS")
    assert queue.forget_ended(time.time() - 3600) == 0
    assert queue.forget_ended(time.time() + 1) > 0
    assert state_of(queue, "finished-logs-1-1") is None
    assert state_of(queue, "unfinished-logs-1-1") == "SUCCESS"
    go_on.set()
    wait_for(lambda: state_of(queue, "unfinished") == "SUCCESS")
    queue.forget_ended(time.time() + 1)
    assert state_of(queue, "unfinished-logs-1-1") is None
