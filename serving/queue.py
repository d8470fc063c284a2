"""The durable queue: predictions and webhooks as DBOS workflows. Knows what to call, not how audio is made.

A prediction is one workflow whose id is the prediction's: work → announce. The first step begins anew after a crash,
and what it changes is guarded by the record's state, so it may begin as often as it likes. A webhook is a workflow of
its own with an id made of what it tells, so no crash makes it twice; it is sent again until it is taken, with the same
message id (at least once, never silently lost).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfiguredInstance

from serving.webhooks import DeliveryFailed

APPLICATION = "parley"
APPLICATION_VERSION = "1"  # of the workflows: what an older release left unfinished is finished by this one
PREDICTIONS, WEBHOOKS = "predictions", "webhooks"
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
        self._enqueue(PREDICTIONS, "predict", prediction_id, prediction_id)

    def send(self, message: Message, body: str) -> None:
        self._enqueue(WEBHOOKS, "send", message.id, message.prediction_id, message.id, body)

    def unfinished(self) -> dict[str, str]:
        """Workflows of predictions that wait or run → the executors that have them."""
        found = self.client.list_workflows(
            status=["ENQUEUED", "PENDING"], name="predict", load_input=False, load_output=False
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
                "class_name": "Work",
                "instance_name": "work",
                "app_version": APPLICATION_VERSION,
            },
            *arguments,
        )

    def close(self) -> None:
        self.client.destroy()


@DBOS.dbos_class()
class Work(DBOSConfiguredInstance):
    """The side that works. One per process, registered before DBOS is launched."""

    def __init__(
        self, work: Callable[[str], None], announce: Callable[[str], None], deliver: Callable[[str, str, str], None]
    ) -> None:
        """work: brings a prediction to its end. announce: queues the webhook that tells of it. deliver: sends one."""
        super().__init__("work")
        self._work, self._announce, self._deliver = work, announce, deliver

    @DBOS.workflow(name="predict", max_recovery_attempts=_ANY_NUMBER)
    def predict(self, prediction_id: str) -> None:
        self.generate(prediction_id)
        self.announce(prediction_id)

    @DBOS.step(name="generate")
    def generate(self, prediction_id: str) -> None:
        self._work(prediction_id)

    @DBOS.step(name="announce")
    def announce(self, prediction_id: str) -> None:
        self._announce(prediction_id)

    @DBOS.workflow(name="send", max_recovery_attempts=_ANY_NUMBER)
    def send(self, prediction_id: str, message_id: str, body: str) -> None:
        self.post(prediction_id, message_id, body)

    @DBOS.step(
        name="post",
        retries_allowed=True,
        interval_seconds=DELIVERY_SECONDS,
        backoff_rate=DELIVERY_BACKOFF,
        max_attempts=DELIVERY_ATTEMPTS,
        should_retry=lambda error: not isinstance(error, DeliveryFailed) or error.retry,
    )
    def post(self, prediction_id: str, message_id: str, body: str) -> None:
        self._deliver(prediction_id, message_id, body)


def launch(database_url: str, executor: str, predictions_at_once: int) -> None:
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
