"""Those who wait hear of a change at once, or soon, or that there was none."""

import asyncio
import threading
import time
from itertools import count

import pytest

from serving.storage import changes as changes_module
from serving.storage.changes import Changes


@pytest.fixture
def deaf(monkeypatch):
    """Nobody asks again by the clock: what is heard was told."""
    monkeypatch.setattr(changes_module, "ASK_AGAIN_SECONDS", 60.0)


@pytest.fixture
def curious(monkeypatch):
    monkeypatch.setattr(changes_module, "ASK_AGAIN_SECONDS", 0.01)


def answer_of(changes: Changes, values, enough, seconds: float | None) -> tuple[object, float]:
    """What `until` gives, and after how many seconds."""

    async def ask():
        return values()

    async def wait():
        changes.attach()
        started = time.monotonic()
        value = await changes.until("a", ask, enough, seconds)
        return value, time.monotonic() - started

    return asyncio.run(wait())


def test_what_is_enough_already_is_not_waited_for(deaf):
    value, seconds = answer_of(Changes(), lambda: 1, lambda value: value == 1, None)
    assert value == 1
    assert seconds < 10


def test_a_change_told_from_another_thread_is_heard_before_asking_again(deaf):
    changes, state, asked = Changes(), [], threading.Event()

    def change() -> None:
        assert asked.wait(20)
        state.append(1)
        changes.tell("a")

    def look() -> int:
        found = len(state)
        asked.set()
        return found

    threading.Thread(target=change).start()
    value, seconds = answer_of(changes, look, lambda value: value == 1, 30)
    assert value == 1
    assert seconds < 20


def test_a_change_of_another_process_is_found_by_asking_again(curious):
    asked = count()
    value, seconds = answer_of(Changes(), lambda: next(asked), lambda value: value == 3, 30)
    assert value == 3
    assert seconds < 20


def test_without_a_change_the_wait_ends_in_time():
    value, seconds = answer_of(Changes(), lambda: 0, lambda value: value == 1, 0.1)
    assert value == 0
    assert 0.1 <= seconds < 1


def test_a_change_between_asking_and_waiting_is_not_missed(deaf):
    changes, asked = Changes(), []

    async def ask():
        asked.append(1)
        if len(asked) == 1:
            changes.tell("a")  # heard by the loop as soon as `ask` is over
            return 0
        return 1

    async def wait():
        changes.attach()
        return await asyncio.wait_for(changes.until("a", ask, lambda value: value == 1, None), 20)

    assert asyncio.run(wait()) == 1


def test_telling_when_the_loop_has_closed_breaks_nobodys_work():
    """A worker tells of its progress while the web side of its process ends."""
    changes = Changes()
    answer_of(changes, lambda: 1, bool, 0)
    changes.tell("a")


def test_nothing_is_kept_of_those_who_have_gone():
    changes = Changes()
    answer_of(changes, lambda: 0, lambda value: False, 0.01)
    assert not changes._waiting
