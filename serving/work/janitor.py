"""What has to be looked after: deadlines, cancelled work, work whose worker died, what may be deleted. Knows no HTTP.

Every process may run one: what two of them do at once is done once.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from serving.storage.files import FILE_PREFIX, Files
from serving.storage.lease import Lease
from serving.storage.live import LiveAudio
from serving.storage.records import Records
from serving.storage.store import Store
from serving.work.queue import Queue

log = logging.getLogger("parley.janitor")

TICK_SECONDS = 0.1
DEADLINE_SECONDS, RESCUE_SECONDS, SWEEP_SECONDS = 0.5, 3.0, 60.0
LOST_SECONDS = 10.0  # between keeping a prediction and queueing it a process may take this long
LIVE_SECONDS = 600.0  # how long the audio of what has ended is kept for those who listen slowly
HALF_WRITTEN_SECONDS = 3600.0  # a file that is older and still on its way has lost its process
WANTED_SECONDS = 600.0  # an input is kept for this long at least after the last look at who waits for it
QUEUE_SECONDS = 86_400.0  # how long the queue remembers what has ended


class Janitor:
    """Context manager: a thread that does each chore when it is due."""

    def __init__(self, chores: dict[Callable[[], object], float]) -> None:
        """chores: what to do, and every how many seconds."""
        self._due = dict.fromkeys(chores, 0.0)
        self._every = chores
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="janitor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            for chore, due in self._due.items():
                if time.monotonic() >= due:
                    self._do(chore)

    def _do(self, chore: Callable[[], object]) -> None:
        try:
            chore()
        except Exception:  # the database is away, perhaps: the next time may do better
            log.exception("%s failed", chore)
        self._due[chore] = time.monotonic() + self._every[chore]


class Rescue:
    """Queues again what was lost: predictions of which nothing waits or runs, and the work of processes that died."""

    def __init__(
        self, records: Records, queue: Queue, own: str, lease_of: Callable[[str], AbstractContextManager[Lease]]
    ) -> None:
        """own: this process's executor. lease_of: the lease by which an executor's life is told."""
        self._records, self._queue = records, queue
        self._own, self._lease_of = own, lease_of

    def __call__(self) -> None:
        self._queue_lost()
        for executor in self._queue.executors() - {self._own}:
            self._rescue_from(executor)

    def _queue_lost(self) -> None:
        before = time.time() - LOST_SECONDS
        known = self._queue.unfinished()  # first: what is not over afterwards was unfinished now
        for prediction_id in self._records.unfinished(before):
            if prediction_id not in known:
                log.warning("prediction %s was not in the queue", prediction_id)
                self._queue.predict_anew(prediction_id)

    def _rescue_from(self, executor: str) -> None:
        """Under its own lease, so that one process does it, and only while the executor is dead."""
        with self._lease_of(executor) as lease:
            if lease.held:
                for workflow_id, queue_name in self._queue.running_on(executor):
                    log.warning("worker %s is gone: %s begins anew", executor, workflow_id)
                    self._queue.hand_back(workflow_id, queue_name)


def announce_unbegun(records: Records, announce: Callable[[str], None]) -> None:
    """Tell now of what was cancelled in the queue; when its turn comes it is told of again, which changes nothing."""
    for prediction_id in records.ended_unbegun(time.time() - LOST_SECONDS):
        announce(prediction_id)


@dataclass(frozen=True)
class Sweep:
    """Deletes what has been kept long enough."""

    records: Records
    files: Files
    store: Store
    live: LiveAudio
    queue: Queue
    keep_seconds: float

    def __call__(self) -> None:
        now = time.time()
        self.records.remove_data(now - self.keep_seconds)
        self.live.forget(now - LIVE_SECONDS)
        self.queue.forget_ended(now - QUEUE_SECONDS)
        self._keep_wanted_files(now + WANTED_SECONDS)
        self.files.delete_expired(now)  # the store may be away while the database is not, so it comes last
        self.store.sweep(now - HALF_WRITTEN_SECONDS)

    def _keep_wanted_files(self, moment: float) -> None:
        """Until then at least, the inputs of predictions that are not over."""
        inputs = [value for p in self.records.active() for value in p.input.values() if isinstance(value, str)]
        wanted = [value.removeprefix(FILE_PREFIX) for value in inputs if value.startswith(FILE_PREFIX)]
        if wanted:
            self.files.keep_until(wanted, moment)
