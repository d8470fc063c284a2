"""A web server on localhost whose answers are functions, and a resolver that says what a test wants it to say."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = Callable[[BaseHTTPRequestHandler], None]
REAL_GETADDRINFO = socket.getaddrinfo


@dataclass
class Asked:
    method: str
    target: str  # path and query
    headers: dict[str, str]  # small names
    body: bytes


@dataclass
class StandInServer:
    """answers: by path, without the query. asked: every request, in order. stopped: set when the test is over."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: StandInServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.state.asked.append(Asked(self.command, self.path, headers, body))
        self.state.answers[self.path.partition("?")[0]](self)

    do_POST = do_GET


@contextlib.contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[StandInServer]:
    state = StandInServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        state.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


def reply(body: bytes = b"", status: int = 200, **headers: str) -> Answer:
    """Headers are named with _ for -. The length is told unless a header tells another, or is empty: then it is not."""
    sent = {"content-length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in sent.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return answer


def drip(start: bytes, piece: bytes, state: StandInServer) -> Answer:
    """`start`, then `piece` every 20 ms for as long as the test lasts."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        while not state.stopped.wait(0.02):
            handler.wfile.write(piece)
        handler.close_connection = True

    return answer


@dataclass
class StandInNetwork:
    """What names resolve to, look-up by look-up (the last one stays; [] is no such name), and what was connected."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)


def stand_in_network(monkeypatch: pytest.MonkeyPatch, everywhere: int | None = None) -> StandInNetwork:
    """Names of `names` resolve as told. everywhere: a port of 127.0.0.1 that answers in the place of any address."""
    network = StandInNetwork()
    connect = socket.create_connection

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host not in network.names:
            return REAL_GETADDRINFO(host, port, *args, **options)
        network.looked_up.append(host)
        answers = network.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [found for address in addresses for found in REAL_GETADDRINFO(address, port, *args, **options)]

    def create_connection(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        network.connected.append(address[0])
        return connect(address if everywhere is None else ("127.0.0.1", everywhere), *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "create_connection", create_connection)
    return network
