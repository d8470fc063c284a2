"""A prediction is brought to its own end, once, by whoever may; all else is left for another to begin anew."""

import itertools
import threading
import time

import psycopg
import pytest
import sqlalchemy as sa
from serving_crash_fixtures import killed_before
from serving_fixtures import wait_for
from serving_runner_fixtures import House, raising

from models.errors import Cancelled, EngineClosed, InvalidRequest, WeightsError
from serving.storage.files import ARRIVAL_SECONDS
from serving.storage.prediction import Status
from serving.storage.records import LONGEST_LOGS
from serving.work.backend import Listener
from serving.work.runner import FAULT, UNLOADABLE, GivenUp


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.engine.dispose()


def test_it_succeeds_with_a_file_that_is_kept(house):
    now = house.work()
    file = house.files.get(now.output)
    assert (now.status, now.progress, now.audio_seconds) == (Status.SUCCEEDED, 1.0, 1.0)
    assert b"".join(house.files.read(file)) == b"abc"
    assert list(house.work_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidRequest("text", "is bad. Change it."), "text: is bad. Change it."),
        (ValueError("secret"), FAULT),
        (WeightsError("Dia is not in /srv/weights/dia; set PARLEY_MODEL"), UNLOADABLE),
    ],
)
def test_it_fails_with_what_its_caller_may_know(house, error, text):
    """Before, one whose weights were missing told the server's folders and settings."""
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
    stage = house.files.stage

    def cancelled_meanwhile(*given, **described):
        file = stage(*given, **described)
        house.records.cancel("p1")
        return file

    monkeypatch.setattr(house.files, "stage", cancelled_meanwhile)
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


def test_of_a_talkative_maker_the_newest_logs_are_kept_and_no_more_are_held(house, monkeypatch):
    """Before, all of them were held, and joined anew for each report."""
    reported: list[str] = []
    report = house.records.report

    def heard(now, progress, audio_seconds, logs):
        reported.append(logs)
        return report(now, progress, audio_seconds, logs)

    monkeypatch.setattr(house.records, "report", heard)

    def making(listener: Listener) -> None:
        for number in range(1200):
            listener.log(f"{number:04} {'.' * 94}")  # with its end 100 characters

    logs = house.work(making).logs
    assert (len(logs), logs[:4], logs[-100:-96]) == (LONGEST_LOGS, "0200", "1199")
    assert reported == [logs]


def test_a_piece_without_a_sample_disturbs_nothing(house):
    """Before, the next one failed, as it was to stand in the same place."""

    def making(listener: Listener) -> None:
        for pcm in (b"", b"aa", b"", b"bb"):
            listener.audio(pcm, 8000)

    now = house.work(making)
    assert now.status is Status.SUCCEEDED
    assert [(piece.start, piece.pcm) for piece in house.live.after(now, 0)] == [(0, b"aa"), (1, b"bb")]
