"""How far a long job is, as lines of text: for a terminal, a container's log, a test. Knows no file and no hub."""

import time
from collections.abc import Callable

Progress = Callable[[str], None]  # takes one line without its end

INTERVAL_SECONDS = 5.0  # between two lines about the same job


def silent(line: str) -> None:
    """Say nothing: the default of the library."""


def readable(size: int) -> str:
    """Bytes for a person, in decimal units as the hub shows them: 4.99 GB."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.2f} GB"


class Meter:
    """Counts the bytes of one job and says a line every few seconds; a short job passes without one."""

    def __init__(self, job: str, total: int, progress: Progress, done: int = 0) -> None:
        self._job, self._total, self._progress = job, total, progress
        self._done = self._done_at_start = done
        self._started = self._said = time.monotonic()

    def advance(self, size: int) -> None:
        self._done += size
        now = time.monotonic()
        if now - self._said >= INTERVAL_SECONDS:
            self._said = now
            self._progress(self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        rate = (self._done - self._done_at_start) / seconds  # bytes per second
        left = f"{(self._total - self._done) / rate:.0f} s left" if rate else "waiting"
        return (
            f"{self._job}: {readable(self._done)} of {readable(self._total)}, "
            f"{100 * self._done // self._total} %, {readable(int(rate))}/s, {left}"
        )
