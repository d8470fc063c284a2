"""The service, put together: every room once, in the order in which they need each other. Opens and closes them.

A process that serves HTTP has all but the working side, a worker all but the HTTP side, the default process both.
"""

import errno
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from models.errors import InvalidRequest
from serving.intake import Intake, Lacks
from serving.links import Links
from serving.listeners import Listeners
from serving.prediction_json import PredictionJson
from serving.settings import Settings
from serving.storage.changes import Changes
from serving.storage.database import (
    is_sqlite,
    make_sqlite_file,
    open_database,
    open_unsynced,
    sqlite_path,
)
from serving.storage.files import Files
from serving.storage.history import History
from serving.storage.lease import DatabaseLease, FileLease, Lease
from serving.storage.live import LiveAudio
from serving.storage.records import Records
from serving.storage.retention import Retention
from serving.storage.shared_secrets import SharedSecrets
from serving.storage.store import open_store
from serving.storage.tallies import Tallies
from serving.storage.uploads import Uploads
from serving.storage.voices import Voices
from serving.storage.workspace import Workspace
from serving.work.backend import Backends
from serving.work.janitor import Chore, Janitor
from serving.work.queue import Queue
from serving.work.sweep import Sweep
from serving.work.webhooks import make_secret
from serving.work.worker import WorkerProcess

DEADLINE_SECONDS = 0.5  # how often it is asked whose deadline has passed


class Service:
    """Context manager. What the doors need; with start_work(), what works too."""

    def __init__(self, settings: Settings, base_url: str, lacks: Lacks = lambda checkpoint: False) -> None:
        """base_url: where callers reach it, unless the settings know better. lacks: what is refused, as no process of
        this service could load it. Raises InvalidRequest where the database is of another release, or where the
        data cannot be kept."""
        self.settings, self._lacks = settings, lacks
        self.models = settings.served
        self.changes = Changes()
        self.worker: WorkerProcess | None = None
        _make_folder(settings.data)
        with ExitStack() as opening:  # what is open is closed again where the rest cannot be opened
            self.engine, unsynced, self.queue = _open(settings, opening)
            self._make_rooms(unsynced, base_url)
            self._closing = opening.pop_all()

    def _make_rooms(self, unsynced: sa.Engine, base_url: str) -> None:
        settings, engine, tell = self.settings, self.engine, self.changes.tell
        self.vault = SharedSecrets(engine, make_secret)
        self.records, self.history = Records(engine, tell, unsynced), History(engine)
        self.tallies = Tallies(engine)
        self.live = LiveAudio(unsynced, tell)
        self.store = open_store(settings.data / "files", settings.bucket or None)
        self.files = Files(engine, self.store, Workspace(settings.data / "work" / "arriving"))
        self.uploads = Uploads(engine, self.files, settings.limits, settings.keep_seconds)
        self.voices = Voices(engine, self.files)
        self.listeners = Listeners(settings.most_listeners)
        self.links = Links((settings.public_url or base_url).rstrip("/"), self.vault.links)
        self.json = PredictionJson(self.history, self.files, self.links)
        self.intake = Intake(
            self.records, self.files, self.uploads, self.links, settings.limits, settings.keep_seconds,
            self.queue.predict, self._lacks,
        )  # fmt: skip

    def __enter__(self) -> Self:
        settings = self.settings
        sweep = Sweep(
            self.records, Retention(self.engine), self.tallies, self.files, self.store, self.live, self.queue,
            settings.keep_seconds, settings.forget_seconds,
        )  # fmt: skip
        deadlines = Chore("deadlines", DEADLINE_SECONDS, lambda: self.records.expire(time.time()))
        self._closing.enter_context(Janitor([deadlines, *sweep.chores()]))
        self._closing.callback(self.stop_work)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def start_work(
        self, load: Callable[[], Backends], on_error: Callable[[BaseException], object] = lambda error: None
    ) -> WorkerProcess:
        """Work on the queues in this process, as soon as `load` has the models. on_error: see WorkerProcess."""
        self.worker = WorkerProcess(self, load, on_error)
        self.worker.start()
        return self.worker

    def stop_work(self) -> None:
        """Returns when nothing is worked on any more; may be called again."""
        if self.worker is not None:
            self.worker.stop()

    def lease_of(self, name: str) -> AbstractContextManager[Lease]:
        if is_sqlite(self.settings.database):
            return FileLease(sqlite_path(self.settings.database).parent, name)
        return DatabaseLease(self.engine, name)


def _make_folder(path: Path) -> None:
    """For its owner's eyes only."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        problem = "" if os.access(path, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    except OSError as error:
        problem = error.strerror or str(error)
    if problem:
        raise InvalidRequest("data", f"is {path}, where nothing can be kept ({problem}). Name another folder.")


def _open(settings: Settings, closing: ExitStack) -> tuple[sa.Engine, sa.Engine, Queue]:
    """The database as rows need it, as what may be lost does, and as the queue does."""
    if is_sqlite(settings.database):
        make_sqlite_file(sqlite_path(settings.database))
    engine = open_database(settings.database)
    closing.callback(engine.dispose)
    unsynced = open_unsynced(settings.database)
    closing.callback(unsynced.dispose)
    queue = Queue(settings.database)
    closing.callback(queue.close)
    return engine, unsynced, queue
