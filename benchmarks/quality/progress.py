"""How far a long measurement is, on stderr: rewritten in place on a terminal, a line for every tenth elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Report:
    """Counts what passes through, `total` of them."""

    what: str
    total: int

    def over(self, items: Iterable[T]) -> Iterator[T]:
        terminal = sys.stderr.isatty()
        every = 1 if terminal else max(1, self.total // 10)
        for number, item in enumerate(items, start=1):
            if number % every == 0 or number == self.total:
                start, end = ("\r", "") if terminal else ("", "\n")
                end = "\n" if number == self.total else end
                print(f"{start}{self.what} {number}/{self.total}", end=end, file=sys.stderr, flush=True)
            yield item
