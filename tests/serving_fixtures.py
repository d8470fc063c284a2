"""A whole service for tests: a backend that sounds a tone without any model, and a server on a free port."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

import httpx
import numpy as np
import uvicorn
from starlette.testclient import TestClient

from models.audio.encode import CONTENT_TYPES
from models.audio.pcm import pcm16_bytes
from models.audio.write import write_audio
from models.errors import Cancelled, InvalidRequest
from models.inputs import DialogueInputs
from serving.access import Keys
from serving.catalog import DIA
from serving.intake import Lacks
from serving.processes import SOCKETS, certificate_of
from serving.service import Service
from serving.settings import Settings
from serving.web.app import create_app
from serving.work import workflows
from serving.work.backend import Backends, Listener, MadeFile

RATE = 8000  # Hz
PIECE = 800  # samples: a tenth of a second
ALICE, BOB = "alice-token-of-20-letters", "bob-token-of-20-letters-"
TOKENS = f"alice:{ALICE},bob:{BOB}"
CREATE = "/v1/models/parley/dia/predictions"
AUTH = MappingProxyType({"Authorization": f"Bearer {ALICE}"})  # clients that write into it would change it for all


@dataclass
class ToneBackend:
    """A tenth of a second of tone for each letter of the text, `pause` seconds apart; "!" in the text makes it fail."""

    pause: float = 0.0
    gate: threading.Event | None = None  # if given, each piece waits for it
    made: list[str] = field(default_factory=list)  # ids of predictions, as often as they were begun
    cancelled: set[str] = field(default_factory=set)

    def cancel(self, attempt_id: str) -> None:
        self.cancelled.add(prediction_of(attempt_id))

    def make(
        self, attempt_id: str, inputs: DialogueInputs, folder: Path, streaming: bool, listener: Listener
    ) -> MadeFile:
        prediction_id = prediction_of(attempt_id)
        self.made.append(prediction_id)
        if "!" in inputs.text:
            raise InvalidRequest("text", "holds an exclamation mark. Leave it out.")
        listener.log(f"seed: {inputs.seed}")
        pieces = list(self._pieces(prediction_id, inputs, listener))
        path = folder / f"output.{inputs.output_format}"
        write_audio(path, pieces, RATE, inputs.output_format)
        seconds = len(pieces) * PIECE / RATE
        metrics = {"audio_seconds": seconds, "sample_rate": RATE, "seed": inputs.seed}
        return MadeFile(path, path.name, CONTENT_TYPES[inputs.output_format], metrics)

    def _pieces(self, prediction_id: str, inputs: DialogueInputs, listener: Listener) -> Iterator[np.ndarray]:
        for number in range(len(inputs.text)):
            self._wait(prediction_id)
            piece = tone(number)
            listener.audio(pcm16_bytes(piece), RATE)
            listener.progress((number + 1) / len(inputs.text), (number + 1) * PIECE / RATE)
            yield piece

    def _wait(self, prediction_id: str) -> None:
        end = time.monotonic() + self.pause
        while time.monotonic() < end or (self.gate is not None and not self.gate.is_set()):
            if prediction_id in self.cancelled:
                raise Cancelled(prediction_id)
            time.sleep(0.005)


def prediction_of(attempt_id: str) -> str:
    return attempt_id.rpartition("-")[0]


def tone(number: int) -> np.ndarray:
    """[1, PIECE], the same for the same number."""
    times = np.arange(number * PIECE, (number + 1) * PIECE) / RATE
    return 0.5 * np.sin(2 * np.pi * 440 * times, dtype=np.float32)[None].astype(np.float32)


@dataclass
class Running:
    """A service that answers at `url`."""

    url: str
    service: Service
    backend: ToneBackend

    def client(self, token: str = ALICE, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30, **options)

    @contextmanager
    def closed(self) -> Iterator[threading.Event]:
        """The backend's gate is closed: nothing is finished in here, unless it is opened; all is over afterwards."""
        gate = self.backend.gate
        assert gate is not None
        gate.clear()
        try:
            yield gate
        finally:
            gate.set()
            wait_for(lambda: not self.service.records.active())


def open_gate() -> threading.Event:
    gate = threading.Event()
    gate.set()
    return gate


@contextmanager
def running(
    folder: Path, backend: ToneBackend | None = None, others: Backends | None = None, **settings: Any
) -> Iterator[Running]:
    """The whole service in this process: HTTP in one thread, the worker in others. others: beside Dia's backend."""
    backend = backend or ToneBackend()
    given = Settings(**{"data": folder, "tokens": TOKENS, "allow_private": True, "grace_seconds": 5.0, **settings})
    keys = Keys.of(given.tokens, given.tokens_file, given.no_auth)
    certificate = certificate_of(given)
    tls = {"ssl_certfile": certificate.certfile, "ssl_keyfile": certificate.keyfile} if certificate else {}
    config = uvicorn.Config("", host="127.0.0.1", port=0, log_config=None, access_log=False, **tls, **SOCKETS)
    listening = config.bind_socket()
    url = given.base_url(listening.getsockname()[1])
    with Service(given, url) as service:
        config.app = create_app(service, keys)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        with _beside_others():
            working = service.start_work(lambda: {DIA.full_name: backend, **(others or {})})
            wait_for(lambda: server.started and (working.launched or working.error is not None))
        assert working.error is None, working.error
        try:
            yield Running(url, service, backend)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _beside_others() -> Iterator[None]:
    """DBOS is one for a process: a second service of it answers and speaks, and shares the queue of the first."""
    if any(thread.name.startswith("queue-worker-") for thread in threading.enumerate()):
        with mock.patch.object(workflows.DBOS, "listen_queues"):
            yield
    else:
        yield


@contextmanager
def served(
    folder: Path, base_url: str = "http://127.0.0.1", lacks: Lacks = lambda checkpoint: False, **settings: Any
) -> Iterator[TestClient]:
    """HTTP alone: nobody works for it. Nothing is listened on."""
    given = Settings(**{"data": folder, "tokens": TOKENS, **settings})
    with Service(given, base_url, lacks) as service:
        app = create_app(service, Keys.of(given.tokens, given.tokens_file, given.no_auth))
        with TestClient(app, base_url, raise_server_exceptions=False) as client:
            yield client


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What the condition gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)
    return value
