"""Memory holds the models that were used last, at most so many, and none is closed under those who use it."""

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest
from engine_fixtures import ConstantPipeline, raise_in

from models.engine_pool import EnginePool, capacity_from
from models.errors import EngineClosed, InvalidRequest, WeightsError


class Stop(BaseException):
    pass


class Shelf:
    """Loads by name, and knows what was loaded and what is still alive."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.alive: weakref.WeakValueDictionary[str, ConstantPipeline] = weakref.WeakValueDictionary()
        self.alive_at_load: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def load(self, name: str) -> ConstantPipeline:
        self.waiting.set()
        self.gate.wait(10)
        self.alive_at_load.append(sorted(self.alive))
        self.loaded.append(name)
        if name == "missing":
            raise WeightsError("missing is not here.")
        made = ConstantPipeline(name)
        self.alive[name] = made
        return made


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def pool(shelf: Shelf) -> Iterator[EnginePool]:
    made = EnginePool(shelf.load, capacity=2)
    yield made
    made.close()


def use(pool: EnginePool, *names: str) -> None:
    for name in names:
        _use_one(pool, name)


def _use_one(pool: EnginePool, name: str) -> None:
    """A function of its own: a variable left over would keep the engine."""
    with pool.using(name) as engine:
        assert engine.pipeline.name == name
        assert engine.alive


def test_a_model_is_loaded_once_while_there_is_room(pool: EnginePool, shelf: Shelf) -> None:
    use(pool, "a", "b", "a", "b")
    assert shelf.loaded == ["a", "b"]


def test_the_one_that_was_used_longest_ago_makes_room(pool: EnginePool, shelf: Shelf) -> None:
    use(pool, "a", "b", "a", "c")
    assert pool.names == ("a", "c")
    use(pool, "a", "b")
    assert shelf.loaded == ["a", "b", "c", "b"]
    assert pool.names == ("a", "b")


def test_what_leaves_is_out_of_memory_before_the_next_one_is_loaded(shelf: Shelf) -> None:
    pool = EnginePool(shelf.load, capacity=1)
    use(pool, "a", "b", "c")
    assert shelf.alive_at_load == [[], [], []]
    pool.close()
    gc.collect()
    assert not shelf.alive


def test_a_model_in_use_is_not_closed_and_the_next_one_waits(shelf: Shelf) -> None:
    pool = EnginePool(shelf.load, capacity=1)
    with pool.using("a") as engine:
        other = threading.Thread(target=use, args=(pool, "b"))
        other.start()
        other.join(0.2)
        assert other.is_alive()
        assert shelf.loaded == ["a"]
        assert engine.alive
        use(pool, "a")  # who wants what is there does not wait
    other.join(10)
    assert not other.is_alive()
    assert pool.names == ("b",)
    assert not engine.alive
    pool.close()


def test_two_who_want_the_same_load_it_once(pool: EnginePool, shelf: Shelf) -> None:
    shelf.gate.clear()
    asking = [threading.Thread(target=use, args=(pool, "a")) for _ in range(3)]
    for thread in asking:
        thread.start()
    shelf.gate.set()
    for thread in asking:
        thread.join(10)
    assert shelf.loaded == ["a"]


def test_a_failure_to_load_reaches_the_one_who_asked_and_the_next_may_try(pool: EnginePool, shelf: Shelf) -> None:
    use(pool, "a")
    with pytest.raises(WeightsError, match="not here"), pool.using("missing"):
        raise AssertionError("there is nothing to use")
    use(pool, "a", "b")
    assert shelf.loaded == ["a", "missing", "b"]


def test_an_engine_that_broke_is_loaded_again(pool: EnginePool, shelf: Shelf) -> None:
    with pool.using("a") as engine:
        engine.close()
    use(pool, "a")
    assert shelf.loaded == ["a", "a"]


def test_a_closed_pool_gives_nothing_out(pool: EnginePool) -> None:
    with pool.using("a") as engine:
        pool.close()
        assert not engine.alive
    with pytest.raises(EngineClosed), pool.using("a"):
        raise AssertionError("there is nothing to use")


def test_a_pool_that_is_closed_while_it_loads_keeps_nothing(pool: EnginePool, shelf: Shelf) -> None:
    shelf.gate.clear()
    heard: list[Exception] = []

    def ask() -> None:
        try:
            use(pool, "a")
        except EngineClosed as error:
            heard.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert shelf.waiting.wait(10)
    pool.close()
    shelf.gate.set()
    asking.join(10)
    assert len(heard) == 1
    assert pool.names == ()


def test_who_is_cancelled_while_it_waits_for_a_model_leaves_at_once_and_the_next_one_finds_it(
    pool: EnginePool, shelf: Shelf
) -> None:
    shelf.gate.clear()

    def ask() -> None:
        with contextlib.suppress(Stop):
            use(pool, "a")

    asking = threading.Thread(target=ask)
    asking.start()
    assert shelf.waiting.wait(10)
    raise_in(asking.ident or 0, Stop)
    asking.join(5)
    assert not asking.is_alive()
    shelf.gate.set()
    use(pool, "a")
    assert shelf.loaded == ["a"]


def test_cancels_at_any_moment_leave_no_model_in_use_and_none_behind(shelf: Shelf) -> None:
    pool = EnginePool(shelf.load, capacity=1)
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            with contextlib.suppress(Stop):
                use(pool, "a", "b", "c")

    asking = threading.Thread(target=ask)
    asking.start()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        raise_in(asking.ident or 0, Stop)
        time.sleep(0.0007)
    ended.set()
    asking.join(10)
    assert not asking.is_alive()
    last = threading.Thread(target=use, args=(pool, "d"), daemon=True)
    last.start()
    last.join(10)
    assert pool.names == ("d",)
    assert all(len(others) == 0 for others in shelf.alive_at_load), "one was loaded beside another"
    pool.close()
    gc.collect()
    assert not shelf.alive


@pytest.mark.parametrize(("text", "capacity"), [(None, 1), ("", 1), (" 3 ", 3)])
def test_the_environment_says_how_many(text: str | None, capacity: int) -> None:
    assert capacity_from({} if text is None else {"PARLEY_MODELS_IN_MEMORY": text}) == capacity


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_that_is_none_is_told(text: str) -> None:
    with pytest.raises(InvalidRequest, match="PARLEY_MODELS_IN_MEMORY"):
        capacity_from({"PARLEY_MODELS_IN_MEMORY": text})
