"""Engines by the names of their models, loaded when they are asked for. Knows no family: how one is loaded is told it.

Memory holds only so many at once. To make room the one that was used longest ago is closed, but never one that is in
use: then whoever wants another model waits.
"""

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from models.engine import Engine, Pipeline
from models.errors import EngineClosed, InvalidRequest

DEFAULT_CAPACITY = 1  # the largest music model alone takes 6.6 GB in half precision
_WAIT_SECONDS = 0.05  # a waiting thread wakes this often, so that an exception raised into it is heard


def capacity_from(environ: Mapping[str, str]) -> int:
    """PARLEY_MODELS_IN_MEMORY, 1 without it. Raises InvalidRequest."""
    text = environ.get("PARLEY_MODELS_IN_MEMORY", "").strip()
    if not text:
        return DEFAULT_CAPACITY
    if not text.isdecimal() or int(text) < 1:
        raise InvalidRequest("PARLEY_MODELS_IN_MEMORY", f"is {text!r}; it must be a whole number of at least 1.")
    return int(text)


@dataclass
class _Kept:
    engine: Engine
    users: int = 0


class EnginePool:
    """At most `capacity` engines, most recently used. Thread-safe; one model is loaded at a time.

    load: makes the pipeline of a name; what it raises reaches whoever asked.
    """

    def __init__(self, load: Callable[[str], Pipeline], capacity: int = DEFAULT_CAPACITY) -> None:
        self._load = load
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # used longest ago first
        self._changed = threading.Condition()
        self._loading = False
        self._closed = False

    @property
    def names(self) -> tuple[str, ...]:
        """The models that are in memory, the one used longest ago first."""
        with self._changed:
            return tuple(self._kept)

    @contextmanager
    def using(self, name: str) -> Iterator[Engine]:
        """The engine of a model, not closed while the context lasts. Raises EngineClosed, and what load raises.

        Who keeps the engine for longer keeps its weights in memory.
        """
        kept = self._take(name)
        try:
            yield kept.engine
        finally:
            with self._changed:
                kept.users -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Close every engine, those in use too: their requests end with EngineClosed."""
        with self._changed:
            self._closed = True
            leaving = [self._kept.pop(name) for name in list(self._kept)]
            self._changed.notify_all()
        for kept in leaving:
            kept.engine.close()

    def _take(self, name: str) -> _Kept:
        with self._changed:
            while not self._closed:
                if (kept := self._kept.get(name)) is not None and kept.engine.alive:
                    self._kept.move_to_end(name)
                    kept.users += 1
                    return kept
                if not self._loading:
                    self._loading = True
                    break
                self._changed.wait(_WAIT_SECONDS)
            else:
                raise EngineClosed("The models are closed; start a new process.")
        return self._put(name)

    def _spare(self) -> list[str] | None:
        """Whom to close for one more: the broken, and of the idle those used longest ago. None: too many are in use."""
        broken = [name for name, kept in self._kept.items() if not kept.engine.alive]
        idle = [name for name, kept in self._kept.items() if kept.engine.alive and not kept.users]
        too_many = max(0, len(self._kept) - len(broken) + 1 - self._capacity)
        return None if too_many > len(idle) else broken + idle[:too_many]

    def _make_room(self) -> list[_Kept]:
        """Those that leave for one more, as soon as enough are idle."""
        with self._changed:
            while (spare := self._spare()) is None:
                self._changed.wait(_WAIT_SECONDS)
            return [self._kept.pop(name) for name in spare]

    def _put(self, name: str) -> _Kept:
        """Close those that leave, and only then load: the memory holds no more than it is meant to at any time."""
        made = None
        try:
            _let_go(self._make_room())
            made = _Kept(Engine(self._load(name)), users=1)
        finally:
            with self._changed:
                self._loading = False
                if made is not None and not self._closed:
                    self._kept[name] = made
                self._changed.notify_all()
        if self._closed:
            made.engine.close()
            raise EngineClosed("The models were closed while one was loaded; start a new process.")
        return made


def _let_go(leaving: list[_Kept]) -> None:
    """Nothing of them may stay behind, in a variable or a cycle: their weights would."""
    if leaving:
        while leaving:
            leaving.pop().engine.close()
        gc.collect()
