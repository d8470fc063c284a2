"""What was lost on its way is queued again: by a crash, by a database that was away, by a thread that never began.

Every worker does so: what two of them do at once is done once. Knows no model and no HTTP.
"""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from serving.storage.lease import Lease
from serving.storage.records import Records
from serving.work.queue import Queue

log = logging.getLogger("parley.rescue")

LOST_SECONDS = 10.0  # between keeping a prediction and queueing it a process may take this long
IDLE_SECONDS = 30.0  # between claiming something and beginning it, or between its end and keeping that


class Rescue:
    def __init__(
        self, records: Records, queue: Queue, own: str, running: Callable[[], Collection[str]],
        lease_of: Callable[[str], AbstractContextManager[Lease]],
    ) -> None:  # fmt: skip
        """own: this process's executor, running: what it runs. lease_of: the lease by which an executor's life is
        told."""
        self._records, self._queue = records, queue
        self._own, self._running, self._lease_of = own, running, lease_of
        self._idle_since: dict[str, float] = {}

    def __call__(self) -> None:
        self._queue_lost()
        self._hand_back_idle()
        for executor in self._queue.executors() - {self._own}:
            self._rescue_from(executor)

    def _queue_lost(self) -> None:
        """Predictions of which nothing waits or runs."""
        before = time.time() - LOST_SECONDS
        known = self._queue.unfinished()  # first: what is not over afterwards was unfinished now
        for prediction_id in self._records.unfinished(before):
            if prediction_id not in known:
                log.warning("prediction %s was not in the queue", prediction_id)
                self._queue.predict_anew(prediction_id)

    def _hand_back_idle(self) -> None:
        """What is ours by the queue, and of which nothing runs here."""
        ours, now = dict(self._queue.running_on(self._own)), time.monotonic()
        running = self._running()  # after it: what has begun in between is no longer idle
        self._idle_since = {name: self._idle_since.get(name, now) for name in ours if name not in running}
        for name, since in list(self._idle_since.items()):
            if now - since >= IDLE_SECONDS:
                log.warning("%s was claimed and does not run: it begins anew", name)
                self._queue.hand_back(name, ours[name])
                del self._idle_since[name]

    def _rescue_from(self, executor: str) -> None:
        """Under its own lease, so that one process does it, and only while the executor is dead."""
        with self._lease_of(executor) as lease:
            if lease.held:
                for workflow_id, queue_name in self._queue.running_on(executor):
                    log.warning("worker %s is gone: %s begins anew", executor, workflow_id)
                    self._queue.hand_back(workflow_id, queue_name)
