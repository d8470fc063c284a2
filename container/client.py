"""HTTP calls to a Cog server on this machine. Knows the routes, starts no process, reads no schema."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

BUSY = 409  # every slot runs a prediction; a slot also takes about 2 ms to become free after its answer
RETRY_SECONDS = 0.005
POLL_SECONDS = 0.01
CANCEL_AGAIN_SECONDS = 1.0

Document = dict[str, Any]


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes

    def json(self) -> Document:
        document: Document = json.loads(self.body)
        return document

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


@dataclass(frozen=True)
class CogClient:
    """Each call opens its own connection, so that one thread can cancel what another one waits for."""

    port: int
    host: str = "127.0.0.1"

    def request(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Send `document` as JSON, or `body` as it is. Raises OSError if nobody answers within `timeout` seconds."""
        content = body if document is None else json.dumps(document).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, content, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return Response(answer.status, answer.read())
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {type(error).__name__}") from error
        finally:
            connection.close()

    def health(self, timeout: float = 5.0) -> Document:
        return self.request("GET", "/health-check", timeout=timeout).json()

    def predict(self, inputs: Any, prediction_id: str | None = None, *, patience: float = 10.0) -> Response:
        """Run a prediction and wait for its end; a busy server is asked again for `patience` seconds."""
        method, path = ("POST", "/predictions") if prediction_id is None else ("PUT", _path(prediction_id))
        return _patiently(lambda: self.request(method, path, {"input": inputs}), patience)

    def start(self, inputs: Any, prediction_id: str, *, patience: float = 10.0) -> Response:
        """Start a prediction and do not wait. Cog has no route to ask for it later; its end shows as READY.

        A busy server is asked again for `patience` seconds: the answer of a prediction comes before its place is free.
        """
        path, headers = _path(prediction_id), {"Prefer": "respond-async"}
        return _patiently(lambda: self.request("PUT", path, {"input": inputs}, headers=headers, timeout=30), patience)

    def cancel(self, prediction_id: str) -> Response:
        """Ask for a prediction to end: 200, or 404 if no such prediction runs."""
        return self.request("POST", f"{_path(prediction_id)}/cancel", timeout=30)

    def cancel_and_wait(self, prediction_id: str, timeout: float) -> bool:
        """Cancel, and return whether the server is READY within `timeout` seconds.

        coglet 0.23.1 answers 200 but can lose a cancel that comes before the predictor has begun (1 of 25 at once after
        the start); so it is said again, seldom enough for the predictor to clean up undisturbed.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.cancel(prediction_id)
            if self.wait_until_ready(min(CANCEL_AGAIN_SECONDS, deadline - time.monotonic())):
                return True
        return False

    def wait_until_ready(self, timeout: float) -> bool:
        """Whether the server can take a prediction within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (is_ready := self.health()["status"] == "READY") is False and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return is_ready


def _patiently(ask: Callable[[], Response], seconds: float) -> Response:
    """The first answer that is not BUSY, or the last one within `seconds`."""
    deadline = time.monotonic() + seconds
    while (response := ask()).status == BUSY and time.monotonic() < deadline:
        time.sleep(RETRY_SECONDS)
    return response


def _path(prediction_id: str) -> str:
    return f"/predictions/{prediction_id}"
