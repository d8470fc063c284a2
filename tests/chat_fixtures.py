"""A stand-in for a chat server, over real HTTP: it streams what it is told, waits where it is told to, and breaks."""

import json
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
EVENT_STREAM = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
BREAK = b""  # among pieces: the connection ends here, in the middle of the answer
PATIENCE = 20  # seconds


def event(finish: str | None = None, usage: Json | None = None, **delta: Any) -> bytes:
    """One chunk of a completion."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}] if delta or finish else []
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": choices}
    return f"data: {json.dumps(chunk | {'usage': usage})}\n\n".encode()


def call(number: int, arguments: str, name: str | None = None, call_id: str | None = None) -> bytes:
    """A piece of a call; its first has the name and the id."""
    function = {"arguments": arguments} | ({"name": name} if name else {})
    told = {"index": number, "function": function} | ({"id": call_id, "type": "function"} if call_id else {})
    return event(tool_calls=[told])


def written(*texts: str, finish: str = "stop") -> list[bytes | threading.Event]:
    """A whole answer in so many pieces."""
    usage = {"prompt_tokens": 21, "completion_tokens": 7, "total_tokens": 28}
    return [event(role="assistant", content=""), *(event(content=text) for text in texts), event(finish),
            event(usage=usage), DONE]  # fmt: skip


@dataclass
class ChatStandIn:
    """What it answers: bytes, sent at once; an Event is waited for. asked: bodies of requests; keys: of each."""

    url: str = ""
    status: int = 200
    headers: Json = field(default_factory=dict)
    answer: Sequence[bytes | threading.Event] = field(default_factory=lambda: written("Hello."))
    content_type: str = EVENT_STREAM
    asked: list[Json] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)  # whoever asked has gone before the end

    def forget(self) -> None:
        """It is as at its beginning."""
        fresh = ChatStandIn(self.url)
        self.__dict__.update(fresh.__dict__)

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        assert request.path == "/v1/chat/completions", request.path
        self.asked.append(json.loads(request.rfile.read(int(request.headers["Content-Length"]))))
        self.keys.append(request.headers["Authorization"])
        if self.status:
            request.send_response(self.status)
            sent = {"Content-Type": self.content_type, "Transfer-Encoding": "chunked", **self.headers}
            for name, value in sent.items():
                request.send_header(name, value)
            request.end_headers()
        for piece in self.answer:
            if isinstance(piece, threading.Event):
                if not self._waits(piece, request):
                    self.hung_up.set()
                    return
            elif piece == BREAK:
                request.close_connection = True
                return
            else:
                request.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        request.wfile.write(b"0\r\n\r\n")

    def _waits(self, gate: threading.Event, request: BaseHTTPRequestHandler) -> bool:
        """Until it is set; False as soon as the other side hangs up."""
        for _ in range(PATIENCE * 100):
            if gate.is_set():
                return True
            readable, _, _ = select.select([request.connection], [], [], 0.01)
            if readable and not request.connection.recv(1):
                return False
        raise AssertionError("nobody opened the gate")


@contextmanager
def chat_stand_in() -> Iterator[ChatStandIn]:
    stand_in = ChatStandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            stand_in.serve(self)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
