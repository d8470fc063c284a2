"""Webhooks of predictions: which events are told, when, and what they say. Knows no queue's insides.

A message says how its prediction stands when it is delivered, so that one which comes late tells nothing that is over.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import httpx

from serving.prediction_json import PredictionJson
from serving.storage.prediction import Prediction, Status
from serving.storage.records import Records
from serving.work.queue import Message, Queue
from serving.work.webhooks import INTERVAL_SECONDS, post_webhook, secret_of, signed_headers

DIGEST_DIGITS = 16  # hexadecimal, of logs: two of one prediction's that differ never have the same


class Notifier:
    def __init__(
        self, records: Records, json_of: PredictionJson, queue: Queue, secret: str, client: httpx.Client,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """clock: in seconds; it does not go back."""
        self._records, self._json_of, self._queue = records, json_of, queue
        self._secret, self._client, self._clock = secret, client, clock
        self._told_at: dict[str, float] = {}  # of the logs of a prediction
        self._lock = threading.Lock()

    def notify(self, now: Prediction, event: str) -> bool:
        """start: once, however often it is begun; logs: at most every 500 ms. False: nobody asked, or it is too soon.

        The end, and all logs with it, is `notify_end`'s.
        """
        if now.webhook is None or event not in now.webhook_events or (event == "logs" and self._is_too_soon(now.id)):
            return False
        self._queue.send(_message(now, event))
        return True

    def notify_end(self, prediction_id: str) -> None:
        """The end, if it has come. Called again after a crash it queues nothing new: messages have the same ids.

        Who asked for output and completed is told of the one, and then of the other.
        """
        now = self._records.get(prediction_id)
        if now is None or not now.unannounced or not now.status.final:
            return
        if now.logs and "logs" in now.webhook_events:
            self._queue.send(_message(now, "logs"))
        come = ["output", "completed"] if now.status is Status.SUCCEEDED else ["completed"]
        if wanted := [event for event in come if event in now.webhook_events]:
            first, *then = wanted
            self._queue.send(replace(_message(now, first), then="".join(then)))
        self._records.announced(prediction_id)

    def announce_ended(self) -> None:
        """Those that ended without a worker, and those whose worker did not come so far."""
        for prediction_id in self._records.unannounced():
            self.notify_end(prediction_id)

    def deliver(self, message: Message) -> None:
        """Deliver one message. Raises DeliveryFailed."""
        now = self._records.get(message.prediction_id)
        if now is None or now.webhook is None:
            return
        content = json.dumps(self._json_of.show(now)).encode()
        headers = signed_headers(secret_of(self._secret, now.owner), message.id, int(time.time()), content)
        post_webhook(self._client, now.webhook, content, headers)

    def _is_too_soon(self, prediction_id: str) -> bool:
        """Whether its logs were told a moment ago; if not, they are told now."""
        now = self._clock()
        with self._lock:
            self._told_at = {name: at for name, at in self._told_at.items() if now - at < INTERVAL_SECONDS}
            is_too_soon = prediction_id in self._told_at
            self._told_at.setdefault(prediction_id, now)
        return is_too_soon


def _message(now: Prediction, event: str) -> Message:
    """The same one for the same thing. Logs are told anew by an attempt that begins anew, and when they say more."""
    if event != "logs":
        return Message(now.owner, now.id, event)
    digest = hashlib.sha256(now.logs.encode()).hexdigest()[:DIGEST_DIGITS]
    return Message(now.owner, now.id, event, f"{now.attempt}-{digest}")
