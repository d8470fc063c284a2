"""One prediction in a database of its own, and who is told of its changes. No service, and nobody who works."""

from pathlib import Path

from serving.storage.changes import Changes
from serving.storage.database import open_database, sqlite_url
from serving.storage.prediction import Prediction
from serving.storage.records import Records


class OnePrediction:
    def __init__(self, folder: Path) -> None:
        self.engine = open_database(sqlite_url(folder / "x.db"))
        self.changes = Changes()
        self.records = Records(self.engine, self.changes.tell)
        self.asked = self.records.create(Prediction("p1", "alice", "predictions", "parley/dia", "v", {}))

    def begin(self) -> Prediction:
        """A new attempt."""
        now = self.records.begin("p1")
        assert now is not None
        return now
