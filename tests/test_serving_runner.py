"""A prediction is brought to its own end, once, by whoever may; all else is left for another to begin anew."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from serving_fixtures import wait_for

from models.errors import Cancelled, EngineClosed, InvalidRequest
from serving.catalog import DIA
from serving.fetch import FetchLimits
from serving.storage.database import open_database, sqlite_url
from serving.storage.files import ARRIVAL_SECONDS, Files
from serving.storage.live import LiveAudio
from serving.storage.records import Prediction, Records, Status
from serving.storage.store import FolderStore
from serving.work.backend import Listener, MadeFile
from serving.work.runner import FAULT, MOST_ATTEMPTS, GivenUp, PredictionRunner, Storage

Making = Callable[[Listener], None]


@dataclass
class Backend:
    """Does what a test wants, then writes three bytes."""

    making: Making = lambda listener: None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self, prediction_id: str) -> None:
        self.cancelled.set()

    def make(self, prediction_id, inputs, folder, streaming, listener) -> MadeFile:
        self.making(listener)
        path = folder / "output.wav"
        path.write_bytes(b"abc")
        return MadeFile(path, path.name, "audio/wav", {"audio_seconds": 1.0})


@dataclass
class House:
    folder: Path
    backend: Backend = field(default_factory=Backend)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.engine = open_database(sqlite_url(self.folder / "x.db"))
        self.records = Records(self.engine)
        self.files = Files(self.engine, FolderStore(self.folder / "files"))
        self.told: list[str] = []
        self.work_folder = self.folder / "work"
        self.work_folder.mkdir(parents=True)
        self.worker = self.new_worker()

    def new_worker(self) -> PredictionRunner:
        rooms = Storage(self.engine, self.records, self.files, LiveAudio(self.engine))
        return PredictionRunner(
            rooms, {DIA.full_name: self.backend}, FetchLimits(), 86_400.0, self.work_folder, self._tell
        )

    def _tell(self, now: Prediction, event: str) -> None:
        self.told.append(event)

    def accept(self, **values) -> str:
        given = {"input": {"text": "[S1] Hello."}, "settled": {"seed": 1}, **values}
        self.records.create(Prediction("p1", "alice", "predictions", DIA.full_name, DIA.version, **given))
        return "p1"

    def work(self, making: Making = lambda listener: None, **values) -> Prediction:
        """Accepted and worked on to its end, if there is one."""
        self.backend.making = making
        self.worker.work(self.accept(**values))
        return self.now

    @property
    def now(self) -> Prediction:
        found = self.records.get("p1")
        assert found is not None
        return found

    @property
    def stored(self) -> list[str]:
        """The names of all files in the store."""
        return [path.name for path in (self.folder / "files").rglob("*") if path.is_file()]


class Killed(BaseException):
    """Nothing after this has happened."""


@contextmanager
def killed_before(engine: sa.Engine, number: int) -> Iterator[list[str]]:
    """Ends what is within at the statement of this number, from 0 → that statement, if it came so far."""
    seen, killed = itertools.count(), []

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if next(seen) == number:
            killed.append(statement)
            raise Killed

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        yield killed
    except Killed:
        pass
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.engine.dispose()


def raising(error: BaseException) -> Making:
    def making(listener: Listener) -> None:
        raise error

    return making


def test_it_succeeds_with_a_file_that_is_kept(house):
    now = house.work()
    file = house.files.get(now.output)
    assert (now.status, now.progress, now.audio_seconds) == (Status.SUCCEEDED, 1.0, 1.0)
    assert b"".join(house.files.read(file)) == b"abc"
    assert list(house.work_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "text"),
    [(InvalidRequest("text", "is bad. Change it."), "text: is bad. Change it."), (ValueError("secret"), FAULT)],
)
def test_it_fails_with_what_its_caller_may_know(house, error, text):
    now = house.work(raising(error))
    assert (now.status, now.error) == (Status.FAILED, text)


def test_what_is_over_is_not_begun(house):
    house.accept()
    house.records.cancel("p1")
    house.worker.work("p1")
    assert (house.now.attempt, house.now.status) == (0, Status.CANCELED)


def test_what_is_late_is_not_begun(house):
    now = house.work(deadline=time.time() - 1)
    assert (now.attempt, now.status) == (0, Status.ABORTED)


def test_one_cancelled_while_it_runs_stays_cancelled_and_leaves_no_file(house):
    now = house.work(lambda listener: house.records.cancel("p1"))
    assert now.status is Status.CANCELED
    assert now.output is None
    assert house.stored == []


def test_one_cancelled_while_its_file_is_kept_leaves_no_file(house, monkeypatch):
    put_bytes = house.files.put_bytes

    def cancelled_meanwhile(*given, **described):
        file = put_bytes(*given, **described)
        house.records.cancel("p1")
        return file

    monkeypatch.setattr(house.files, "put_bytes", cancelled_meanwhile)
    assert house.work().status is Status.CANCELED
    assert house.stored == []


def test_running_work_is_cancelled_at_its_maker(house):
    def until_cancelled(listener: Listener) -> None:
        house.records.cancel("p1")
        house.worker.cancel_ended()
        assert house.backend.cancelled.is_set()
        raise Cancelled("p1")

    assert house.work(until_cancelled).status is Status.CANCELED


def test_one_that_another_has_begun_meanwhile_is_not_touched(house):
    """This worker was taken for dead. Before, it cancelled what the other one was making."""
    now = house.work(lambda listener: house.records.begin("p1"))
    assert (now.status, now.attempt) == (Status.PROCESSING, 2)
    house.backend.making = lambda listener: None
    house.new_worker().work("p1")
    assert (house.now.status, house.now.attempt) == (Status.SUCCEEDED, 3)


@pytest.mark.parametrize("how", ["heard by the backend", "met in the next report", "met in the next sound"])
def test_given_up_work_is_left_as_it_is_and_another_makes_it(house, how):
    def making(listener: Listener) -> None:
        house.worker.give_up()
        if how == "heard by the backend":
            assert house.backend.cancelled.wait(10)
            raise Cancelled("p1")
        if how == "met in the next sound":
            listener.audio(b"aa", 8000)
        listener.progress(0.5, 1.0)

    with pytest.raises(GivenUp):
        house.work(making)
    assert (house.now.status, house.now.error) == (Status.PROCESSING, None)
    with pytest.raises(GivenUp):
        house.worker.work("p1")
    house.backend.making = lambda listener: None
    house.new_worker().work("p1")
    assert (house.now.status, house.now.attempt) == (Status.SUCCEEDED, 2)


def test_an_engine_that_broke_fails_nothing_and_is_told_of(house):
    """Otherwise it would fail everything that waits, one after the other."""
    error = EngineClosed("The engine broke.")
    with pytest.raises(GivenUp):
        house.work(raising(error))
    assert house.now.status is Status.PROCESSING
    assert house.worker.broken is error


def test_a_database_that_was_away_fails_nothing(house):
    away = sa.exc.OperationalError("UPDATE", {}, psycopg.OperationalError("the server closed the connection"))
    with pytest.raises(sa.exc.OperationalError):
        house.work(raising(away))
    assert house.now.status is Status.PROCESSING
    house.backend.making = lambda listener: None
    house.worker.work("p1")
    assert house.now.status is Status.SUCCEEDED


def test_one_that_takes_its_process_down_each_time_is_given_up_at_last(house):
    house.accept()
    for _ in range(MOST_ATTEMPTS):
        house.records.begin("p1")
    house.worker.work("p1")
    assert house.now.status is Status.FAILED
    assert str(MOST_ATTEMPTS) in house.now.error
    assert house.told == []


def test_killed_before_any_of_its_statements_it_is_made_by_the_next(tmp_path):
    """Each transaction is whole or did not happen, so this is every moment at which a crash can make a difference."""
    for number in itertools.count():
        house = House(tmp_path / str(number))
        name = house.accept()
        with killed_before(house.engine, number) as killed:
            house.worker.work(name)
        house.new_worker().work(name)
        house.files.delete_expired(time.time() + ARRIVAL_SECONDS + 1)
        assert house.now.status is Status.SUCCEEDED
        assert house.stored == [house.now.output]
        house.engine.dispose()
        if not killed:
            break
    assert number > 5


def test_work_that_is_given_up_while_it_begins_is_given_up_too(house):
    """Between the check and the list of what runs there is a moment."""
    begun = threading.Event()

    def making(listener: Listener) -> None:
        begun.set()
        while True:
            listener.progress(0.1, 0.1)
            time.sleep(0.3)

    given_up: list[BaseException] = []

    def work() -> None:
        try:
            house.work(making)
        except GivenUp as error:
            given_up.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(begun.is_set)
    house.worker._given_up.set()  # as give_up does before it looks for what runs
    thread.join(10)
    assert given_up
