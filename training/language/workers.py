"""Threads that each compute alone: whole batches side by side instead of the pieces of one operation.

torch's own way, two threads in every operation, waits for the slower at each of thousands of barriers; where other
programs use the cores too it is many times slower than one thread. Here the threads meet twice a step. torch lets go
of the interpreter's lock while it computes. What comes out does not depend on how many threads there are.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Context manager over `threads` threads with one thread of torch each."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(threads, "training", initializer=torch.set_num_threads, initargs=(1,))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Results in the order of the items; the first error is raised."""
        return list(self._pool.map(work, items))
