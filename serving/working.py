"""The side of a process that makes audio: models, worker, queue and janitor, for as long as its lease is held.

Loads in a thread of its own, so that HTTP answers meanwhile. A process that loses its lease (its database went away)
has lost its work to others: it stops at once, and begins again under a new lease when it can.
"""

import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from serving import queue as queues
from serving.database import AWAY
from serving.janitor import RESCUE_SECONDS, TICK_SECONDS, Janitor, Rescue, announce_unbegun
from serving.lease import Lease
from serving.making import Makers
from serving.public_http import public_client
from serving.telling import Telling
from serving.worker import Rooms, Worker

if TYPE_CHECKING:
    from serving.service import Service

log = logging.getLogger("parley")

WEBHOOK_SECONDS = 20.0
MOST_WORKERS_OF_A_NAME = 1000
LEASE_SECONDS = 1.0  # how often it is asked whether the lease is held
AGAIN_SECONDS = 2.0  # between two tries to begin while the database is away


class Working:
    def __init__(
        self, service: "Service", load: Callable[[], Makers], on_error: Callable[[BaseException], object]
    ) -> None:
        """load: gives the models. on_error: hears, in another thread, why this process can work no more."""
        self._service, self._load, self._on_error = service, load, on_error
        self._over = threading.Event()
        self._loaded = threading.Event()
        self._thread = threading.Thread(target=self._run, name="working", daemon=True)
        self.launched = False  # works, under a lease that is held
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What still runs may take `grace_seconds`; then it is handed back. Loading models are not waited for."""
        self._over.set()
        if self._loaded.is_set():
            self._thread.join()

    def _run(self) -> None:
        try:
            makers = self._load()
            self._loaded.set()
            while not self._over.is_set():
                self._work(makers)
        except BaseException as error:
            log.exception("this process can work no more")
            self.error = error
            self._on_error(error)

    def _work(self, makers: Makers) -> None:
        """Under one lease, until it is lost, or the end."""
        try:
            with ExitStack() as stack:
                name, lease = self._name(stack)
                worker = self._launch(stack, makers, name, lease)
                self.launched = True
                while not self._over.wait(LEASE_SECONDS) and lease.held and worker.broken is None:
                    pass
            if worker.broken is not None:
                raise worker.broken
        except AWAY:
            log.exception("the database is away")
            self._over.wait(AGAIN_SECONDS)

    def _name(self, stack: ExitStack) -> tuple[str, Lease]:
        """The first of this machine's names that no living process holds, and the lease by which we hold it."""
        for number in range(MOST_WORKERS_OF_A_NAME):
            name = f"{_host()}-{number}"
            lease = stack.enter_context(self._service.lease_of(name))
            if lease.held:
                return name, lease
        raise AssertionError(f"{MOST_WORKERS_OF_A_NAME} workers on this machine")

    def _launch(self, stack: ExitStack, makers: Makers, name: str, lease: Lease) -> Worker:
        service, settings = self._service, self._service.settings
        client = stack.enter_context(public_client(allow_private=settings.allow_private, seconds=WEBHOOK_SECONDS))
        telling = Telling(service.records, service.json, service.queue, service.vault.webhooks, client)
        rooms = Rooms(service.engine, service.records, service.files, service.live)
        folder = self._folder(name)
        worker = Worker(
            rooms, makers, settings.fetching, settings.keep_seconds, folder, telling.tell, settings.most_attempts
        )
        stack.enter_context(self._janitor(worker, telling, name))
        work = queues.Work(worker.work, telling.announce, telling.post)
        queues.launch(service.queue, name, work, settings.at_once)
        stack.callback(self._leave, worker, name, lease)
        return worker

    def _leave(self, worker: Worker, name: str, lease: Lease) -> None:
        """Where the lease is lost the work is others'; else what is not done in time is handed back to all."""
        self.launched = False
        if not lease.held:
            worker.give_up()
            queues.stop(0, worker.give_up)
            return
        queues.stop(self._service.settings.grace_seconds if worker.broken is None else 0, worker.give_up)
        for workflow_id, queue_name in self._service.queue.running_on(name):
            self._service.queue.hand_back(workflow_id, queue_name)

    def _folder(self, name: str) -> Path:
        """An empty one of this name's own. What processes that were killed left in theirs is nobody's any more."""
        work = self._service.settings.data / "work"
        for left in work.glob("*-*"):
            with self._service.lease_of(left.name) as lease:
                if lease.held or left.name == name:
                    shutil.rmtree(left, ignore_errors=True)
        folder = work / name
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def _janitor(self, worker: Worker, telling: Telling, name: str) -> AbstractContextManager[object]:
        service = self._service
        return Janitor(
            {
                worker.cancel_ended: TICK_SECONDS,
                Rescue(service.records, service.queue, name, service.lease_of): RESCUE_SECONDS,
                lambda: announce_unbegun(service.records, telling.announce): RESCUE_SECONDS,
            }
        )


def _host() -> str:
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname()) or f"pid-{os.getpid()}"
