"""A thread that starts others can be cancelled at any moment: neither it nor what it starts is lost."""

import itertools
import os
import threading
import time

import pytest
from engine_fixtures import raise_in

from models.threads import start_thread


class Stop(BaseException):
    pass


def test_the_thread_runs_and_has_its_name() -> None:
    ran = threading.Event()
    thread = start_thread(ran.set, "a-name")
    assert ran.wait(5)
    assert thread.name == "a-name"
    assert thread.daemon


def test_a_system_without_threads_is_told_to_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    start_thread(int, "the starter is there")

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="new thread"):
        start_thread(int, "one-too-many")


def test_no_exception_that_is_raised_into_the_parent_reaches_a_child() -> None:
    """With `Thread.start` in place of start_thread, the parent is left waiting for ever within some tens of rounds."""
    begun, ran = itertools.count(), itertools.count()
    stopped = threading.Event()

    def parent() -> None:
        while not stopped.is_set():
            try:
                for _ in range(20):
                    start_thread(lambda: next(ran) and None, "child")
                    next(begun)
            except Stop:
                continue

    thread = threading.Thread(target=parent, daemon=True)
    thread.start()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        raise_in(thread.ident or 0, Stop)
        time.sleep(0.0005)
    stopped.set()
    thread.join(5)
    assert not thread.is_alive(), "the parent waits for a child that died before it began"
    assert next(begun) > 20
    assert next(ran) >= next(begun) - 1


def test_a_forked_process_has_a_starter_of_its_own() -> None:
    start_thread(int, "the parent's")
    child = os.fork()
    if child == 0:
        ran = threading.Event()
        start_thread(ran.set, "the child's")
        os._exit(0 if ran.wait(5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
