"""The service, put together: every room once, in the order in which they need each other. Opens and closes them.

A process that serves HTTP has all but the working side, a worker all but the HTTP side, the default process both.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Self

from serving.changes import Changes
from serving.database import is_sqlite, open_database, open_hasty, sqlalchemy_url, sqlite_path
from serving.files import Files
from serving.janitor import DEADLINE_SECONDS, SWEEP_SECONDS, Janitor, Sweep
from serving.lease import DatabaseLease, FileLease, Lease
from serving.links import Links
from serving.live import LiveAudio
from serving.making import Makers
from serving.prediction_json import PredictionJson
from serving.queue import Queue
from serving.records import Records
from serving.settings import Settings
from serving.store import open_store
from serving.studio import Studio
from serving.vault import Vault
from serving.voices import Voices
from serving.working import Working


class Service:
    """Context manager. What the doors need; with start_work(), what works too."""

    def __init__(self, settings: Settings, base_url: str) -> None:
        """base_url: where callers reach it, unless the settings know better."""
        self.settings = settings
        self.changes = Changes()
        engine = open_database(settings.database)
        hasty = open_hasty(settings.database)
        self.engine, self._hasty = engine, hasty
        self.vault = Vault(engine)
        self.records = Records(engine, self.changes.tell, hasty)
        self.store = open_store(settings.data / "files", settings.bucket or None)
        self.files = Files(engine, self.store)
        self.voices = Voices(engine, self.files)
        self.live = LiveAudio(hasty, self.changes.tell)
        self.links = Links((settings.public_url or base_url).rstrip("/"), self.vault.links)
        self.json = PredictionJson(self.records, self.files, self.links)
        self.queue = Queue(sqlalchemy_url(settings.database))
        self.studio = Studio(
            self.records, self.files, self.links, settings.limits, settings.keep_seconds, self.queue.predict
        )
        self.working: Working | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        sweep = Sweep(self.records, self.files, self.store, self.live, self.queue, self.settings.keep_seconds)
        chores: dict[Callable[[], object], float] = {
            lambda: self.records.expire(time.time()): DEADLINE_SECONDS,
            sweep: SWEEP_SECONDS,
        }
        self._closing.enter_context(Janitor(chores))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_work()
        self._closing.close()
        self.queue.close()
        self._hasty.dispose()
        self.engine.dispose()

    def start_work(
        self, load: Callable[[], Makers], on_error: Callable[[BaseException], object] = lambda error: None
    ) -> Working:
        """Work on the queues in this process, as soon as `load` has the models. on_error: see Working."""
        self.working = Working(self, load, on_error)
        self.working.start()
        return self.working

    def stop_work(self) -> None:
        """Returns when nothing is worked on any more; may be called again."""
        if self.working is not None:
            self.working.stop()

    def lease_of(self, name: str) -> AbstractContextManager[Lease]:
        if is_sqlite(self.settings.database):
            return FileLease(sqlite_path(self.settings.database).parent, name)
        return DatabaseLease(self.engine, name)

    @property
    def ready(self) -> bool:
        """Whether what is accepted now is begun soon by this process; a process without a worker cannot tell."""
        return self.working is None or self.working.launched
