"""A stand-in for a Cog container: coglet's HTTP in a thread, whose predictions end, fail or break off as is wanted."""

import base64
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from serving_fixtures import RATE, tone

from models.audio.write import write_audio
from models.inputs import DialogueInputs
from serving.cog.backend import CogBackend, Patience
from serving.work.backend import MadeFile

Document = dict[str, Any]
Answer = tuple[int, Document]

INPUTS = DialogueInputs(text="[S1] Hello.", seed=7)
HASTY = Patience(silent=0.6, lost=0.8, told=0.0)  # for tests of patience alone: a busy machine takes as long
PIECES = 3  # tenths of a second that a prediction gives
METRICS = {"predict_time": 0.1, "tokens": 26, "seed": 7, "status": "end_of_sequence"}
LOGS = "seed: 7\n\r 50%|#####     | 00:01<00:01, 13 tokens, 0.2 s, 1.00 x real time\nended well\n"


def write_tone(path: Path, output_format: Any = "wav") -> bytes:
    write_audio(path, [tone(number) for number in range(PIECES)], RATE, output_format)
    return path.read_bytes()


def data_uri(content: bytes) -> str:
    return f"data:audio/x;base64,{base64.b64encode(content).decode()}"


def succeeded(output: Any) -> Document:
    return {"status": "succeeded", "output": output, "logs": LOGS, "metrics": METRICS}


class FakeCog:
    """Ends nothing while `gate` is closed; then answers what `answer` gives of the inputs."""

    def __init__(self, answer: Callable[[Document], Document]) -> None:
        self.answer = answer
        self.gate = threading.Event()
        self.gate.set()
        self.health = "READY"
        self.logs = "seed: 7\n"
        self.refuses = 0  # so many that are as if somebody else was quicker
        self.deaf = 0  # to so many cancels
        self.silent = False  # never answers, and knows nothing of what runs
        self.files: dict[str, bytes] = {}  # by path
        self.inputs: list[Document] = []
        self.began: list[str] = []
        self.cancelled: list[str] = []
        self.hung_up: list[str] = []
        self.refused = 0
        self.running: str | None = None
        self.port = 0
        self._server: _Server | None = None
        self._one_begins = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = _Server(self)
        self.port = self._server.server_address[1]
        serve = {"poll_interval": 0.01}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs=serve, daemon=True)
        self._thread.start()

    def die(self) -> None:
        """All connections break. It may be started again, at the same port."""
        if self._server is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server.cut()
            self._server = None

    def predict(self, name: str, inputs: Document, caller: socket.socket) -> Answer | None:
        """None: the caller is gone."""
        with self._one_begins:
            if self.refuses or self.running:
                self.refuses, self.refused = max(0, self.refuses - 1), self.refused + 1
                return 409, {"error": "At capacity - all prediction slots busy", "status": "failed"}
            self.running = name
        self.inputs.append(inputs)
        self.began.append(name)
        try:
            return self._end(name, inputs, caller)
        finally:
            self.running = None

    def _end(self, name: str, inputs: Document, caller: socket.socket) -> Answer | None:
        while self.silent or not self.gate.is_set():
            if name in self.cancelled:
                return 200, {"status": "canceled", "logs": "", "metrics": {}}
            if select.select([caller], [], [], 0.005)[0]:
                self.hung_up.append(name)
                return None
        return 200, self.answer(inputs)

    def cancel(self, name: str) -> Answer:
        if self.silent or self.running != name:
            return 404, {}
        if self.deaf:
            self.deaf -= 1
        else:
            self.cancelled.append(name)
        return 200, {}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeCog) -> None:
        self.fake = fake
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", fake.port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of callers that are gone."""

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def cut(self) -> None:
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path == "/health-check":
            busy = self.server.fake.running is not None and self.server.fake.health == "READY"
            self._answer(200, {"status": "BUSY" if busy else self.server.fake.health})
        else:
            self._send(200, self.server.fake.files[self.path])

    def do_PUT(self) -> None:
        fake, name = self.server.fake, self.path.rpartition("/")[2]
        inputs = json.loads(self._body())["input"]
        if fake.running == name and not fake.silent:
            self._answer(202, {"id": name, "status": "processing", "logs": fake.logs, "input": inputs})
        elif "text" not in inputs:
            missing = {"loc": ["body", "input", "text"], "msg": "Field required"}
            self._answer(422, {"detail": [missing]})
        elif (answer := fake.predict(name, inputs, self.connection)) is not None:
            self._answer(*answer)

    def do_POST(self) -> None:
        self._body()
        self._answer(*self.server.fake.cancel(self.path.split("/")[-2]))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, document: Document) -> None:
        self._send(document.pop("http", status), json.dumps(document).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Not to stderr."""


@dataclass
class Heard:
    """A listener that remembers."""

    logs: list[str] = field(default_factory=list)
    shares: list[tuple[float, float]] = field(default_factory=list)
    pcm: bytes = b""
    rates: set[int] = field(default_factory=set)
    on_progress: Callable[[], None] = lambda: None

    def log(self, line: str) -> None:
        self.logs.append(line)

    def progress(self, share: float, seconds: float) -> None:
        self.shares.append((share, seconds))
        self.on_progress()

    def audio(self, pcm: bytes, sample_rate: int) -> None:
        self.pcm += pcm
        self.rates.add(sample_rate)


@contextmanager
def fake_cogs(number: int, answer: Callable[[Document], Document]) -> Iterator[list[FakeCog]]:
    fakes = [FakeCog(answer) for _ in range(number)]
    try:
        for fake in fakes:
            fake.start()
        yield fakes
    finally:
        for fake in fakes:
            fake.gate.set()
            fake.die()


class Intake:
    """Backends' work in threads, each in a folder of its own."""

    def __init__(self, folder, cogs, patience: Patience | None = None) -> None:
        self.folder = folder
        self.backend = CogBackend([cog.url for cog in cogs], patience)
        self.pool = ThreadPoolExecutor()

    def make(self, name: str = "p1", inputs: DialogueInputs = INPUTS, heard: Heard | None = None) -> MadeFile:
        folder = self.folder / name
        folder.mkdir()
        return self.backend.make(name, inputs, folder, True, heard or Heard())

    def begin(self, name: str = "p1", heard: Heard | None = None) -> "Future[MadeFile]":
        return self.pool.submit(self.make, name, INPUTS, heard)


@contextmanager
def closed(*cogs):
    for cog in cogs:
        cog.gate.clear()
    yield
    for cog in cogs:
        cog.gate.set()
