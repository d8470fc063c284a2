"""The durable queue: predictions and webhooks as DBOS workflows. Knows what to call, not how audio is made.

A prediction is one workflow whose id is the prediction's: work → announce. The first step begins anew after a crash,
and what it changes is guarded by the record's state, so it may begin as often as it likes. A webhook is a workflow of
its own with an id made of what it tells, so no crash makes it twice; it is sent again until it is taken, with the same
message id (at least once, never silently lost).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbos import DBOS, DBOSClient

from serving.webhooks import DeliveryFailed

APPLICATION = "parley"
APPLICATION_VERSION = "1"  # of the workflows: what an older release left unfinished is finished by this one
PREDICTIONS, WEBHOOKS = "predictions", "webhooks"  # queues
PREDICT, SEND = "predict", "send"  # workflows
WEBHOOKS_AT_ONCE = 16
POLL_SECONDS = 0.1
DELIVERY_ATTEMPTS, DELIVERY_SECONDS, DELIVERY_BACKOFF = 8, 2.0, 2.5  # about half an hour in all
_ANY_NUMBER = 1000  # of recoveries: the record itself counts attempts


@dataclass(frozen=True)
class Message:
    """What a webhook is told."""

    prediction_id: str
    event: str
    number: int  # of its event: 0 for start and completed

    @property
    def id(self) -> str:
        return f"{self.prediction_id}-{self.event}-{self.number}"


class Queue:
    """The side that hands in. One per process, worker or not."""

    def __init__(self, database_url: str) -> None:
        self.client = DBOSClient(system_database_url=database_url, application_name=APPLICATION)

    def predict(self, prediction_id: str) -> None:
        """Queue it, once, however often it is called."""
        self._enqueue(PREDICTIONS, PREDICT, prediction_id, prediction_id)

    def send(self, message: Message, body: str) -> None:
        self._enqueue(WEBHOOKS, SEND, message.id, message.prediction_id, message.id, body)

    def unfinished(self) -> dict[str, str]:
        """Workflows of predictions that wait or run → the executors that have them."""
        found = self.client.list_workflows(
            status=["ENQUEUED", "PENDING"], name=PREDICT, load_input=False, load_output=False
        )
        return {w.workflow_id: w.executor_id if w.status == "PENDING" and w.executor_id else "" for w in found}

    def running_on(self, executor: str) -> list[tuple[str, str]]:
        """(workflow, its queue) of those that this executor has begun."""
        found = self.client.list_workflows(status="PENDING", executor_id=executor, load_input=False, load_output=False)
        return [(w.workflow_id, w.queue_name or PREDICTIONS) for w in found]

    def hand_back(self, workflow_id: str, queue_name: str) -> None:
        """Let another executor begin it anew: whoever had it is gone."""
        self.client.resume_workflow(workflow_id, queue_name=queue_name)

    def forget(self, workflow_ids: list[str]) -> None:
        if workflow_ids:
            self.client.delete_workflows(workflow_ids)

    def _enqueue(self, queue: str, workflow: str, workflow_id: str, *arguments: Any) -> None:
        self.client.enqueue(
            {
                "queue_name": queue,
                "workflow_name": workflow,
                "workflow_id": workflow_id,
                "app_version": APPLICATION_VERSION,
            },
            *arguments,
        )

    def close(self) -> None:
        self.client.destroy()


@dataclass(frozen=True)
class Work:
    """What the workflows do."""

    predict: Callable[[str], None]  # brings a prediction to its end
    announce: Callable[[str], None]  # queues the webhooks that tell of it
    post: Callable[[str, str, str], None]  # prediction, message, body: sends one


def _register(work: Work) -> None:
    """The workflows, by the names under which they are queued."""

    @DBOS.step(name="generate")
    def generate(prediction_id: str) -> None:
        work.predict(prediction_id)

    @DBOS.step(name="announce")
    def announce(prediction_id: str) -> None:
        work.announce(prediction_id)

    @DBOS.step(
        name="post",
        retries_allowed=True,
        interval_seconds=DELIVERY_SECONDS,
        backoff_rate=DELIVERY_BACKOFF,
        max_attempts=DELIVERY_ATTEMPTS,
        should_retry=lambda error: not isinstance(error, DeliveryFailed) or error.retry,
    )
    def post(prediction_id: str, message_id: str, body: str) -> None:
        work.post(prediction_id, message_id, body)

    @DBOS.workflow(name=PREDICT, max_recovery_attempts=_ANY_NUMBER)
    def predict(prediction_id: str) -> None:
        generate(prediction_id)
        announce(prediction_id)

    @DBOS.workflow(name=SEND, max_recovery_attempts=_ANY_NUMBER)
    def send(prediction_id: str, message_id: str, body: str) -> None:
        post(prediction_id, message_id, body)


def stop(grace_seconds: float) -> None:
    """Begin nothing more; what runs may take this long, then it is left to be begun anew."""
    DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=math.ceil(grace_seconds))


def launch(database_url: str, executor: str, work: Work, predictions_at_once: int) -> None:
    """Start to work on the queues, what this executor had begun before it was killed included."""
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": database_url,
            "application_version": APPLICATION_VERSION,
            "executor_id": executor,
            "log_level": "WARNING",
        }
    )
    _register(work)
    DBOS.launch()
    DBOS.register_queue(
        PREDICTIONS,
        worker_concurrency=predictions_at_once,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
    DBOS.register_queue(
        WEBHOOKS, worker_concurrency=WEBHOOKS_AT_ONCE, polling_interval_sec=POLL_SECONDS, on_conflict="always_update"
    )
