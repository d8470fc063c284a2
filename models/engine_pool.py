"""Engines by the names of their models, loaded when they are asked for. Knows no family: how one is loaded is told it.

Memory holds only so many at once. To make room the one that was used longest ago is closed, but never one that is in
use: then whoever wants another model waits. Models are loaded and closed by a thread that nobody cancels, so whoever
waits for one hears a cancel at once, and nothing is left half done.
"""

import gc
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial

from models.engine import Engine, Pipeline
from models.errors import EngineClosed, InvalidRequest
from models.threads import Worker

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


class _Use:
    """Somebody's wish for a model. It goes with the frame that holds it, whatever ends that frame."""


@dataclass
class _Kept:
    engine: Engine
    users: "weakref.WeakSet[_Use]" = field(default_factory=weakref.WeakSet)


class EnginePool:
    """At most `capacity` engines, most recently used. Thread-safe; one model is loaded at a time.

    load: makes the pipeline of a name; what it raises reaches whoever asked.
    """

    def __init__(self, load: Callable[[str], Pipeline], capacity: int = DEFAULT_CAPACITY) -> None:
        self._load = load
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # used longest ago first
        self._lock = threading.RLock()  # entered itself, not by its condition: models/threads.py says why
        self._changed = threading.Condition(self._lock)
        self._closed = False
        self._loader = Worker("loader")

    @property
    def names(self) -> tuple[str, ...]:
        """The models that are in memory, the one used longest ago first."""
        with self._lock:
            return tuple(self._kept)

    @contextmanager
    def using(self, name: str) -> Iterator[Engine]:
        """The engine of a model, not closed while the context lasts. Raises EngineClosed, and what load raises.

        Who keeps the engine for longer keeps its weights in memory. A load goes on when who asked for it has left.
        """
        use = _Use()
        kept = self._take(name, use)
        try:
            yield kept.engine
        finally:
            with self._lock:
                kept.users.discard(use)
                self._changed.notify_all()

    def close(self) -> None:
        """Close every engine, those in use too: their requests end with EngineClosed."""
        with self._lock:
            self._closed = True
            leaving = [self._kept.pop(name) for name in list(self._kept)]
            self._changed.notify_all()
        for kept in leaving:
            kept.engine.close()

    def _take(self, name: str, use: _Use) -> _Kept:
        while True:
            with self._lock:
                if self._closed:
                    raise EngineClosed("The models are closed; start a new process.")
                if (kept := self._known(name, use)) is not None:
                    return kept
            self._loader.run(partial(copy_context().run, self._put, name, weakref.ref(use)))

    def _known(self, name: str, use: _Use) -> _Kept | None:
        """What is in memory and works, from now on in use."""
        kept = self._kept.get(name)
        if kept is None or not kept.engine.alive:
            return None
        self._kept.move_to_end(name)
        kept.users.add(use)
        return kept

    def _put(self, name: str, asked: "weakref.ref[_Use]") -> None:
        """Close those that leave, and only then load: the memory holds no more than it is meant to at any time.

        In the loader's thread, and for nobody if who asked has left before its turn.
        """
        if self._is_settled(name, asked):
            return
        _let_go(self._make_room())
        made = _Kept(Engine(self._load(name)))
        with self._lock:
            if not self._closed:
                self._kept[name] = made
                if (use := asked()) is not None:
                    made.users.add(use)  # before anybody else makes room for what they want
            self._changed.notify_all()
        if self._closed:
            made.engine.close()

    def _is_settled(self, name: str, asked: "weakref.ref[_Use]") -> bool:
        use = asked()
        with self._lock:
            return use is None or self._closed or self._known(name, use) is not None

    def _spare(self) -> list[str] | None:
        """Whom to close for one more: the broken, and of the idle those used longest ago. None: too many are in use."""
        broken = [name for name, kept in self._kept.items() if not kept.engine.alive]
        idle = [name for name, kept in self._kept.items() if kept.engine.alive and not kept.users]
        too_many = max(0, len(self._kept) - len(broken) + 1 - self._capacity)
        return None if too_many > len(idle) else broken + idle[:too_many]

    def _make_room(self) -> list[_Kept]:
        """Those that leave for one more, as soon as enough are idle."""
        with self._lock:
            while (spare := self._spare()) is None:
                self._changed.wait(_WAIT_SECONDS)
            return [self._kept.pop(name) for name in spare]


def _let_go(leaving: list[_Kept]) -> None:
    """Nothing of them may stay behind, in a variable or a cycle: their weights would."""
    if leaving:
        while leaving:
            leaving.pop().engine.close()
        gc.collect()
