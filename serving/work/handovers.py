"""Attempts that this process left to others on purpose: told to the database as soon as it hears. Thread-safe.

So that a prediction which takes its process down each time is known by that, and one is not that met a restart, a lost
lease or a database that was away. Knows no queue.
"""

import logging
import threading

from serving.storage.database import DATABASE_AWAY
from serving.storage.prediction import Prediction
from serving.storage.records import Records

log = logging.getLogger("parley.worker")


class Handovers:
    def __init__(self, records: Records) -> None:
        self._records = records
        self._untold: list[Prediction] = []
        self._lock = threading.Lock()

    def add(self, *left: Prediction) -> None:
        """Each attempt once."""
        with self._lock:
            self._untold.extend(left)
        self.tell()

    def tell(self) -> None:
        """What cannot be told while the database is away is kept for the next time."""
        with self._lock:
            try:
                while self._untold:
                    self._records.let_go(self._untold[0])
                    del self._untold[0]
            except DATABASE_AWAY as error:
                log.warning("%d attempts are to be told of when the database is back: %s", len(self._untold), error)
