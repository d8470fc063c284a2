"""Each chore is done at its own pace, whatever becomes of the others."""

import threading

from serving_fixtures import wait_for

from serving.work import janitor
from serving.work.janitor import Chore, Janitor


def janitors() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("janitor-")]


def test_each_chore_is_done_when_it_is_due_and_one_that_fails_stops_no_other(caplog):
    done: list[str] = []

    def fail() -> None:
        done.append("failed")
        raise OSError("the database is away")

    chores = [
        Chore("failing", 0.0, fail),
        Chore("frequent", 0.0, lambda: done.append("often")),
        Chore("seldom", 60.0, lambda: done.append("seldom")),
    ]
    with Janitor(chores):
        wait_for(lambda: done.count("failed") >= 2 and done.count("often") >= 2 and "seldom" in done)
    assert done.count("seldom") == 1
    assert "failing failed" in caplog.text
    assert janitors() == []


def test_a_chore_that_takes_its_time_keeps_no_other_waiting():
    """Before, nothing was cancelled and no deadline met while files were deleted from a bucket that answered slowly."""
    done: list[str] = []
    slow = threading.Event()
    chores = [Chore("slow", 0.0, lambda: slow.wait(20)), Chore("cancelling", 0.0, lambda: done.append("cancelled"))]
    with Janitor(chores):
        wait_for(lambda: len(done) >= 3)
        slow.set()


def test_the_end_waits_for_no_chore_for_long(monkeypatch):
    monkeypatch.setattr(janitor, "LEAVE_SECONDS", 0.05)
    begun, over = threading.Event(), threading.Event()

    def endless() -> None:
        begun.set()
        over.wait(20)

    with Janitor([Chore("endless", 0.0, endless)]):
        assert begun.wait(20)
    assert janitors() == ["janitor-endless"]
    over.set()
    wait_for(lambda: not janitors())
