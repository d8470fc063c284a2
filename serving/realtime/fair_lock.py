"""A lock that goes to whoever has waited longest for it. Knows nothing of what it guards.

An ordinary one is taken by a thread that releases it and wants it back at once: those that wait have not even woken.
"""

import threading
from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A thread, and how deep it will be in the lock when `turn` is released."""

    thread: int
    depth: int
    turn: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.turn.acquire()


class FairLock:
    """To be used in a `with`, by any thread; the one that has it may take it again."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._owner: int | None = None
        self._depth = 0
        self._waiting: deque[_Waiting] = deque()

    def __enter__(self) -> None:
        own = threading.get_ident()
        if self._owner == own:  # nobody else makes it so, or undoes it, while this thread runs
            self._depth += 1
            return
        with self._guard:
            if self._owner is None:
                self._owner, self._depth = own, 1
                return
            waiting = _Waiting(own, 1)
            self._waiting.append(waiting)
        waiting.turn.acquire()

    def __exit__(self, *exception: object) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        with self._guard:
            self._owner, self._depth = None, 0
            self._hand_over()

    def let_others(self) -> None:
        """To be called by the thread that has it: those that wait by now have it first, one after the other."""
        with self._guard:
            if not self._waiting:
                return
            waiting = _Waiting(threading.get_ident(), self._depth)
            self._waiting.append(waiting)
            self._hand_over()
        waiting.turn.acquire()

    def _hand_over(self) -> None:
        if self._waiting:
            following = self._waiting.popleft()
            self._owner, self._depth = following.thread, following.depth
            following.turn.release()
