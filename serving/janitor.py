"""What has to be looked after: deadlines, cancelled work, work whose worker died, what may be deleted. Knows no HTTP.

Every process may run one: what two of them do at once is done once.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from serving.files import Files
from serving.lease import Lease
from serving.live import LiveAudio
from serving.queue import Queue
from serving.records import Records

log = logging.getLogger("parley.janitor")

TICK_SECONDS = 0.1
DEADLINE_SECONDS, RESCUE_SECONDS, SWEEP_SECONDS = 0.5, 3.0, 60.0
LOST_SECONDS = 10.0  # between keeping a prediction and queueing it a process may take this long
LIVE_SECONDS = 600.0  # how long audio on its way is kept for listeners


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
    """Queues again what was lost: predictions that were kept and never queued, and those of workers that died."""

    def __init__(
        self, records: Records, queue: Queue, own: str, lease_of: Callable[[str], AbstractContextManager[Lease]]
    ) -> None:
        """own: this process's executor. lease_of: the lease by which an executor's life is told."""
        self._records, self._queue = records, queue
        self._own, self._lease_of = own, lease_of

    def __call__(self) -> None:
        executors = self._queue.unfinished()
        self._queue_lost(executors)
        for executor in set(executors.values()) - {"", self._own}:
            self._rescue_from(executor)

    def _queue_lost(self, known: dict[str, str]) -> None:
        before = time.time() - LOST_SECONDS
        for prediction in self._records.active():
            if prediction.id not in known and prediction.created_at < before:
                self._queue.predict(prediction.id)

    def _rescue_from(self, executor: str) -> None:
        """Under its own lease, so that one process does it, and only while the executor is dead."""
        with self._lease_of(executor) as lease:
            if lease.held:
                for workflow_id, queue_name in self._queue.running_on(executor):
                    log.warning("worker %s is gone: %s begins anew", executor, workflow_id)
                    self._queue.hand_back(workflow_id, queue_name)


def sweep(records: Records, files: Files, live: LiveAudio, keep_seconds: float) -> None:
    """Delete what has been kept long enough."""
    now = time.time()
    files.delete_expired(now)
    records.remove_data(now - keep_seconds)
    live.forget(now - LIVE_SECONDS)
