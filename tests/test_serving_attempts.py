"""Attempts at one prediction do not disturb each other, and only those count that died with their process."""

import threading
import time

import psycopg
import pytest
import sqlalchemy as sa
from serving_fixtures import wait_for
from serving_http_fixtures import reply, serve
from serving_runner_fixtures import House, raising

from models.errors import Cancelled, EngineClosed
from serving.storage.prediction import Status
from serving.work.backend import Listener
from serving.work.runner import MOST_ATTEMPTS, GivenUp

AWAY = sa.exc.OperationalError("UPDATE", {}, psycopg.OperationalError("the server closed the connection"))


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.engine.dispose()


def in_thread(house: House) -> threading.Thread:
    thread = threading.Thread(target=house.worker.work, args=("p1",))
    thread.start()
    return thread


def test_two_attempts_in_one_process_have_names_of_their_own(house):
    """What had stalled was handed back to its own process. Before, an engine refused the second as being on its way,
    which failed the prediction."""
    first_may_end, first_began = threading.Event(), threading.Event()

    def first(listener: Listener) -> None:
        first_began.set()
        assert first_may_end.wait(20)
        listener.progress(0.5, 1.0)

    house.accept()
    house.backend.making = first
    older = in_thread(house)
    assert first_began.wait(20)
    house.backend.making = lambda listener: first_may_end.set() or older.join(20)
    house.worker.work("p1")
    assert house.backend.made == ["p1-1", "p1-2"]
    assert (house.now.status, house.now.attempt) == (Status.SUCCEEDED, 2)


def test_a_cancel_stops_each_attempt_that_still_runs(house):
    began = threading.Barrier(3)

    def until_cancelled(listener: Listener) -> None:
        began.wait(20)
        assert house.backend.cancelled.wait(20)
        raise Cancelled("p1")

    house.accept()
    house.backend.making = until_cancelled
    threads = [in_thread(house) for _ in range(2)]
    began.wait(20)
    house.records.cancel("p1")
    house.worker.cancel_ended()
    for thread in threads:
        thread.join(20)
    assert sorted(house.backend.stopped) == ["p1-1", "p1-2"]
    assert house.now.status is Status.CANCELED


def test_what_is_given_up_while_its_recording_is_fetched_is_not_begun_at_the_backend(house):
    """Before, the backend was told to stop what it did not know yet, and then made all of it."""
    with serve() as server:

        def give_up(handler) -> None:
            house.worker.give_up()
            reply(b"RIFF")(handler)

        server.answers["/voice.wav"] = give_up
        given = {"text": "[S1] Hello.", "audio_prompt": server.url("/voice.wav"), "audio_prompt_text": "[S1] Hey."}
        with pytest.raises(GivenUp):
            house.work(input=given)
    assert house.backend.made == []
    assert house.now.status is Status.PROCESSING


def test_one_that_takes_its_process_down_each_time_is_given_up_at_last(house):
    house.accept()
    for _ in range(MOST_ATTEMPTS):
        house.records.begin("p1")  # and nothing more is heard of it
    house.worker.work("p1")
    assert house.now.status is Status.FAILED
    assert str(MOST_ATTEMPTS) in house.now.error
    assert house.told == []


@pytest.mark.parametrize("how", ["at the end of its process", "as the database was away"])
def test_one_that_was_left_on_purpose_however_often_is_made_all_the_same(house, how):
    """Before, a prediction that met ten restarts had failed."""

    def leave(listener: Listener) -> None:
        if how.startswith("at the end"):
            house.worker.give_up()
            listener.progress(0.5, 1.0)
        raise AWAY

    house.accept()
    house.backend.making = leave
    for _ in range(MOST_ATTEMPTS + 1):
        with pytest.raises((GivenUp, sa.exc.OperationalError)):
            house.worker.work("p1")
        house.worker = house.new_worker()
    house.backend.making = lambda listener: None
    house.worker.work("p1")
    assert (house.now.status, house.now.attempt, house.now.cut_short) == (Status.SUCCEEDED, MOST_ATTEMPTS + 2, 0)


def test_one_that_breaks_its_engine_each_time_is_given_up_at_last(house):
    """Its process ends each time, as if it had been killed."""
    house.accept()
    house.backend.making = raising(EngineClosed("It broke."))
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(GivenUp):
            house.worker.work("p1")
        house.worker.give_up()
        house.worker = house.new_worker()
    house.worker.work("p1")
    assert house.now.status is Status.FAILED


def test_what_runs_when_it_is_given_up_does_not_count_even_if_it_never_notices(house):
    """The process ends without waiting longer."""
    began, over = threading.Event(), threading.Event()

    def deaf(listener: Listener) -> None:
        began.set()
        assert over.wait(20)
        raise Cancelled("p1")

    def work() -> None:
        with pytest.raises(GivenUp):
            house.worker.work("p1")

    house.accept()
    house.backend.making = deaf
    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(20)
    house.worker.give_up()
    begun = house.records.begin("p1")
    assert (begun.attempt, begun.cut_short) == (2, 0)
    over.set()
    thread.join(20)
    assert house.now.cut_short == 0


def test_what_was_lost_with_the_database_is_told_of_when_it_is_back_though_others_have_begun_it(house, monkeypatch):
    def away(now) -> None:
        raise AWAY

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(house.records, "let_go", away)
        with pytest.raises(sa.exc.OperationalError):
            house.work(raising(AWAY))
        assert house.records.begin("p1").cut_short == 1  # as far as anybody knows
    house.handovers.tell()
    house.handovers.tell()
    assert house.now.cut_short == 0


def test_lines_that_came_too_soon_are_told_with_the_next_report(house):
    """Before, they were told only if more lines came."""

    def making(listener: Listener) -> None:
        listener.log("a line")
        house.deaf = True
        time.sleep(0.26)
        listener.progress(0.1, 0.1)
        assert house.told == ["start"]
        house.deaf = False
        wait_for(lambda: listener.progress(0.2, 0.2) or "logs" in house.told)

    house.work(making)
    assert house.told == ["start", "logs"]
