"""Which predictions this process makes now: those of its own models, so many at once, the first to be accepted first.

All are queued alike, and whoever is free takes the next. Who took one of a model that it has not puts it into that
model's own queue, on which only those work who have the model: there it waits, for as long as none of them lives. What
came by either way shares the places of this process; who gets none for a while leaves it to whoever has one. Knows no
model and no HTTP.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from serving.storage.prediction import Prediction
from serving.storage.records import Records
from serving.work.queue import Queue, queue_of
from serving.work.runner import GivenUp

log = logging.getLogger("parley.worker")

PATIENCE_SECONDS = 2.0  # for a place; another process may be free meanwhile


class Places:
    def __init__(self, records: Records, queue: Queue, models: Collection[str], make: Callable[[str], None]) -> None:
        """models: by their full names, what this process has. make: brings a prediction to its end."""
        self._records, self._queue, self._models, self._make = records, queue, models, make
        self._waiting: list[tuple[float, str]] = []  # in the order of their acceptance: when, and the id
        self._taken = 0
        self._closed = False
        self._changed = threading.Condition()

    def make(self, prediction_id: str) -> None:
        """Bring it to its end. Raises GivenUp where it is left to another process, and what `make` raises."""
        now = self._records.get(prediction_id)
        if now is None or now.status.final:
            self._make(prediction_id)
            return
        if now.model not in self._models:
            log.info("prediction %s is of %s, which this process has not: it is left to others", now.id, now.model)
            self._leave(now)
        with self._place(now):
            self._make(prediction_id)

    def close(self) -> None:
        """Nothing that waits for a place is begun any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def _place(self, now: Prediction) -> Iterator[None]:
        if not self._take((now.created_at, now.id), self._queue.predictions_at_once()):
            found = self._records.get(now.id)
            if found is not None and found.attempt == now.attempt:  # else others have it already
                self._leave(found)
            raise GivenUp
        try:
            yield
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def _take(self, order: tuple[float, str], places: int) -> bool:
        """A place, as soon as nobody is before it. Raises GivenUp at the end of this process."""
        with self._changed:
            self._waiting.append(order)
            try:
                got = self._changed.wait_for(
                    lambda: self._closed or (self._taken < places and order == min(self._waiting)), PATIENCE_SECONDS
                )
                if self._closed:
                    raise GivenUp
                self._taken += got
            finally:
                self._waiting.remove(order)
                self._changed.notify_all()
        return got

    def _leave(self, now: Prediction) -> None:
        self._queue.hand_back(now.id, queue_of(now.model))
        raise GivenUp
