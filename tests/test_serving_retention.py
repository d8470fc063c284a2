"""What is over is forgotten in steps, is still counted afterwards, and none of it is looked for in the whole table."""

import threading
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from serving.storage.database import open_database, sqlite_url
from serving.storage.history import History
from serving.storage.live import LiveAudio
from serving.storage.prediction import Prediction, Status
from serving.storage.records import Records
from serving.storage.retention import Retention
from serving.storage.tables import predictions as table
from serving.storage.tallies import Tallies

pytest_plugins = ["postgres_fixtures"]

MODEL = "parley/dia"
HOUR = 3600.0


class House:
    def __init__(self, url: str) -> None:
        self.engine = open_database(url)
        self.records, self.retention = Records(self.engine), Retention(self.engine)
        self.tallies, self.live = Tallies(self.engine), LiveAudio(self.engine)

    def accept(self, name: str, **values) -> None:
        self.records.create(Prediction(name, "alice", "predictions", MODEL, "v", {"text": "[S1] Hello."}, **values))

    def end(self, name: str, status: Status = Status.SUCCEEDED, age: float = 0.0, took: float = 3.0, **values) -> None:
        """age: seconds since its end."""
        self.accept(name, **values)
        self.records.finish(self.records.begin(name), status, audio_seconds=2.0, logs="text", output="file")
        self.set(name, completed_at=time.time() - age, started_at=time.time() - age - took)

    def set(self, name: str, **values) -> None:
        with self.engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == name).values(values))

    def counted(self) -> dict[tuple[str, str], tuple[int, float, float]]:
        """(status, bound) → number, seconds of audio, seconds it took."""
        return {
            (t.status, t.took): (t.number, round(t.audio_seconds, 3), round(t.predict_seconds, 3))
            for t in self.tallies.all()
        }


@pytest.fixture
def house(either_url):
    house = House(either_url)
    yield house
    house.engine.dispose()


def test_data_is_removed_once_and_the_prediction_stays(house):
    house.end("p1")
    assert house.retention.remove_data(time.time() - 60) == 0
    assert house.retention.remove_data(time.time() + 1) == 1
    assert house.retention.remove_data(time.time() + 1) == 0
    now = house.records.get("p1")
    assert (now.input, now.output, now.logs, now.status) == ({}, None, "", Status.SUCCEEDED)


def test_a_row_is_forgotten_once_its_data_is_removed_and_its_time_has_come(house):
    """Before, rows were kept for ever."""
    for name, age in (("old", 3 * HOUR), ("young", HOUR), ("with data", 9 * HOUR)):
        house.end(name, age=age)
    house.accept("waits")
    house.set("with data", completed_at=time.time())
    house.retention.remove_data(time.time() - HOUR / 2)
    house.set("with data", completed_at=time.time() - 9 * HOUR)
    assert house.retention.forget(time.time() - 2 * HOUR) == 0  # it is not counted yet
    house.tallies.add_up()
    assert house.retention.forget(time.time() - 2 * HOUR) == 1
    assert [house.records.get(name) is None for name in ("old", "young", "waits")] == [True, False, False]


def test_a_key_is_free_again_after_its_time(house):
    house.accept("first", key="k", key_hash="h")
    assert house.retention.free_keys(time.time() - 60) == 0
    assert house.retention.free_keys(time.time() + 60) == 1
    house.accept("second", key="k", key_hash="other")
    assert house.records.of_key("alice", "predictions", "k", "other").id == "second"
    assert house.retention.free_keys(time.time() - 60) == 0


def test_what_is_counted_stays_the_same_whatever_is_forgotten(house):
    """Else counters of Prometheus would seem to begin anew each minute."""
    for number, took in enumerate((0.4, 3.0, 4.0, 4000.0)):
        house.end(f"p{number}", age=HOUR * number, took=took)
    house.end("failed", Status.FAILED, age=HOUR)
    house.accept("cancelled")
    house.records.cancel("cancelled")
    house.accept("waits")
    before = house.counted()
    assert before == {
        ("succeeded", "0.5"): (1, 2.0, 0.4),
        ("succeeded", "5.0"): (2, 4.0, 7.0),
        ("succeeded", "+Inf"): (1, 2.0, 4000.0),
        ("failed", "5.0"): (1, 2.0, 3.0),
        ("canceled", "none"): (1, 0.0, 0.0),
        ("starting", "none"): (1, 0.0, 0.0),
    }
    assert [house.tallies.add_up() for _ in range(2)] == [6, 0]
    house.end("p4", age=HOUR, took=3.0)
    before["succeeded", "5.0"] = (3, 6.0, 10.0)
    assert house.counted() == before
    house.tallies.add_up()
    for hours in (2.5, 0.5, -1):
        house.retention.remove_data(time.time() - hours * HOUR)
        house.retention.forget(time.time() - hours * HOUR)
        assert house.counted() == before
    assert house.tallies.count_of(MODEL) == 8
    assert house.tallies.count_of("parley/other") == 0
    assert [p.id for p in History(house.engine).page("alice", limit=9).rows] == ["waits"]


def test_of_many_processes_that_add_up_together_each_end_is_counted_by_one(house):
    for number in range(20):
        house.end(f"p{number}")
    added: list[int] = []
    threads = [threading.Thread(target=lambda: added.append(house.tallies.add_up())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [0, 0, 0, 0, 0, 20]
    assert house.tallies.count_of(MODEL) == 20


def test_live_audio_goes_with_its_prediction_and_not_before(house):
    for name in ("heard", "forgotten"):
        house.accept(name)
        house.live.append(house.records.begin(name), 0, 8000, b"aa")
    before = {name: house.records.get(name) for name in ("heard", "forgotten")}
    house.records.cancel("forgotten")
    house.retention.remove_data(time.time() + 1)
    house.tallies.add_up()
    house.retention.forget(time.time() + 1)
    house.live.forget(time.time() - 60)
    assert [house.live.is_kept(before[name]) for name in ("heard", "forgotten")] == [True, False]


def test_what_is_asked_each_minute_or_more_often_reads_no_whole_table(tmp_path):
    """Before, four of these read every prediction there ever was."""
    house = House(sqlite_url(tmp_path / "x.db"))
    for number in range(50):
        house.end(f"p{number}", age=HOUR * number)
    plans: Counter[str] = Counter()

    def explain(connection, cursor, statement, parameters, *_) -> None:
        if not statement.startswith(("EXPLAIN", "INSERT", "PRAGMA", "BEGIN")):
            found = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.update(row[3] for row in found)

    sa.event.listen(house.engine, "before_cursor_execute", explain)
    house.retention.remove_data(time.time() - HOUR)
    house.retention.leftovers()
    house.retention.free_keys(time.time())
    house.retention.forget(time.time() - HOUR)
    house.live.forget(time.time() - 60)
    house.tallies.all()
    house.tallies.count_of(MODEL)
    house.tallies.add_up()
    house.accept("waits")
    assert History(house.engine).queue_positions([house.records.get("waits")]) == {"waits": 1}
    house.records.unannounced()
    house.records.expire(time.time())
    house.records.unfinished(time.time())
    house.records.refuse_more("alice", 100)
    house.records.ended_among(["p1"])
    reads = [plan for plan in plans if "parley_predictions" in plan or plan.startswith("SCAN predictions")]
    assert len(reads) > 8
    assert [plan for plan in reads if "USING" not in plan or "of_owner" in plan] == []
    house.engine.dispose()
