"""A prediction's row moves from state to state as it should, whoever comes late or twice."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.errors import Overloaded
from serving.storage.database import open_database, sqlite_url
from serving.storage.prediction import ACTIVE, Prediction, Status
from serving.storage.records import KeyConflict, Records
from serving.storage.tables import metadata

pytest_plugins = ["postgres_fixtures"]

DEADLINE = 1000.0  # seconds since 1970


@pytest.fixture
def records(tmp_path):
    engine = open_database(sqlite_url(tmp_path / "x.db"))
    yield Records(engine)
    engine.dispose()


def together(calls: Sequence[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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
        self._was_told(True)
        self.has_deadline = has_deadline
        self.status = Status.STARTING
        self.begun: list[Prediction] = []
        self.let_go_of: set[int] = set()  # attempts
        self.end = None

    def teardown(self):
        self.engine.dispose()

    @rule()
    def begin(self):
        now = self.records.begin("p1")
        self._was_told(self.status in ACTIVE)
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
        self._was_told(self._may_change(now))

    @precondition(lambda self: self.begun)
    @rule(worker=st.integers(0))
    def let_go(self, worker):
        """Each attempt once, and perhaps too late."""
        now = self.begun[worker % len(self.begun)]
        if now.attempt not in self.let_go_of and self.status is Status.PROCESSING:
            self.let_go_of.add(now.attempt)
            self.records.let_go(now)
        self._was_told(False)

    @precondition(lambda self: self.begun)
    @rule(worker=st.integers(0), status=st.sampled_from([Status.SUCCEEDED, Status.FAILED, Status.CANCELED]))
    def finish(self, worker, status):
        now = self.begun[worker % len(self.begun)]
        expected = self._may_change(now)
        assert self.records.finish(now, status, output="file") == expected
        self._was_told(expected)
        if expected:
            self.status = status

    @rule()
    def cancel(self):
        assert self.records.cancel("p1") == (self.status in ACTIVE)
        self._was_told(self.status in ACTIVE)
        if self.status in ACTIVE:
            self.status = Status.CANCELED

    @rule(late=st.booleans())
    def expire(self, late):
        over = late and self.has_deadline and self.status in ACTIVE
        assert self.records.expire(DEADLINE + (1 if late else -1)) == (["p1"] if over else [])
        self._was_told(over)
        if over:
            self.status = Status.ABORTED if self.status is Status.STARTING else Status.CANCELED

    @invariant()
    def is_as_expected(self):
        now = self.records.get("p1")
        assert now.status is self.status
        assert now.attempt == len(self.begun)
        assert now.cut_short == len(set(range(1, len(self.begun))) - self.let_go_of)
        assert (now.completed_at is not None) == now.status.final
        assert len(self.records.active()) == (not now.status.final)
        if now.status.final:
            self.end = self.end or now
            assert now == self.end  # the states at the end are final, and so is all the rest

    def _may_change(self, now: Prediction) -> bool:
        return self.status is Status.PROCESSING and now.attempt == len(self.begun)

    def _was_told(self, changed: bool) -> None:
        """Those who wait are told of what has just been changed, and of nothing else."""
        assert self.told == (["p1"] if changed else [])
        self.told.clear()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)


def test_of_two_that_begin_it_together_each_knows_its_own_attempt(records):
    records.create(prediction())
    found: list[Prediction] = []
    together([lambda: found.append(records.begin("p1"))] * 8)
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
    assert records.create(first) == first
    assert records.create(replace(first, id="p2")) == first
    with pytest.raises(KeyConflict):
        records.create(replace(first, id="p3", key_hash="other"))


def test_what_is_over_is_unannounced_until_that_is_told_if_there_is_whom_to_tell(records):
    for number, webhook in enumerate(["http://a/", "http://a/", None]):
        records.create(prediction(number, webhook=webhook))
    records.begin("p1")
    assert records.unannounced() == []
    for number in (1, 0, 2):
        records.cancel(f"p{number}")
    assert records.unannounced() == ["p1", "p0"]
    records.announced("p1")
    assert records.unannounced() == ["p0"]


def test_of_many_who_ask_together_no_more_are_accepted_than_may_wait(either_url):
    """Before, all of them counted first, and then all were kept."""
    engine = open_database(either_url)
    records = Records(engine)
    ready, kept = threading.Barrier(8), []

    def ask(number: int) -> None:
        records.refuse_more("alice", 3)
        ready.wait()
        with contextlib.suppress(Overloaded):
            kept.append(records.create(prediction(number), 3))

    together([partial(ask, number) for number in range(8)])
    assert len(kept) == len(records.active()) == 3
    assert records.create(replace(prediction(99), owner="bob"), 1)
    engine.dispose()


def test_of_many_with_the_same_key_one_is_kept_and_all_get_it(either_url):
    engine = open_database(either_url)
    records = Records(engine)
    found = []
    asked = [prediction(number, key="k", key_hash="h") for number in range(6)]
    together([partial(lambda one: found.append(records.create(one).id), one) for one in asked])
    assert len(found) == 6
    assert {p.id for p in records.active()} == set(found)
    assert len(set(found)) == 1
    engine.dispose()


def test_processes_that_open_a_new_database_together_all_get_its_tables(tmp_path):
    url = sqlite_url(tmp_path / "x.db")
    opened: list[sa.Engine] = []
    together([lambda: opened.append(open_database(url))] * 6)
    assert len(opened) == 6
    for engine in opened:
        engine.dispose()
