"""The service, put together: every room once, in the order in which they need each other. Opens and closes them.

A process that serves HTTP has all but the working side, a worker all but the HTTP side, the default process both.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Self

from serving import queue as queues
from serving.changes import Changes
from serving.database import is_sqlite, open_database, sqlalchemy_url
from serving.files import Files
from serving.janitor import DEADLINE_SECONDS, RESCUE_SECONDS, SWEEP_SECONDS, TICK_SECONDS, Janitor, Rescue, sweep
from serving.lease import DatabaseLease, FileLease, Lease
from serving.links import Links
from serving.live import LiveAudio
from serving.making import Makers
from serving.prediction_json import PredictionJson
from serving.public_http import public_client
from serving.records import Records
from serving.settings import Settings
from serving.store import FolderStore, open_store
from serving.studio import Studio
from serving.telling import Telling
from serving.vault import Vault
from serving.worker import Rooms, Worker

log = logging.getLogger("parley")

WEBHOOK_SECONDS = 20.0
MOST_WORKERS_OF_A_NAME = 1000


class Service:
    """Context manager. What the doors need; with start_work(), what works too."""

    def __init__(self, settings: Settings, base_url: str) -> None:
        """base_url: where callers reach it, unless the settings know better."""
        self.settings = settings
        self.changes = Changes()
        engine = open_database(settings.database)
        self.engine = engine
        self.vault = Vault(engine)
        self.records = Records(engine, self.changes.tell)
        self.store = open_store(settings.data / "files", settings.bucket or None)
        self.files = Files(engine, self.store)
        self.live = LiveAudio(engine, self.changes.tell)
        self.links = Links((settings.public_url or base_url).rstrip("/"), self.vault.links)
        self.json = PredictionJson(self.records, self.files, self.links)
        self.queue = queues.Queue(sqlalchemy_url(settings.database))
        self.studio = Studio(
            self.records, self.files, self.links, settings.limits, settings.keep_seconds, self.queue.predict
        )
        self.working: Working | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()
        self.queue.close()
        self.engine.dispose()

    def start_work(self, load: Callable[[], Makers]) -> "Working":
        """Work on the queues in this process, as soon as `load` has the models."""
        self.working = Working(self, load)
        self._closing.enter_context(self.working)
        return self.working

    def lease_of(self, name: str) -> AbstractContextManager[Lease]:
        if is_sqlite(self.settings.database):
            return FileLease(self.settings.data, name)
        return DatabaseLease(self.engine, name)

    @property
    def ready(self) -> bool:
        """Whether what is accepted now is begun soon by this process; a process without a worker cannot tell."""
        return self.working is None or self.working.launched


class Working:
    """Context manager: the side that makes audio. Loads in a thread of its own, so that HTTP answers meanwhile."""

    def __init__(self, service: Service, load: Callable[[], Makers]) -> None:
        self._service, self._load = service, load
        self._stack = ExitStack()
        self._thread = threading.Thread(target=self._start, name="loading", daemon=True)
        self.launched = False
        self.error: BaseException | None = None
        self.worker: Worker | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What still runs may take `grace_seconds`; then it is left to be begun anew."""
        self._thread.join()
        if self.launched:
            queues.stop(self._service.settings.grace_seconds)
        self._stack.close()

    def _start(self) -> None:
        try:
            self._launch(self._load())
        except BaseException as error:
            log.exception("the models could not be loaded")
            self.error = error

    def _launch(self, makers: Makers) -> None:
        service, settings = self._service, self._service.settings
        client = self._stack.enter_context(public_client(allow_private=settings.allow_private, seconds=WEBHOOK_SECONDS))
        telling = Telling(service.records, service.json, service.queue, service.vault.webhooks, client)
        rooms = Rooms(service.engine, service.records, service.files, service.live)
        self.worker = Worker(rooms, makers, settings.fetching, settings.keep_seconds, telling.tell)
        executor = self._own_name()
        if isinstance(service.store, FolderStore) and is_sqlite(settings.database):
            service.store.sweep()
        work = queues.Work(self.worker.work, telling.announce, telling.post)
        queues.launch(sqlalchemy_url(settings.database), executor, work, settings.at_once)
        self._stack.enter_context(self._janitor(executor))
        self.launched = True

    def _own_name(self) -> str:
        """The first of this machine's names that no living process holds; held until the end."""
        for number in range(MOST_WORKERS_OF_A_NAME):
            name = f"{_host()}-{number}"
            lease = self._stack.enter_context(self._service.lease_of(name))
            if lease.held:
                return name
        raise AssertionError(f"{MOST_WORKERS_OF_A_NAME} workers on this machine")

    def _janitor(self, executor: str) -> Janitor:
        service = self._service
        assert self.worker is not None
        rescue = Rescue(service.records, service.queue, executor, service.lease_of)
        return Janitor(
            {
                self.worker.cancel_ended: TICK_SECONDS,
                lambda: service.records.expire(time.time()): DEADLINE_SECONDS,
                rescue: RESCUE_SECONDS,
                lambda: sweep(
                    service.records, service.files, service.live, service.settings.keep_seconds
                ): SWEEP_SECONDS,
            }
        )


def _host() -> str:
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname()) or f"pid-{os.getpid()}"
