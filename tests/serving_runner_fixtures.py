"""A worker's runner with storage of its own, and a backend that does what a test wants."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serving.catalog import DIA
from serving.fetch import FetchLimits
from serving.storage.database import open_database, sqlite_url
from serving.storage.files import Files
from serving.storage.live import LiveAudio
from serving.storage.prediction import Prediction
from serving.storage.records import Records
from serving.storage.store import FolderStore
from serving.storage.workspace import Workspace
from serving.work.backend import Listener, MadeFile
from serving.work.handovers import Handovers
from serving.work.runner import PredictionRunner, Storage

Making = Callable[[Listener], None]


@dataclass
class Backend:
    """Does what a test wants, then writes three bytes."""

    making: Making = lambda listener: None
    cancelled: threading.Event = field(default_factory=threading.Event)
    made: list[str] = field(default_factory=list)  # attempts that were begun, and not let in twice at once
    stopped: list[str] = field(default_factory=list)  # attempts that were cancelled

    def cancel(self, attempt_id: str) -> None:
        self.stopped.append(attempt_id)
        self.cancelled.set()

    def make(self, attempt_id, inputs, folder, streaming, listener) -> MadeFile:
        self.made.append(attempt_id)
        self.making(listener)
        path = folder / "output.wav"
        path.write_bytes(b"abc")
        return MadeFile(path, path.name, "audio/wav", {"audio_seconds": 1.0})


@dataclass
class House:
    folder: Path
    backend: Backend = field(default_factory=Backend)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.engine = open_database(sqlite_url(self.folder / "x.db"))
        self.records, self.live = Records(self.engine), LiveAudio(self.engine)
        store = FolderStore(self.folder / "files")
        self.files = Files(self.engine, store, Workspace(self.folder / "work" / "arriving"))
        self.told: list[str] = []
        self.deaf = False  # nothing is told now
        self.work_folder = self.folder / "work" / "host-0"
        self.work_folder.mkdir(parents=True)
        self.handovers = Handovers(self.records)
        self.worker = self.new_worker()

    def new_worker(self) -> PredictionRunner:
        rooms = Storage(self.engine, self.records, self.files, self.live)
        return PredictionRunner(
            rooms,
            {DIA.full_name: self.backend},
            FetchLimits(allow_private=True),
            86_400.0,
            self.work_folder,
            self.handovers,
            self._tell,
        )

    def _tell(self, now: Prediction, event: str) -> bool:
        if not self.deaf:
            self.told.append(event)
        return not self.deaf

    def accept(self, **values) -> str:
        given = {"input": {"text": "[S1] Hello."}, "settled": {"seed": 1}, **values}
        self.records.create(Prediction("p1", "alice", "predictions", DIA.full_name, DIA.version, **given))
        return "p1"

    def work(self, making: Making = lambda listener: None, **values) -> Prediction:
        """Accepted and worked on to its end, if there is one."""
        self.backend.making = making
        self.worker.work(self.accept(**values))
        return self.now

    @property
    def now(self) -> Prediction:
        found = self.records.get("p1")
        assert found is not None
        return found

    @property
    def stored(self) -> list[str]:
        """The names of all files in the store."""
        return [path.name for path in (self.folder / "files").rglob("*") if path.is_file()]


def raising(error: BaseException) -> Making:
    def making(listener: Listener) -> None:
        raise error

    return making
