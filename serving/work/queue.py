"""The durable queue: predictions and webhooks as DBOS workflows. Knows what to call, not how audio is made.

A prediction is one workflow whose id is the prediction's: work, then announce. After a crash it begins anew from its
start; what it changes is guarded by the record's state, so it may begin as often as it likes, and it has no steps whose
ends would be kept. A webhook is a workflow of its own with an id made of what it tells, so no crash makes it twice. One
that is not taken is queued again for later with the same message id (at least once, never silently lost), so that a
dead receiver keeps nobody's place.
"""

import logging
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, error

from serving.storage.database import DATABASE_AWAY
from serving.work.webhooks import DeliveryFailed

log = logging.getLogger("parley.queue")

APPLICATION = "parley"
APPLICATION_VERSION = "1"  # of the workflows: what an older release left unfinished is finished by this one
PREDICTIONS, WEBHOOKS = "predictions", "webhooks"  # queues
PREDICT, SEND = "predict", "send"  # workflows
WEBHOOKS_AT_ONCE = 16
POLL_SECONDS = 0.1
DELIVERY_ATTEMPTS, DELIVERY_SECONDS, DELIVERY_BACKOFF = 9, 2.0, 2.5  # about half an hour in all
LEAVE_SECONDS = 5  # what was given up may take this long to notice
UNFINISHED = ["ENQUEUED", "DELAYED", "PENDING"]
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
FORGOTTEN_AT_ONCE = 1000  # rows
_ANY_NUMBER = 1000  # of recoveries: the record itself counts attempts
AGAIN_SECONDS = 2.0  # between two tries while the database is away


@dataclass(frozen=True)
class Message:
    """What a webhook is told."""

    prediction_id: str
    event: str
    part: str = "0"  # which of its event, where there is more than one

    @property
    def id(self) -> str:
        return f"{self.prediction_id}-{self.event}-{self.part}"


_ABOUT = re.compile(r"(.+)-(?:start|output|logs|completed)-[0-9].*")  # a message's id, and the prediction it tells of


class Queue:
    """The side that hands in, and looks after what is queued. One per process, worker or not."""

    def __init__(self, database_url: str) -> None:
        """Makes the queue's tables where there are none. Where the database is away, methods raise at once."""
        self.database_url = database_url
        DBOS.migrate(database_url)
        self.client = DBOSClient(
            system_database_url=database_url,
            application_name=APPLICATION,
            serializer=DBOSPortableJSONSerializer(),
            retry_connection_errors=False,
        )

    def open(self, predictions_at_once: int) -> None:
        """What each worker may run at once, of all workers what the last one said."""
        for name, at_once in ((PREDICTIONS, predictions_at_once), (WEBHOOKS, WEBHOOKS_AT_ONCE)):
            self.client.register_queue(name, worker_concurrency=at_once, polling_interval_sec=POLL_SECONDS)

    def predict(self, prediction_id: str) -> None:
        """Queue it, once, however often it is called."""
        self._enqueue(PREDICTIONS, PREDICT, prediction_id, prediction_id)

    def predict_anew(self, prediction_id: str) -> None:
        """Queue one that is not over though nothing of it waits or runs: it was never queued, or broke off."""
        self.predict(prediction_id)
        try:
            self.client.rewind_workflow(prediction_id, queue_name=PREDICTIONS)
        except error.DBOSException as active:  # never queued until now, or another process was quicker
            log.debug("%s", active)

    def send(self, message: Message, body: str) -> None:
        self._enqueue(WEBHOOKS, SEND, message.id, message.prediction_id, message.id, body, 1)

    def unfinished(self) -> set[str]:
        """Predictions whose workflows wait or run."""
        found = self.client.list_workflows(status=UNFINISHED, name=PREDICT, load_input=False, load_output=False)
        return {w.workflow_id for w in found}

    def executors(self) -> set[str]:
        """Those that have begun something, be it a prediction or a webhook, and not ended it."""
        found = self.client.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {w.executor_id for w in found if w.executor_id}

    def running_on(self, executor: str) -> list[tuple[str, str]]:
        """(workflow, its queue) of those that this executor has begun."""
        found = self.client.list_workflows(status="PENDING", executor_id=executor, load_input=False, load_output=False)
        return [(w.workflow_id, w.queue_name or PREDICTIONS) for w in found]

    def hand_back(self, workflow_id: str, queue_name: str) -> None:
        """Let another executor begin it anew: whoever had it is gone."""
        self.client.resume_workflow(workflow_id, queue_name=queue_name)

    def forget_ended(self, before: float) -> int:
        """Drop the rows of what ended before that time (seconds since 1970), the oldest first → how many.

        A message's id must be known for as long as its prediction may be announced again.
        """
        found = self.client.list_workflows(
            status=ENDED, completed_before=datetime.fromtimestamp(before, UTC).isoformat(), limit=FORGOTTEN_AT_ONCE,
            load_input=False, load_output=False,
        )  # fmt: skip
        unfinished = self.unfinished() if found else set()
        gone = [w.workflow_id for w in found if _prediction_of(w.workflow_id) not in unfinished]
        if gone:
            self.client.delete_workflows(gone)
        return len(gone)

    def _enqueue(self, queue: str, workflow: str, workflow_id: str, *arguments: Any) -> None:
        self.client.enqueue(_options(queue, workflow, workflow_id), *arguments)

    def close(self) -> None:
        self.client.destroy()


def _options(queue: str, workflow: str, workflow_id: str) -> EnqueueOptions:
    return {
        "queue_name": queue,
        "workflow_name": workflow,
        "workflow_id": workflow_id,
        "app_version": APPLICATION_VERSION,
    }


def _prediction_of(workflow_id: str) -> str:
    about = _ABOUT.fullmatch(workflow_id)
    return about[1] if about else workflow_id


@dataclass(frozen=True)
class Workflows:
    """What the workflows do."""

    predict: Callable[[str], None]  # brings a prediction to its end
    notify_end: Callable[[str], None]  # queues the webhooks that tell of it
    deliver: Callable[[str, str, str], None]  # prediction, message, body: sends one


def _register(workflows: Workflows) -> None:
    """The workflows, by the names under which they are queued."""

    @DBOS.workflow(name=PREDICT, max_recovery_attempts=_ANY_NUMBER)
    def predict(prediction_id: str) -> None:
        _until_back(lambda: workflows.predict(prediction_id))
        _until_back(lambda: workflows.notify_end(prediction_id))

    @DBOS.workflow(name=SEND, max_recovery_attempts=_ANY_NUMBER)
    def send(prediction_id: str, message_id: str, body: str, attempt: int) -> None:
        if _is_done(workflows, prediction_id, message_id, body):
            return
        if attempt == DELIVERY_ATTEMPTS:
            log.error("webhook %s is given up after %d attempts", message_id, attempt)
        else:
            again = _options(WEBHOOKS, SEND, f"{message_id}-again-{attempt + 1}")
            again["delay_seconds"] = DELIVERY_SECONDS * DELIVERY_BACKOFF ** (attempt - 1)
            DBOS.enqueue_workflow_with_options(again, prediction_id, message_id, body, attempt + 1)


def _until_back(do: Callable[[], None]) -> None:
    """Do it, again and again while the database is away."""
    while True:
        try:
            return do()
        except DATABASE_AWAY:
            log.exception("the database is away")
            time.sleep(AGAIN_SECONDS)


def _is_done(workflows: Workflows, prediction_id: str, message_id: str, body: str) -> bool:
    """Whether the message was taken, or never will be. What is our fault may be mended: it is tried again."""
    try:
        workflows.deliver(prediction_id, message_id, body)
    except DeliveryFailed as failed:
        log.warning("webhook %s was not taken: %s", message_id, failed)
        return not failed.retry
    except Exception:
        log.exception("webhook %s could not be sent", message_id)
        return False
    return True


def stop(grace_seconds: float, give_up: Callable[[], None]) -> None:
    """Begin nothing more. What runs may take this long; then it is given up, to be begun anew."""
    timer = threading.Timer(grace_seconds, give_up)
    timer.start()
    try:
        patience = math.ceil(grace_seconds + LEAVE_SECONDS)
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)
    finally:
        timer.cancel()


def launch(queue: Queue, executor: str, workflows: Workflows, predictions_at_once: int) -> None:
    """Start to work on the queues, what this executor had begun before it was killed included."""
    queue.open(predictions_at_once)
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": queue.database_url,
            "application_version": APPLICATION_VERSION,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
        }
    )
    _register(workflows)
    try:
        DBOS.launch()
    except BaseException:
        DBOS.destroy(destroy_registry=True)
        raise
