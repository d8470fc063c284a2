"""Threads, for a caller into which exceptions may be raised at any moment, as Cog's server cancels a prediction.

CPython 3.11 enters a new thread under its parent's identity until it first runs (`thread_id` in Python/pystate.c and
Modules/_threadmodule.c). An exception raised into the parent (`PyThreadState_SetAsyncExc`) in that moment hits the new
thread: it dies before it begins, and its parent waits in `Thread.start` for ever. So a thread that nobody cancels
starts them. And what is written in Python may be left between any two calls: `with condition:` can take its lock and
never give it back, where `with lock:` cannot (the lock is C), and `SimpleQueue` neither.
"""

import os
import queue
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

_WAIT_SECONDS = 0.05  # a waiting thread wakes this often, so that an exception raised into it is heard


class Worker:
    """A thread that does what it is asked to, one thing after the other. Make it where nothing is cancelled yet."""

    def __init__(self, name: str) -> None:
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self, function: Callable[[], T]) -> T:
        """What the function returns or raises in the worker's thread. It goes on there if the caller is cancelled."""
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def order() -> None:
            try:
                answers.put((function(), None))
            except BaseException as error:  # it belongs to the caller, whatever it is
                answers.put((None, error))

        self._orders.put(order)
        while True:
            try:
                answer, error = answers.get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            return answer

    def _work(self) -> None:
        while True:
            self._orders.get()()


def start_thread(target: Callable[[], None], name: str) -> threading.Thread:
    """A daemon thread that runs. Raises RuntimeError where the system gives no more threads.

    The first call in a process starts the starter too: make it where nothing is cancelled yet.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    _starter(os.getpid()).run(thread.start)
    return thread


@lru_cache(maxsize=1)
def _starter(process: int) -> Worker:
    """One for each process: a fork takes no threads along."""
    return Worker("starter")
