"""A prediction's row moves from state to state as it should, whoever comes late or twice."""

import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from serving.storage.database import metadata, open_database, sqlite_url
from serving.storage.records import ACTIVE, KeyConflict, Prediction, Records, Status

DEADLINE = 1000.0  # seconds since 1970


@pytest.fixture
def records(tmp_path):
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    yield Records(engine)
    engine.dispose()


def prediction(number: int = 1, **values) -> Prediction:
    return Prediction(f"p{number}", "alice", "predictions", "parley/dia", "v", {"text": "[S1] Hello."}, **values)


class Life(RuleBasedStateMachine):
    """One prediction, and everything that workers, its owner and the clock may do to it in any order."""

    @initialize(has_deadline=st.booleans())
    def create(self, has_deadline):
        self.engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        metadata.create_all(self.engine)
        self.told = []
        self.records = Records(self.engine, self.told.append)
        self.records.create(prediction(deadline=DEADLINE if has_deadline else None))
        self.has_deadline = has_deadline
        self.status = Status.STARTING
        self.begun: list[Prediction] = []
        self.end = None

    def teardown(self):
        self.engine.dispose()

    @rule()
    def begin(self):
        now = self.records.begin("p1")
        assert (now is not None) == (self.status in ACTIVE)
        if now is not None:
            self.status = Status.PROCESSING
            self.begun.append(now)
            assert now.attempt == len(self.begun)
            assert now.started_at == self.begun[0].started_at

    @precondition(lambda self: self.begun)
    @rule(worker=st.integers(0), progress=st.floats(0, 1))
    def report(self, worker, progress):
        now = self.begun[worker % len(self.begun)]
        assert self.records.report(now, progress, 1.0, "a line\n") == self._may_change(now)

    @precondition(lambda self: self.begun)
    @rule(worker=st.integers(0), status=st.sampled_from([Status.SUCCEEDED, Status.FAILED, Status.CANCELED]))
    def finish(self, worker, status):
        now = self.begun[worker % len(self.begun)]
        expected = self._may_change(now)
        assert self.records.finish(now, status, output="file") == expected
        if expected:
            self.status = status

    @rule()
    def cancel(self):
        assert self.records.cancel("p1") == (self.status in ACTIVE)
        if self.status in ACTIVE:
            self.status = Status.CANCELED

    @rule(late=st.booleans())
    def expire(self, late):
        over = late and self.has_deadline and self.status in ACTIVE
        assert self.records.expire(DEADLINE + (1 if late else -1)) == (["p1"] if over else [])
        if over:
            self.status = Status.ABORTED if self.status is Status.STARTING else Status.CANCELED

    @invariant()
    def is_as_expected(self):
        now = self.records.get("p1")
        assert now.status is self.status
        assert now.attempt == len(self.begun)
        assert (now.completed_at is not None) == now.status.final
        assert self.records.waiting("alice") == (not now.status.final)
        assert self.told
        if now.status.final:
            self.end = self.end or now
            assert now == self.end  # the states at the end are final, and so is all the rest

    def _may_change(self, now: Prediction) -> bool:
        return self.status is Status.PROCESSING and now.attempt == len(self.begun)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)


def test_of_two_that_begin_it_together_each_knows_its_own_attempt(records):
    records.create(prediction())
    found: list[Prediction] = []
    threads = [threading.Thread(target=lambda: found.append(records.begin("p1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(now.attempt for now in found) == list(range(1, 9))
    kept = [now.attempt for now in found if records.finish(now, Status.SUCCEEDED)]
    assert kept == [8]


def test_a_late_worker_cannot_cancel_what_another_has_begun(records):
    records.create(prediction())
    first, second = records.begin("p1"), records.begin("p1")
    assert not records.finish(first, Status.CANCELED)
    assert records.finish(second, Status.SUCCEEDED)


def test_those_who_wait_are_told_of_the_end_once_it_is_kept(tmp_path):
    told = []
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    records = Records(engine, told.append)
    records.create(prediction())
    now = records.begin("p1")
    told.clear()
    with engine.begin() as connection:
        assert records.finish(now, Status.SUCCEEDED, connection)
        assert not told  # not yet: another process would not see it
    records.create(prediction(2))
    records.finish(records.begin("p2"), Status.FAILED)
    assert told == ["p2", "p2", "p2"]
    engine.dispose()


def test_the_same_key_and_body_are_the_same_prediction_and_another_body_is_refused(records):
    first = prediction(key="k", key_hash="h")
    assert records.create(first) == (first, True)
    assert records.create(replace(first, id="p2")) == (first, False)
    with pytest.raises(KeyConflict):
        records.create(replace(first, id="p3", key_hash="other"))


def test_what_ended_before_it_was_begun_is_found(records):
    for number in (1, 2, 3):
        records.create(prediction(number))
    records.begin("p1")
    since = time.time()
    records.cancel("p1")
    records.cancel("p2")
    assert records.ended_unbegun(since) == ["p2"]
    assert records.ended_unbegun(time.time() + 1) == []


def test_data_is_removed_once_and_the_prediction_stays(records):
    records.create(prediction())
    records.finish(records.begin("p1"), Status.SUCCEEDED, output="file", logs="text")
    assert records.remove_data(time.time() - 60) == 0
    assert records.remove_data(time.time() + 1) == 1
    assert records.remove_data(time.time() + 1) == 0
    now = records.get("p1")
    assert (now.input, now.output, now.logs, now.status) == ({}, None, "", Status.SUCCEEDED)


def test_processes_that_open_a_new_database_together_all_get_its_tables(tmp_path):
    url = sqlite_url(tmp_path / "x.db")
    opened: list[sa.Engine] = []
    threads = [threading.Thread(target=lambda: opened.append(open_database(url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 6
    for engine in opened:
        engine.dispose()
