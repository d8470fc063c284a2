"""What is queued is done, once, however often it is queued, left, lost or refused."""

import threading
import time

import psycopg
import pytest
import sqlalchemy as sa
from serving_fixtures import wait_for
from serving_queue_fixtures import Doing, Log, about, opened, raising, state_of, waiting_for, working

from serving.work import queue as queues
from serving.work import workflows
from serving.work.queue import WEBHOOKS_AT_ONCE, WEBHOOKS_OF_ONE, Message
from serving.work.runner import GivenUp
from serving.work.webhooks import DeliveryFailed

DATABASE_AWAY = sa.exc.OperationalError("SELECT", {}, psycopg.OperationalError("the server closed the connection"))


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("queue")) as queue:
        yield queue


@pytest.fixture(scope="module")
def log(queue):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflows, "DELIVERY_SECONDS", 0.01)
        patch.setattr(workflows, "DELIVERY_BACKOFF", 1.0)
        patch.setattr(workflows, "DELIVERY_ATTEMPTS", {"completed": 3, "output": 2, "logs": 2})
        patch.setattr(workflows, "AGAIN_SECONDS", 0.05)
        with working(queue, Log()) as log:
            yield log


def test_what_is_queued_twice_is_done_once_and_then_told_of(queue, log):
    for _ in range(2):
        queue.predict("twice")
    log.wait_for("twice announced")
    wait_for(lambda: state_of(queue, "twice") == "SUCCESS")
    queue.predict("twice")
    queue.predict("behind it")
    log.wait_for("behind it announced")
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
    wait_for(lambda: "given-up" not in log.running())
    queue.predict("behind it too")
    log.wait_for("behind it too announced")
    wait_for(lambda: state_of(queue, "behind it too") == "SUCCESS")
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
    """Also where the error was ours. One that is refused for good is not sent again, nor are logs for long."""
    once_more = [DeliveryFailed("status 500", retry=True), DATABASE_AWAY, ValueError("a fault of ours")]
    never, gone = [raising(once_more[0])] * 100, [raising(DeliveryFailed("status 410", retry=False))]
    wanted: dict[Message, tuple[list[Doing], int]] = {
        **{about(f"p{number}"): ([raising(error)], 2) for number, error in enumerate(once_more)},
        about("never"): (list(never), 3),
        about("never", "logs", "1-1"): (list(never), 2),
        about("gone"): (gone, 1),
    }
    for message, (doing, _) in wanted.items():
        log.doing[message.id] = doing
        for _ in range(2):
            queue.send(message)
    expected = {message.id: times for message, (_, times) in wanted.items()}
    wait_for(lambda: {name: log.done.count(name) for name in expected} == expected)
    about_these = {message.prediction_id for message in wanted}
    wait_for(lambda: not about_these & queue.untold())  # nothing is to be sent again later
    assert {name: log.done.count(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "errors", "told"),
    [
        ("well", [], ["output", "completed"]),
        ("late", [DeliveryFailed("status 500", retry=True)], ["output", "output", "completed"]),
        ("silent", [DeliveryFailed("no answer", retry=True)] * 2, ["output", "output", "completed"]),
        ("closed", [DeliveryFailed("status 410", retry=False)], ["output", "completed"]),
    ],
)
def test_an_end_is_told_behind_its_output_whatever_becomes_of_that(queue, log, name, errors, told):
    """Before, both were sent at the same time, and most often the end came first."""
    output = Message("alice", name, "output", then="completed")
    log.doing[output.id] = [raising(error) for error in errors]
    for _ in range(2):
        queue.send(output)
    log.wait_for(f"{name}-completed-0")
    wait_for(lambda: name not in queue.untold())
    assert [one for one in log.done if one.startswith(f"{name}-")] == [f"{name}-{event}-0" for event in told]


def test_what_an_older_release_queued_is_sent(queue, log):
    old = about("older")
    queue.client.enqueue(queues.sending(old, 1), old.owner, old.prediction_id, old.event, old.part, 1)
    assert queue.untold() >= {"older"} or "older-completed-0" in log.done
    log.wait_for("older-completed-0")


def test_dead_receivers_keep_nobodys_place(queue, log, monkeypatch):
    """Before, each message that was to be sent again kept one of the few places until it was."""
    monkeypatch.setattr(workflows, "DELIVERY_SECONDS", 60.0)
    for number in range(WEBHOOKS_OF_ONE + 1):
        message = about(f"dead-{number}")
        log.doing[message.id] = [raising(DeliveryFailed("no answer", retry=True))]
        queue.send(message)
    queue.send(about("alive"))
    log.wait_for("alive-completed-0")
    assert {f"dead-{number}" for number in range(WEBHOOKS_OF_ONE + 1)} <= queue.untold()


def test_silent_receivers_of_one_owner_keep_nobody_elses_place(queue, log):
    """Before, one that took each connection and said nothing delayed everybody's webhooks."""
    said = threading.Event()
    silent = [about(f"silent-{number}", owner="bob") for number in range(WEBHOOKS_AT_ONCE + 1)]
    for message in silent:
        log.doing[message.id] = [waiting_for(said)]
        queue.send(message)
    log.wait_for(silent[0].id)
    queue.send(about("of-alice"))
    log.wait_for("of-alice-completed-0")
    assert len({message.id for message in silent} & set(log.done)) <= WEBHOOKS_OF_ONE
    said.set()
    log.wait_for(*(message.id for message in silent))


def test_nothing_of_a_prediction_lies_in_the_queue_but_its_id(queue, log):
    """Before, the whole body of a message lay there for a day."""
    queue.send(about("bare"))
    log.wait_for("bare-completed-0")
    (found,) = queue.client.list_workflows(workflow_ids=["bare-completed-0"])
    assert found.input == {"args": ("alice", "bare", "completed", "0", 1, ""), "kwargs": {}}


def test_all_rows_of_what_ended_are_forgotten_and_no_others(queue, log, monkeypatch):
    """Before, a thousand a minute at most, and none behind a thousand that were kept back."""
    monkeypatch.setattr(queues, "FORGOTTEN_AT_ONCE", 2)
    go_on = threading.Event()
    log.doing["unfinished announced"] = [waiting_for(go_on)]
    queue.predict("unfinished")
    ended = [f"ended-{number}" for number in range(5)]
    for name in ended:
        queue.predict(name)
    for name in ended:
        wait_for(lambda name=name: state_of(queue, name) == "SUCCESS")
    assert queue.forget_ended(time.time() - 3600) == 0
    assert queue.forget_ended(time.time() + 1) >= len(ended)
    assert [state_of(queue, name) for name in (*ended, "unfinished")] == [None] * 5 + ["PENDING"]
    go_on.set()
    wait_for(lambda: state_of(queue, "unfinished") == "SUCCESS")


def test_a_workflow_is_known_to_run_for_as_long_as_it_does(queue, log):
    go_on = threading.Event()
    log.doing["seen"] = [waiting_for(go_on)]
    queue.predict("seen")
    log.wait_for("seen")
    assert "seen" in log.running()
    go_on.set()
    wait_for(lambda: "seen" not in log.running())
