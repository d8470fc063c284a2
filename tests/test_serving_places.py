"""Predictions of several models: a process makes those of its own, no more at once than it may, the oldest first."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from serving_fixtures import Running, running, wait_for
from serving_queue_fixtures import state_of
from serving_runner_fixtures import Backend

from serving.catalog import DIA, MUSICGEN
from serving.storage.database import open_database, sqlite_url
from serving.storage.prediction import Prediction, Status
from serving.storage.records import Records
from serving.work import places as places_module
from serving.work.places import Places
from serving.work.queue import queue_of
from serving.work.runner import GivenUp

BOTH = "dia,musicgen"


@dataclass
class Queue:
    """Stands in for the durable one: what was left to others, and to whom."""

    at_once: int = 1
    left: list[tuple[str, str]] = field(default_factory=list)

    def predictions_at_once(self) -> int:
        return self.at_once

    def hand_back(self, workflow_id: str, queue_name: str) -> None:
        self.left.append((workflow_id, queue_name))


@dataclass
class House:
    records: Records
    queue: Queue = field(default_factory=Queue)
    begun: list[str] = field(default_factory=list)
    ends: dict[str, threading.Event] = field(default_factory=dict)
    threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = Places(self.records, self.queue, {DIA.full_name, MUSICGEN.full_name}, self._make)

    def _make(self, name: str) -> None:
        self.begun.append(name)
        assert self.ends[name].wait(20)

    def accept(self, name: str, model: str = DIA.full_name, created_at: float = 0.0) -> None:
        self.ends[name] = threading.Event()
        self.records.create(Prediction(name, "alice", "predictions", model, "v", {}, created_at=created_at))

    def start(self, name: str) -> None:
        """In a thread of its own, as the queue does; who is given up says so among those that were begun."""

        def work() -> None:
            try:
                self.places.make(name)
            except GivenUp:
                self.begun.append(f"{name} given up")

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def wait_for(self, *begun: str) -> None:
        wait_for(lambda: self.begun == list(begun))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    house = House(Records(engine))
    yield house
    for end in house.ends.values():
        end.set()
    for thread in house.threads:
        thread.join()
    engine.dispose()


def waiting(house: House, number: int) -> None:
    wait_for(lambda: len(house.places._waiting) == number)


def test_all_models_of_a_process_share_its_places_and_the_first_accepted_goes_first(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "PATIENCE_SECONDS", 60.0)
    house.accept("first", created_at=1.0)
    house.accept("third", DIA.full_name, created_at=3.0)
    house.accept("second", MUSICGEN.full_name, created_at=2.0)
    house.start("first")
    house.wait_for("first")
    for number, name in enumerate(("third", "second"), 1):
        house.start(name)
        waiting(house, number)
    assert house.begun == ["first"]
    house.ends["first"].set()
    house.wait_for("first", "second")
    house.ends["second"].set()
    house.wait_for("first", "second", "third")


def test_who_gets_no_place_for_a_while_is_left_to_another_process(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "PATIENCE_SECONDS", 0.05)
    house.accept("first")
    house.accept("second", MUSICGEN.full_name)
    house.start("first")
    house.wait_for("first")
    house.start("second")
    house.wait_for("first", "second given up")
    assert house.queue.left == [("second", queue_of(MUSICGEN.full_name))]
    assert house.records.get("second").status is Status.STARTING


def test_what_another_process_has_begun_meanwhile_is_not_taken_from_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places_module, "PATIENCE_SECONDS", 0.5)
    house.accept("first")
    house.accept("second")
    house.start("first")
    house.wait_for("first")
    house.start("second")
    waiting(house, 1)
    house.records.begin("second")
    house.wait_for("first", "second given up")
    assert house.queue.left == []


def test_nothing_that_waits_for_a_place_is_begun_at_the_end(house: House) -> None:
    house.accept("first")
    house.accept("second")
    house.start("first")
    house.wait_for("first")
    house.start("second")
    waiting(house, 1)
    house.places.close()
    house.wait_for("first", "second given up")
    assert house.queue.left == []  # whoever ends the process hands back all that it had


def test_what_is_over_needs_no_place(house: House) -> None:
    """Its end is still to be told."""
    house.accept("first")
    house.accept("second", "parley/of-another")
    house.records.cancel("second")
    house.ends["second"].set()
    house.start("first")
    house.wait_for("first")
    house.start("second")
    house.wait_for("first", "second")


def asked(run: Running, model: str, **inputs: str) -> str:
    with run.client() as client:
        answer = client.post(f"/v1/models/parley/{model}/predictions", json={"input": inputs})
    assert answer.status_code in (201, 202), answer.text
    return str(answer.json()["id"])


def ended(run: Running, name: str) -> Prediction:
    wait_for(lambda: run.service.records.get(name).status.final)
    return run.service.records.get(name)


def test_a_process_leaves_what_it_has_no_model_for_to_one_that_has(tmp_path: Path) -> None:
    """Before, it failed there for good. Whether another worker took it or a restart had fewer models is the same."""
    with running(tmp_path, models=BOTH) as run:
        names = [asked(run, "musicgen", prompt=text) for text in ("rain", "snow")]
        for name in names:
            wait_for(lambda name=name: queue_name(run, name) == queue_of(MUSICGEN.full_name))
        assert ended(run, asked(run, "dia", text="[S1] Hi.")).status is Status.SUCCEEDED
        with run.client() as client:
            shown = [client.get(f"/v1/predictions/{name}").json() for name in names]
        assert [(one["status"], one["metrics"]["queue_position"]) for one in shown] == [
            ("starting", 1),
            ("starting", 2),
        ]
        assert [state_of(run.service.queue, name) for name in names] == ["ENQUEUED"] * 2
        assert httpx.get(f"{run.url}/ready").json() == {"status": "ready", "unserved": MUSICGEN.full_name}
    with running(tmp_path, others={MUSICGEN.full_name: Backend()}, models=BOTH) as run:
        assert [ended(run, name).status for name in names] == [Status.SUCCEEDED] * 2
        assert [run.service.records.get(name).attempt for name in names] == [1, 1]
        assert httpx.get(f"{run.url}/ready").json() == {"status": "ready"}


def test_a_process_of_several_models_makes_no_more_at_once_by_either_queue(tmp_path: Path) -> None:
    gate, most = threading.Event(), 2
    music = Backend(making=lambda listener: wait_for(gate.is_set))
    with running(tmp_path, models=BOTH) as run:
        names = [asked(run, "musicgen", prompt=f"rain {number}") for number in range(3)]
        wait_for(lambda: {queue_name(run, name) for name in names} == {queue_of(MUSICGEN.full_name)})
    with running(tmp_path, others={MUSICGEN.full_name: music}, models=BOTH, at_once=most) as run:
        names += [asked(run, "musicgen", prompt=f"snow {number}") for number in range(3)]
        wait_for(lambda: len(music.made) == most)
        wait_for(lambda: len(run.service.queue.running_on(executor(run))) > most)  # taken from both queues
        assert len(music.made) == most
        gate.set()
        assert {ended(run, name).status for name in names} == {Status.SUCCEEDED}
        assert len(music.made) == len(names)


def queue_name(run: Running, name: str) -> str | None:
    found = run.service.queue.client.list_workflows(workflow_ids=[name])
    return found[0].queue_name if found else None


def executor(run: Running) -> str:
    (name,) = run.service.queue.executors()
    return name
