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
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ParleyError
from serving.public_http import public_client
from serving.storage.database import DATABASE_AWAY
from serving.storage.lease import Lease
from serving.work import workflows
from serving.work.backend import Backends
from serving.work.handovers import Handovers
from serving.work.janitor import Chore, Janitor
from serving.work.notifier import Notifier
from serving.work.places import Places
from serving.work.rescue import Rescue
from serving.work.runner import PredictionRunner, Storage

if TYPE_CHECKING:
    from serving.service import Service

log = logging.getLogger("parley")

WEBHOOK_SECONDS = 20.0
MOST_WORKERS_OF_A_NAME = 1000
LEASE_SECONDS = 1.0  # how often it is asked whether the lease is held
AGAIN_SECONDS = 2.0  # between two tries to begin while the database is away
CANCEL_SECONDS = 0.1  # until what was cancelled is stopped
RESCUE_SECONDS = 3.0  # how often it is asked what was lost


class WorkerProcess:
    def __init__(
        self, service: "Service", load: Callable[[], Backends], on_error: Callable[[BaseException], object]
    ) -> None:
        """load: gives the models. on_error: hears, in another thread, why this process can work no more."""
        self._service, self._load, self._on_error = service, load, on_error
        self._handovers = Handovers(service.records)  # longer than one lease: it may be lost with the database
        self._over = threading.Event()
        self._loaded = threading.Event()
        self._thread = threading.Thread(target=self._run, name="working", daemon=True)
        self.backends: Backends | None = None  # once they are loaded
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
            self.backends = self._load()
            self._loaded.set()
            while not self._over.is_set():
                self._work(self.backends)
        except BaseException as error:
            # A setting that does not hold, or weights that are not here, are said in a line: their trace says no more.
            trace = not isinstance(error, ParleyError) or error.__cause__ is not None
            log.error("this process can work no more: %s", error, exc_info=trace)
            self.error = error
            self._on_error(error)

    def _work(self, backends: Backends) -> None:
        """Under one lease, until it is lost, or the end."""
        try:
            with ExitStack() as stack:
                name, lease = self._name(stack)
                runner = self._launch(stack, backends, name, lease)
                self.launched = True
                while not self._over.wait(LEASE_SECONDS) and lease.held and runner.broken is None:
                    pass
            if runner.broken is not None:
                raise runner.broken
        except DATABASE_AWAY:
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

    def _launch(self, stack: ExitStack, backends: Backends, name: str, lease: Lease) -> PredictionRunner:
        service, settings = self._service, self._service.settings
        client = stack.enter_context(public_client(allow_private=settings.allow_private, seconds=WEBHOOK_SECONDS))
        notifier = Notifier(service.records, service.json, service.queue, service.vault.webhooks, client)
        rooms = Storage(service.engine, service.records, service.files, service.live)
        folder = self._folder(name)
        runner = PredictionRunner(
            rooms, backends, settings.fetching, settings.keep_seconds, folder, self._handovers, notifier.notify,
            settings.most_attempts,
        )  # fmt: skip
        running = workflows.Running()
        stack.enter_context(Janitor(self._chores(runner, notifier, name, running)))
        places = Places(service.records, service.queue, backends.keys(), runner.work)
        wanted = workflows.Workflows(places.make, notifier.notify_end, notifier.deliver)
        workflows.launch(service.queue, name, wanted, settings.at_once, running, backends.keys())
        stack.callback(self._leave, runner, name, lease)
        stack.callback(places.close)
        return runner

    def _leave(self, runner: PredictionRunner, name: str, lease: Lease) -> None:
        """Where the lease is lost the work is others'; else what is not done in time is handed back to all."""
        self.launched = False
        if not lease.held:
            runner.give_up()
            workflows.stop(0, runner.give_up)
            return
        workflows.stop(self._service.settings.grace_seconds if runner.broken is None else 0, runner.give_up)
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

    def _chores(
        self, runner: PredictionRunner, notifier: Notifier, name: str, running: workflows.Running
    ) -> list[Chore]:
        service = self._service
        rescue = Rescue(service.records, service.queue, name, running, service.lease_of)
        return [
            Chore("cancelling", CANCEL_SECONDS, runner.cancel_ended),
            Chore("rescue", RESCUE_SECONDS, rescue),
            Chore("announcements", RESCUE_SECONDS, notifier.announce_ended),
            Chore("handovers", RESCUE_SECONDS, self._handovers.tell),
        ]


def _host() -> str:
    return "".join(c if c.isalnum() else "-" for c in socket.gethostname()) or f"pid-{os.getpid()}"
