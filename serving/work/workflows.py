"""The durable queue, from the side of a worker: what its workflows do, how often, and what runs. Knows no model.

A prediction's workflow works, then announces. After a crash it begins anew from its start; what it changes is guarded
by the record's state, so it may begin as often as it likes, and it has no steps whose ends would be kept. A message
that is not taken is queued again for later under the same message id (at least once), so that a dead receiver keeps
nobody's place. The end of a prediction is told for half an hour, and never before its output, which is given up after
seconds; of its start and its logs a receiver may miss one.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dbos import DBOS, DBOSPortableJSONSerializer

from serving.storage.database import DATABASE_AWAY
from serving.work.queue import APPLICATION, APPLICATION_VERSION, PREDICT, SEND, Message, Queue, arguments, sending
from serving.work.webhooks import DeliveryFailed

log = logging.getLogger("parley.queue")

DELIVERY_ATTEMPTS = {"completed": 9, "output": 3, "start": 3, "logs": 2}  # Replicate repeats the end alone
DELIVERY_SECONDS, DELIVERY_BACKOFF = 2.0, 2.5  # nine attempts take about half an hour in all
LEAVE_SECONDS = 5  # what was given up may take this long to notice
AGAIN_SECONDS = 2.0  # between two tries while the database is away
_ANY_NUMBER = 1000  # of recoveries: the record itself counts


@dataclass(frozen=True)
class Workflows:
    """What the workflows do."""

    predict: Callable[[str], None]  # brings a prediction to its end
    notify_end: Callable[[str], None]  # queues the webhooks that tell of it
    deliver: Callable[[Message], None]  # sends one


class Running:
    """The workflows that this process runs. Thread-safe."""

    def __init__(self) -> None:
        self._ids: list[str] = []  # one that was handed back may run twice for a moment
        self._lock = threading.Lock()

    def __call__(self) -> Collection[str]:
        with self._lock:
            return set(self._ids)

    @contextmanager
    def one(self) -> Iterator[None]:
        """The workflow of this thread runs for as long as this lasts."""
        workflow_id = DBOS.workflow_id
        assert workflow_id is not None
        with self._lock:
            self._ids.append(workflow_id)
        try:
            yield
        finally:
            with self._lock:
                self._ids.remove(workflow_id)


def launch(
    queue: Queue, executor: str, workflows: Workflows, predictions_at_once: int, running: Running,
    models: Collection[str],
) -> None:  # fmt: skip
    """Start to work on the queues, what this executor had begun before it was killed included.

    models: by their full names, those whose own queues are worked on too.
    """
    names = queue.open(predictions_at_once, models)
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_engine": queue.engine,
            "application_version": APPLICATION_VERSION,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
        }
    )
    DBOS.listen_queues(names)
    _register(workflows, running)
    try:
        DBOS.launch()
    except BaseException:
        DBOS.destroy(destroy_registry=True)
        raise


def stop(grace_seconds: float, give_up: Callable[[], None]) -> None:
    """Begin nothing more. What runs may take this long; then it is given up, to be begun anew."""
    timer = threading.Timer(grace_seconds, give_up)
    timer.start()
    try:
        patience = math.ceil(grace_seconds + LEAVE_SECONDS)
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)
    finally:
        timer.cancel()


def _register(workflows: Workflows, running: Running) -> None:
    """The workflows, by the names under which they are queued."""

    @DBOS.workflow(name=PREDICT, max_recovery_attempts=_ANY_NUMBER)
    def predict(prediction_id: str) -> None:
        with running.one():
            _until_back(lambda: workflows.predict(prediction_id))
            _until_back(lambda: workflows.notify_end(prediction_id))

    @DBOS.workflow(name=SEND, max_recovery_attempts=_ANY_NUMBER)
    def send(owner: str, prediction_id: str, event: str, part: str, attempt: int, then: str = "") -> None:
        with running.one():
            _send(workflows, Message(owner, prediction_id, event, part, then), attempt)


def _send(workflows: Workflows, message: Message, attempt: int) -> None:
    """And queue what follows: the message again, or, once that is over, the one that comes behind it."""
    if not _is_done(workflows, message):
        if attempt < DELIVERY_ATTEMPTS[message.event]:
            again = sending(message, attempt + 1)
            again["delay_seconds"] = DELIVERY_SECONDS * DELIVERY_BACKOFF ** (attempt - 1)
            DBOS.enqueue_workflow_with_options(again, *arguments(message, attempt + 1))
            return
        log.error("webhook %s is given up after %d attempts", message.id, attempt)
    if behind := message.next:
        DBOS.enqueue_workflow_with_options(sending(behind, 1), *arguments(behind, 1))


def _is_done(workflows: Workflows, message: Message) -> bool:
    """Whether the message was taken, or never will be. What is our fault may be mended: it is tried again."""
    try:
        workflows.deliver(message)
    except DeliveryFailed as failed:
        log.warning("webhook %s was not taken: %s", message.id, failed)
        return not failed.retry
    except Exception:
        log.exception("webhook %s could not be sent", message.id)
        return False
    return True


def _until_back(do: Callable[[], None]) -> None:
    """Do it, again and again while the database is away."""
    while True:
        try:
            return do()
        except DATABASE_AWAY:
            log.exception("the database is away")
            time.sleep(AGAIN_SECONDS)
