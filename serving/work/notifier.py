"""Webhooks of predictions: which events are told, when, and what they say. Knows no queue's insides."""

import json
import threading
import time

import httpx

from serving.prediction_json import PredictionJson
from serving.storage.records import Prediction, Records, Status
from serving.work.queue import Message, Queue
from serving.work.webhooks import Throttle, post_webhook, secret_of, signed_headers

ENDS = ("output", "completed")  # told by `notify_end`, which a crash cannot skip


class Notifier:
    def __init__(
        self, records: Records, json_of: PredictionJson, queue: Queue, secret: str, client: httpx.Client
    ) -> None:
        self._records, self._json_of, self._queue = records, json_of, queue
        self._secret, self._client = secret, client
        self._throttles: dict[str, Throttle] = {}
        self._lock = threading.Lock()

    def notify(self, now: Prediction, event: str) -> None:
        """start: once, however often it is begun; logs: at most every 500 ms. The end is `notify_end`'s."""
        if now.webhook is None or event not in now.webhook_events:
            return
        if event == "start":
            self._send(now, Message(now.id, event))
        elif (number := self._next(now.id)) is not None:  # an attempt that begins anew tells its logs anew
            self._send(now, Message(now.id, event, f"{now.attempt}-{number}"))

    def notify_end(self, prediction_id: str) -> None:
        """The end, if it has come. Called again after a crash it queues nothing new: messages have the same ids."""
        with self._lock:
            self._throttles.pop(prediction_id, None)
        now = self._records.get(prediction_id)
        if now is None or now.webhook is None or not now.status.final:
            return
        for event in ENDS:
            if event in now.webhook_events and (event == "completed" or now.status is Status.SUCCEEDED):
                self._send(now, Message(now.id, event))

    def deliver(self, prediction_id: str, message_id: str, body: str) -> None:
        """Deliver one message. Raises DeliveryFailed."""
        now = self._records.get(prediction_id)
        if now is None or now.webhook is None:
            return
        content = body.encode()
        secret = secret_of(self._secret, now.owner)
        headers = signed_headers(secret, message_id, int(time.time()), content)
        post_webhook(self._client, now.webhook, content, {**headers, "content-type": "application/json"})

    def _next(self, prediction_id: str) -> int | None:
        """The number of the message that may be sent now, if any."""
        with self._lock:
            throttle = self._throttles.setdefault(prediction_id, Throttle())
            return throttle.next(time.monotonic())

    def _send(self, now: Prediction, message: Message) -> None:
        self._queue.send(message, json.dumps(self._json_of.show(now)))
