"""Which container makes the next prediction: each makes one at a time, and who waits longest goes first.

Knows nothing of what is made. Other processes may use the same containers: one that refuses rests for a moment, longer
each time. Thread-safe.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from serving.cog.container import Container, Died, NotTaken

FIRST_REST, LONGEST_REST = 0.02, 1.0  # seconds; coglet takes about 2 ms from an answer until it is free
MOST_REFUSALS = 10  # that are counted: by then it rests longest


@dataclass
class Place:
    """Where one prediction can be made."""

    container: Container
    taken: bool = False
    refusals: int = 0  # in a row
    rests_until: float = 0.0
    freed_at: float = 0.0


@dataclass(frozen=True)
class Turn:
    """Somebody's place in the line."""

    number: int
    since: float


class Fleet:
    def __init__(self, containers: Sequence[Container]) -> None:
        """One named twice makes two predictions at a time."""
        self._places = [Place(container) for container in containers]
        self._numbers = count()
        self._waiting: set[int] = set()
        self._seen_at = time.monotonic()
        self._lock = threading.Lock()

    @property
    def containers(self) -> list[Container]:
        return list(dict.fromkeys(place.container for place in self._places))

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        with self._lock:
            turn = Turn(next(self._numbers), time.monotonic())
            self._waiting.add(turn.number)
        try:
            yield turn
        finally:
            with self._lock:
                self._waiting.discard(turn.number)

    def take(self, turn: Turn) -> Place | None:
        """A place that nobody of this process has, if those who have waited longer want none. To be `lent`."""
        with self._lock:
            if turn.number != min(self._waiting):
                return None
            now = time.monotonic()
            free = [p for p in self._places if not p.taken and p.rests_until <= now]
            if not free:
                return None
            place = min(free, key=lambda p: (p.refusals, p.freed_at))
            place.taken = True
            self._waiting.remove(turn.number)
            return place

    @contextmanager
    def lent(self, place: Place, turn: Turn) -> Iterator[Container]:
        """Free again at the end. After NotTaken or Died it rests, and who had it waits again."""
        refused = False
        try:
            yield place.container
        except (NotTaken, Died):
            refused = True
            raise
        finally:
            with self._lock:
                self._free(place, refused)
                if refused:
                    self._waiting.add(turn.number)

    def _free(self, place: Place, refused: bool) -> None:
        place.taken, place.freed_at = False, time.monotonic()
        rest = min(FIRST_REST * 2**place.refusals, LONGEST_REST) if refused else 0.0
        place.rests_until = place.freed_at + rest
        place.refusals = min(place.refusals + 1, MOST_REFUSALS) if refused else 0

    def seen(self) -> None:
        """One of them was heard of: it lives."""
        self._seen_at = time.monotonic()

    def unseen_seconds(self, turn: Turn) -> float:
        """For how long of this turn none of them lives."""
        return time.monotonic() - max(self._seen_at, turn.since)
