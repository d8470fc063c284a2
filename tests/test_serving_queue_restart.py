"""What one process queued or began is done by the next, of its own name or another."""

import logging
import threading

import pytest
import sqlalchemy as sa
from serving_fixtures import wait_for
from serving_queue_fixtures import Log, about, opened, raising, state_of, waiting_for, working

from serving.work import queue as queues
from serving.work import workflows
from serving.work.queue import Queue
from serving.work.runner import GivenUp


def queues_threads() -> list[threading.Thread]:
    """That look for work."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("queue-worker-")]


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
        queue.send(about("p"))
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
        queue.predict("sentinel")
        new.wait_for("sentinel announced")
        assert new.done == ["sentinel", "sentinel announced"]
        assert queue.running_on("gone-0") == [("begun", queues.PREDICTIONS)]
        queue.hand_back("begun", queues.PREDICTIONS)
        new.wait_for("begun announced")


def test_the_end_waits_for_what_runs_and_begins_nothing_more(queue):
    log, go_on = Log(), threading.Event()
    log.doing["running"] = [waiting_for(go_on)]
    with working(queue, log, give_up=lambda: log.done.append("given up")):
        queue.predict("running")
        log.wait_for("running")
        stopping = threading.Thread(target=workflows.stop, args=(20, lambda: None))
        stopping.start()
        wait_for(lambda: not queues_threads())
        queue.predict("later")
        go_on.set()
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


def test_of_the_end_a_receiver_is_told_for_half_an_hour_of_all_else_not_for_long():
    """One that is deployed meanwhile must not miss the end; Replicate repeats nothing else."""
    attempts = workflows.DELIVERY_ATTEMPTS

    def seconds(event: str) -> float:
        return sum(2.0 * 2.5**number for number in range(attempts[event] - 1))

    assert 1800 < seconds("completed") < 2400
    assert max(seconds(event) for event in ("start", "output", "logs")) < 10
    assert attempts["logs"] == 2


def test_what_dbos_logs_of_errors_quotes_no_values(queue, caplog):
    """They may be callers' texts. Its own engines write them out."""
    logger = logging.getLogger("dbos")  # it keeps to itself
    logger.addHandler(caplog.handler)
    try:
        with working(queue, Log()):
            rename(queue, "workflow_status", "away")
            with pytest.raises(sa.exc.SQLAlchemyError) as failed:
                queue.predict("of-the-utmost-secrecy")
            wait_for(lambda: "queue thread for predictions" in caplog.text)
            rename(queue, "away", "workflow_status")
    finally:
        logger.removeHandler(caplog.handler)
    said = caplog.text + str(failed.value)
    assert "parameters hidden" in said
    assert "[parameters:" not in said
    assert "of-the-utmost-secrecy" not in said


def rename(queue: Queue, table: str, name: str) -> None:
    with queue.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")
