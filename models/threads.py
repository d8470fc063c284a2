"""Threads that can be started by a thread into which exceptions are raised, as Cog's server cancels a prediction.

CPython 3.11 enters a new thread under its parent's identity until it first runs (`thread_id` in Python/pystate.c and
Modules/_threadmodule.c). An exception raised into the parent (`PyThreadState_SetAsyncExc`) in that moment hits the new
thread: it dies before it begins, and its parent waits in `Thread.start` for ever. So a thread that nobody cancels
starts them.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

_WAIT_SECONDS = 0.05  # a waiting thread wakes this often, so that an exception raised into it is heard


def start_thread(target: Callable[[], None], name: str) -> threading.Thread:
    """A daemon thread that runs. Raises RuntimeError where the system gives no more threads.

    The first call in a process starts the starter too: make it where nothing is cancelled yet.
    """
    thread = threading.Thread(target=target, name=name, daemon=True)
    started = _starter(os.getpid()).submit(thread.start)
    while not started.done():
        try:
            started.exception(timeout=_WAIT_SECONDS)
        except TimeoutError:
            continue
    started.result()
    return thread


@lru_cache(maxsize=1)
def _starter(process: int) -> ThreadPoolExecutor:
    """One for each process: a fork takes no threads along."""
    return ThreadPoolExecutor(1, "starter")
