"""What was lost on its way is queued again, by whoever is there, and once."""

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from serving.storage.database import open_database, sqlite_url
from serving.storage.lease import FileLease, Lease
from serving.storage.prediction import Prediction
from serving.storage.records import Records
from serving.work import rescue as rescue_module
from serving.work.rescue import IDLE_SECONDS, LOST_SECONDS, Rescue


@dataclass
class StandInQueue:
    """What waits or runs, and where; keeps what it is asked to do."""

    known: set[str] = field(default_factory=set)
    claimed: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    anew: list[str] = field(default_factory=list)
    handed_back: list[tuple[str, str]] = field(default_factory=list)

    def unfinished(self) -> set[str]:
        return set(self.known)

    def executors(self) -> set[str]:
        return {name for name, claimed in self.claimed.items() if claimed}

    def running_on(self, executor: str) -> list[tuple[str, str]]:
        return self.claimed.get(executor, [])

    def hand_back(self, workflow_id: str, queue_name: str) -> None:
        self.handed_back.append((workflow_id, queue_name))
        self.claimed = {name: [w for w in all if w[0] != workflow_id] for name, all in self.claimed.items()}

    def predict_anew(self, prediction_id: str) -> None:
        self.anew.append(prediction_id)


@dataclass
class House:
    records: Records
    folder: Path
    running: set[str] = field(default_factory=set)  # workflows of this process

    def lease_of(self, name: str) -> AbstractContextManager[Lease]:
        return FileLease(self.folder, name)

    def rescue(self, queue: StandInQueue, own: str = "own-0") -> Rescue:
        return Rescue(self.records, queue, own, lambda: self.running, self.lease_of)

    def accept(self, name: str, age: float = 2 * LOST_SECONDS) -> None:
        made = Prediction(name, "alice", "predictions", "parley/dia", "v", {})
        self.records.create(replace(made, created_at=time.time() - age))


@pytest.fixture
def house(tmp_path):
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    yield House(Records(engine), tmp_path)
    engine.dispose()


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test lets pass."""
    passed = [0.0]
    monkeypatch.setattr(rescue_module.time, "monotonic", lambda: passed[0])
    return passed


def test_a_prediction_of_which_nothing_waits_or_runs_is_queued_anew(house):
    """Its process died between keeping and queueing it, or what worked on it broke off."""
    for name in ("queued", "lost", "over"):
        house.accept(name)
    house.accept("new", age=0)
    house.records.cancel("over")
    queue = StandInQueue(known={"queued"})
    house.rescue(queue)()
    assert queue.anew == ["lost"]


def test_what_a_dead_process_had_begun_is_handed_back_be_it_a_prediction_or_a_webhook(house):
    """Before, webhooks were looked for only where a prediction had been begun too."""
    house.running = {"own"}
    queue = StandInQueue(claimed={"own-0": [("own", "predictions")], "dead-0": [("message", "webhooks")]})
    house.rescue(queue)()
    assert queue.handed_back == [("message", "webhooks")]


def test_what_a_living_process_has_begun_is_left_to_it(house):
    queue = StandInQueue(claimed={"other-0": [("its", "predictions")]})
    with house.lease_of("other-0"):
        house.rescue(queue)()
    assert queue.handed_back == []


def test_what_this_process_has_claimed_and_does_not_run_is_handed_back_after_a_while(house, clock):
    """Its thread could not start, or its end met a database that could only be read. Before, it waited for ever."""
    house.running = {"runs"}
    queue = StandInQueue(claimed={"own-0": [("runs", "predictions"), ("idle", "predictions"), ("ends", "webhooks")]})
    rescue = house.rescue(queue)
    rescue()
    clock[0] += IDLE_SECONDS - 1
    queue.claimed["own-0"].pop()  # its end was kept meanwhile
    rescue()
    assert queue.handed_back == []
    clock[0] += 1
    rescue()
    assert queue.handed_back == [("idle", "predictions")]


def test_what_begins_again_after_it_was_idle_is_left_alone(house, clock):
    queue = StandInQueue(claimed={"own-0": [("late", "predictions")]})
    rescue = house.rescue(queue)
    for running in (set(), {"late"}, set()):
        house.running = running
        rescue()
        clock[0] += IDLE_SECONDS - 1
    assert queue.handed_back == []


def test_of_two_that_rescue_together_one_does(house):
    queue = StandInQueue(claimed={"dead-0": [(str(number), "predictions") for number in range(20)]})
    rescues = [house.rescue(queue, own) for own in ("a-0", "b-0")]
    threads = [threading.Thread(target=rescue) for rescue in rescues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(queue.handed_back) == sorted((str(number), "predictions") for number in range(20))


def test_a_lease_taken_for_a_rescue_is_given_back(house):
    queue = StandInQueue(claimed={"dead-0": [("a", "predictions")]})
    house.rescue(queue)()
    assert Path(house.folder, "dead-0.lock").exists()
    with house.lease_of("dead-0") as lease:
        assert lease.held
