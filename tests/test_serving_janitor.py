"""What has to be looked after is, in time, by whoever is there, and once."""

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from serving_fixtures import wait_for

from serving.storage.database import open_database, sqlite_url
from serving.storage.lease import FileLease, Lease
from serving.storage.records import Prediction, Records, Status
from serving.work import janitor
from serving.work.janitor import (
    HALF_WRITTEN_SECONDS,
    LIVE_SECONDS,
    LOST_SECONDS,
    QUEUE_SECONDS,
    WANTED_SECONDS,
    Janitor,
    Rescue,
    Sweep,
)


@dataclass
class StandInQueue:
    """What waits or runs, and where; keeps what it is asked to do."""

    known: set[str] = field(default_factory=set)
    running: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    anew: list[str] = field(default_factory=list)
    handed_back: list[tuple[str, str]] = field(default_factory=list)

    def unfinished(self) -> set[str]:
        return set(self.known)

    def executors(self) -> set[str]:
        return {name for name, running in self.running.items() if running}

    def running_on(self, executor: str) -> list[tuple[str, str]]:
        return self.running[executor]

    def hand_back(self, workflow_id: str, queue_name: str) -> None:
        self.handed_back.append((workflow_id, queue_name))
        self.running = {name: [w for w in all if w[0] != workflow_id] for name, all in self.running.items()}

    def predict_anew(self, prediction_id: str) -> None:
        self.anew.append(prediction_id)


@pytest.fixture
def records(tmp_path):
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    yield Records(engine)
    engine.dispose()


@pytest.fixture
def lease_of(tmp_path):
    def lease(name: str) -> AbstractContextManager[Lease]:
        return FileLease(tmp_path, name)

    return lease


def accept(records: Records, name: str, age: float = 2 * LOST_SECONDS) -> None:
    made = Prediction(name, "alice", "predictions", "parley/dia", "v", {})
    records.create(replace(made, created_at=time.time() - age))


def test_each_chore_is_done_when_it_is_due_and_one_that_fails_stops_no_other():
    done: list[str] = []

    def fail() -> None:
        done.append("failed")
        raise OSError("the database is away")

    with Janitor({fail: 0.0, lambda: done.append("often"): 0.0, lambda: done.append("seldom"): 60.0}):
        wait_for(lambda: done.count("failed") >= 2 and done.count("often") >= 2)
    assert done.count("seldom") == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "janitor"]


def test_a_prediction_of_which_nothing_waits_or_runs_is_queued_anew(records, lease_of):
    """Its process died between keeping and queueing it, or what worked on it broke off."""
    for name in ("queued", "lost", "over"):
        accept(records, name)
    accept(records, "new", age=0)
    records.cancel("over")
    queue = StandInQueue(known={"queued"})
    Rescue(records, queue, "own-0", lease_of)()
    assert queue.anew == ["lost"]


def test_what_a_dead_process_had_begun_is_handed_back_be_it_a_prediction_or_a_webhook(records, lease_of):
    """Before, webhooks were looked for only where a prediction had been begun too."""
    queue = StandInQueue(running={"own-0": [("own", "predictions")], "dead-0": [("message", "webhooks")]})
    Rescue(records, queue, "own-0", lease_of)()
    assert queue.handed_back == [("message", "webhooks")]


def test_what_a_living_process_has_begun_is_left_to_it(records, lease_of):
    queue = StandInQueue(running={"other-0": [("its", "predictions")]})
    with lease_of("other-0"):
        Rescue(records, queue, "own-0", lease_of)()
    assert queue.handed_back == []


def test_of_two_that_rescue_together_one_does(records, lease_of):
    queue = StandInQueue(running={"dead-0": [(str(number), "predictions") for number in range(20)]})
    rescues = [Rescue(records, queue, own, lease_of) for own in ("a-0", "b-0")]
    threads = [threading.Thread(target=rescue) for rescue in rescues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(queue.handed_back) == sorted((str(number), "predictions") for number in range(20))


def test_what_was_cancelled_in_the_queue_is_announced_without_waiting_for_its_turn(records):
    for name in ("waiting", "running", "ended"):
        accept(records, name)
    records.begin("running")
    records.finish(records.begin("ended"), Status.SUCCEEDED)
    records.cancel("waiting")
    records.cancel("running")  # announced by whoever runs it
    told: list[str] = []
    janitor.announce_unbegun(records, told.append)
    assert told == ["waiting"]


def test_a_sweep_deletes_what_was_kept_long_enough_and_nothing_else(monkeypatch):
    asked: dict[str, float] = {}

    def hearing(name: str):
        return lambda before: asked.update({name: before})

    rooms = [
        SimpleNamespace(remove_data=hearing("records"), active=list),
        SimpleNamespace(delete_expired=hearing("files")),
        SimpleNamespace(sweep=hearing("store")),
        SimpleNamespace(forget=hearing("live")),
        SimpleNamespace(forget_ended=hearing("queue")),
    ]
    monkeypatch.setattr(janitor.time, "time", lambda: 1e6)
    Sweep(*rooms, keep_seconds=3600.0)()
    assert {name: 1e6 - before for name, before in asked.items()} == {
        "records": 3600.0,
        "files": 0.0,
        "store": HALF_WRITTEN_SECONDS,
        "live": LIVE_SECONDS,
        "queue": QUEUE_SECONDS,
    }


def test_a_sweep_keeps_the_files_that_unfinished_predictions_wait_for(records, monkeypatch):
    for name, value in (("waiting", "file:a"), ("over", "file:b"), ("elsewhere", "https://example.org/c.wav")):
        given = {"text": "[S1] Hi.", "audio_prompt": value, "seed": 1}
        records.create(Prediction(name, "alice", "predictions", "parley/dia", "v", given))
    records.cancel("over")
    kept: dict[str, float] = {}
    files = SimpleNamespace(
        keep_until=lambda ids, moment: kept.update(dict.fromkeys(ids, moment)), delete_expired=lambda now: 0
    )
    others = SimpleNamespace(sweep=lambda before: None, forget=lambda before: None, forget_ended=lambda before: None)
    monkeypatch.setattr(janitor.time, "time", lambda: 1e6)
    Sweep(records, files, others, others, others, keep_seconds=3600.0)()
    assert kept == {"a": 1e6 + WANTED_SECONDS}


def test_a_lease_taken_for_a_rescue_is_given_back(records, lease_of, tmp_path):
    queue = StandInQueue(running={"dead-0": [("a", "predictions")]})
    Rescue(records, queue, "own-0", lease_of)()
    assert Path(tmp_path, "dead-0.lock").exists()
    with lease_of("dead-0") as lease:
        assert lease.held
