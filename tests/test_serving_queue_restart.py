"""What one process queued or began is done by the next, of its own name or another."""

import threading
import time

import pytest
from serving_fixtures import wait_for
from test_serving_queue import Log, opened, raising, state_of, working

from serving.work import queue as queues
from serving.work.queue import Message
from serving.work.runner import GivenUp


@pytest.fixture
def queue(tmp_path):
    with opened(tmp_path) as queue:
        yield queue


def test_what_an_older_process_left_waiting_or_begun_is_done_by_a_new_one_of_its_name(queue):
    """Also after an upgrade: the version of the workflows is not that of the release."""
    old = Log()
    for name in ("begun", "p-completed-0"):
        old.doing[name] = [raising(GivenUp())]  # nothing more happens to it, as after kill -9
    with working(queue, old):
        queue.predict("begun")
        queue.send(Message("p", "completed"), "{}")
        old.wait_for("begun", "p-completed-0")
    queue.predict("waiting")
    assert queue.executors() == {"host-0"}
    with working(queue, Log()) as new:
        new.wait_for("begun announced", "waiting announced", "p-completed-0")
    assert queue.executors() == set()


def test_what_a_process_of_another_name_had_begun_is_left_to_it_until_handed_back(queue):
    old = Log()
    old.doing["begun"] = [raising(GivenUp())]
    with working(queue, old, "gone-0"):
        queue.predict("begun")
        old.wait_for("begun")
    with working(queue, Log()) as new:
        time.sleep(5 * queues.POLL_SECONDS)
        assert new.done == []
        assert queue.running_on("gone-0") == [("begun", queues.PREDICTIONS)]
        queue.hand_back("begun", queues.PREDICTIONS)
        new.wait_for("begun announced")


def test_the_end_waits_for_what_runs_and_begins_nothing_more(queue):
    log, begun = Log(), threading.Event()

    def run() -> None:
        begun.set()
        time.sleep(0.5)

    log.doing["running"] = [run]
    with working(queue, log, give_up=lambda: log.done.append("given up")):
        queue.predict("running")
        assert begun.wait(10)
        stopping = threading.Thread(target=queues.stop, args=(5, lambda: None))
        stopping.start()
        time.sleep(0.3)
        queue.predict("later")
        stopping.join()
    assert log.done == ["running", "running announced"]
    assert state_of(queue, "running") == "SUCCESS"
    assert state_of(queue, "later") == "ENQUEUED"


def test_what_does_not_end_in_time_is_given_up_and_stays_unfinished(queue):
    log, over = Log(), threading.Event()

    def run() -> None:
        assert over.wait(20)
        raise GivenUp

    log.doing["endless"] = [run]
    with working(queue, log, give_up=over.set):
        queue.predict("endless")
        log.wait_for("endless")
    assert state_of(queue, "endless") == "PENDING"
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("dbos-executor")], 5)
