"""The durable queue, from the side that hands in and looks after it: predictions and webhooks as DBOS workflows.

A prediction is one workflow whose id is the prediction's. A webhook's message is a workflow of its own with an id made
of what it tells, so no crash makes it twice; what it says is written when it is delivered, so that nothing of a
prediction lies here. Knows no worker.

Predictions of all models wait in one queue, oldest first. Beside it each model has a queue of its own, for those that a
worker took which has not that model.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus, error

from serving.storage.database import open_queue, sqlalchemy_url

log = logging.getLogger("parley.queue")

APPLICATION = "parley"
APPLICATION_VERSION = "1"  # of the workflows: what an older release left unfinished is finished by this one
PREDICTIONS, WEBHOOKS = "predictions", "webhooks"  # queues
PREDICT, SEND = "predict", "send"  # workflows
WEBHOOKS_AT_ONCE, WEBHOOKS_OF_ONE = 64, 4  # of a worker, and of one owner there: a silent receiver takes a place 20 s
POLL_SECONDS = 0.1
MODEL_POLL_SECONDS = 0.5  # of the queues of one model, which are empty where every worker has all models
UNFINISHED = ["ENQUEUED", "DELAYED", "PENDING"]
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
FORGOTTEN_AT_ONCE = 1000  # rows


@dataclass(frozen=True)
class Message:
    """What a webhook is told."""

    owner: str  # whose messages share a few places
    prediction_id: str
    event: str
    part: str = "0"  # which of its event, where there is more than one
    then: str = ""  # the event that is told of when this was taken, or was given up; "": none

    @property
    def id(self) -> str:
        return f"{self.prediction_id}-{self.event}-{self.part}"

    @property
    def next(self) -> "Message | None":
        """What comes behind it."""
        return Message(self.owner, self.prediction_id, self.then) if self.then else None


class Queue:
    """One per process, worker or not."""

    def __init__(self, database_url: str) -> None:
        """Makes the queue's tables where there are none. Where the database is away, methods raise at once."""
        DBOS.migrate(sqlalchemy_url(database_url))
        self.engine = open_queue(database_url)
        self.client = DBOSClient(
            system_database_engine=self.engine,
            application_name=APPLICATION,
            serializer=DBOSPortableJSONSerializer(),
            retry_connection_errors=False,
        )

    def open(self, predictions_at_once: int, models: Collection[str]) -> list[str]:
        """What each worker may run at once → the queues for one that has these models, by their full names.

        The queue keeps one number for all workers, which each of them reads again at every look: the last to start
        decides for all.
        """
        before = self.client.retrieve_queue(PREDICTIONS)
        if before is not None and (had := before.worker_concurrency) != predictions_at_once:
            log.warning("every worker makes %d predictions at once from now on, not %s", predictions_at_once, had)
        polling = {PREDICTIONS: POLL_SECONDS} | dict.fromkeys(map(queue_of, models), MODEL_POLL_SECONDS)
        for name, seconds in polling.items():
            self.client.register_queue(name, worker_concurrency=predictions_at_once, polling_interval_sec=seconds)
        self.client.register_queue(
            WEBHOOKS,
            worker_concurrency=WEBHOOKS_AT_ONCE,
            partition_worker_concurrency=WEBHOOKS_OF_ONE,
            polling_interval_sec=POLL_SECONDS,
        )
        return [*polling, WEBHOOKS]

    def unopened(self, models: Collection[str]) -> list[str]:
        """Those of the models, by their full names, that no worker of this database has ever had."""
        return [model for model in models if self.client.retrieve_queue(queue_of(model)) is None]

    def predictions_at_once(self) -> int:
        """What each worker may run at once now."""
        found = self.client.retrieve_queue(PREDICTIONS)
        assert found is not None, "no worker has opened the queue"
        number = found.worker_concurrency
        assert number is not None, found
        return number

    def predict(self, prediction_id: str) -> None:
        """Queue it, once, however often it is called."""
        self.client.enqueue(options(PREDICTIONS, PREDICT, prediction_id), prediction_id)

    def predict_anew(self, prediction_id: str) -> None:
        """Queue one that is not over though nothing of it waits or runs: it was never queued, or broke off."""
        self.predict(prediction_id)
        try:
            self.client.rewind_workflow(prediction_id, queue_name=PREDICTIONS)
        except error.DBOSException as active:  # never queued until now, or another process was quicker
            log.debug("%s", active)

    def send(self, message: Message) -> None:
        """Queue it, once, however often it is called."""
        self.client.enqueue(sending(message, 1), *arguments(message, 1))

    def unfinished(self) -> set[str]:
        """Predictions whose workflows wait or run."""
        return {one.workflow_id for one in self._found(status=UNFINISHED, name=PREDICT)}

    def untold(self) -> set[str]:
        """Predictions of which a message waits or is on its way."""
        return {_message(one).prediction_id for one in self._found(status=UNFINISHED, name=SEND, load_input=True)}

    def executors(self) -> set[str]:
        """Those that have begun something, be it a prediction or a webhook, and not ended it."""
        return {one.executor_id for one in self._found(status="PENDING") if one.executor_id}

    def running_on(self, executor: str) -> list[tuple[str, str]]:
        """(workflow, its queue) of those that this executor has begun."""
        found = self._found(status="PENDING", executor_id=executor)
        return [(one.workflow_id, one.queue_name or PREDICTIONS) for one in found]

    def hand_back(self, workflow_id: str, queue_name: str) -> None:
        """Let whoever is free begin it anew: who had it is gone, or does not do it."""
        self.client.resume_workflow(workflow_id, queue_name=queue_name)

    def forget_ended(self, before: float) -> int:
        """Drop the rows of all that ended before that time (seconds since 1970) → how many."""
        moment, gone = datetime.fromtimestamp(before, UTC).isoformat(), 0
        which: dict[str, Any] = {"status": ENDED, "completed_before": moment, "limit": FORGOTTEN_AT_ONCE}
        while True:
            ids = [one.workflow_id for one in self._found(**which)]
            if ids:
                self.client.delete_workflows(ids)
            gone += len(ids)
            if len(ids) < FORGOTTEN_AT_ONCE:
                return gone

    def _found(self, *, load_input: bool = False, **which: Any) -> list[WorkflowStatus]:
        return self.client.list_workflows(**which, load_input=load_input, load_output=False)

    def close(self) -> None:
        self.client.destroy()
        self.engine.dispose()


def queue_of(model: str) -> str:
    """Of the predictions of one model, by its full name, that a worker without it has left."""
    return f"{PREDICTIONS} of {model}"


def options(queue: str, workflow: str, workflow_id: str) -> EnqueueOptions:
    return {
        "queue_name": queue,
        "workflow_name": workflow,
        "workflow_id": workflow_id,
        "app_version": APPLICATION_VERSION,
    }


def sending(message: Message, attempt: int) -> EnqueueOptions:
    """To send a message for the first time, or again. It is given `arguments`."""
    workflow_id = message.id if attempt == 1 else f"{message.id}-again-{attempt}"
    return {**options(WEBHOOKS, SEND, workflow_id), "queue_partition_key": message.owner}


def arguments(message: Message, attempt: int) -> tuple[str | int, ...]:
    """Of the workflow that sends it. `then` came last: what an older release queued has none."""
    return message.owner, message.prediction_id, message.event, message.part, attempt, message.then


def _message(sending: WorkflowStatus) -> Message:
    """What a workflow sends, from its arguments."""
    assert sending.input is not None, sending.workflow_id
    owner, prediction_id, event, part, _attempt, *then = sending.input["args"]
    return Message(owner, prediction_id, event, part, *then)
