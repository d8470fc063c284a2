"""A server that answers as the hosted API does, for tests of the page. Speaks a tone, slowly; knows no model.

PIECE seconds of audio come every PACE seconds, until a prediction has its `pieces`, or the `limit` that a test sets to
hold it for as long as it looks: at 0 it waits in the queue.
"""

import asyncio
import io
import re
import socket
import threading
import time
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

PAGE = Path(__file__).parent.parent / "serving" / "page"
CSP = "default-src 'self'; media-src 'self' blob:; connect-src 'self'; img-src 'self' data:"
SAMPLE_RATE = 16_000  # Hz; not the rate of Dia's codec, so that the page has to read the header
PIECE = 0.2  # s of audio
PACE = 0.1  # s between pieces
FORMATS = ("wav", "mp3", "flac", "ogg", "opus")
PER_PAGE = 3
SCRIPT = "[S1] Hello there. (laughs) [S2] Hi! (in a whisper)"
BROKEN = "ERR_CONTENT_LENGTH_MISMATCH"  # what Chromium says of a stream that breaks off
FAILS = "audio_prompt_text: is missing: write down what the recording says."

INPUT: dict[str, Any] = {
    "text": {"type": "string", "description": "Dialogue to speak.", "x-order": 0},
    "audio_prompt": {"type": "string", "format": "uri", "nullable": True, "description": "A voice.", "x-order": 1},
    "audio_prompt_text": {"type": "string", "nullable": True, "description": "Its words.", "x-order": 2},
    "max_audio_prompt_seconds": {"type": "integer", "minimum": 1, "maximum": 120, "default": 10, "x-order": 3},
    # No range or default of the real model, so that a page that knows those fails.
    "cfg_scale": {
        "type": "number",
        "minimum": 1.5,
        "maximum": 7,
        "default": 4.2,
        "description": "Guide.",
        "x-order": 4,
    },
    "cfg_filter_top_k": {"type": "integer", "minimum": 11, "maximum": 99, "default": 33, "x-order": 5},
    "seed": {"type": "integer", "minimum": 0, "maximum": 4294967295, "nullable": True, "x-order": 6},
    "output_format": {"allOf": [{"$ref": "#/components/schemas/output_format"}], "default": "wav", "x-order": 7},
}
SCHEMAS = {"Input": {"properties": INPUT, "required": ["text"]}, "output_format": {"enum": list(FORMATS)}}


@dataclass
class Take:
    """One prediction of the fake."""

    serving: "FakeServing"
    id: str
    input: dict[str, Any]
    pieces: int
    began: float = field(default_factory=time.monotonic)
    canceled_at: int | None = None  # pieces

    @property
    def made(self) -> int:
        """Pieces so far."""
        if self.canceled_at is not None:
            return self.canceled_at
        made = min(self.pieces, int((time.monotonic() - self.began) / PACE))
        return made if self.serving.limit is None else min(made, self.serving.limit)

    @property
    def status(self) -> str:
        if self.canceled_at is not None:
            return "canceled"
        if self.made == 0:
            return "starting"
        if "fail" in self.input["text"]:
            return "failed"
        return "succeeded" if self.made == self.pieces else "processing"

    @property
    def over(self) -> bool:
        return self.status not in ("starting", "processing")

    def json(self) -> dict[str, Any]:
        metrics: dict[str, Any] = {"progress": self.made / self.pieces, "audio_seconds": self.made * PIECE}
        if self.status == "starting":
            metrics["queue_position"] = 2
        if self.status == "succeeded":
            metrics |= {"predict_time": self.pieces * PACE, "seed": 42}
        return {
            "id": self.id,
            "status": self.status,
            "input": self.input,
            "output": f"/v1/predictions/{self.id}/audio" if self.status == "succeeded" else None,
            "error": FAILS if self.status == "failed" else None,
            "logs": "seed: 42\nnote: the text was spoken as it stands\n" if self.made else "",
            "metrics": metrics,
            "created_at": f"2026-01-01T00:00:{int(self.id[1:]):02d}Z",
        }


def tone(piece: int) -> bytes:
    """One piece of a tone of 220 Hz that swells and fades, 16-bit little-endian."""
    count = int(PIECE * SAMPLE_RATE)
    seconds = np.arange(piece * count, (piece + 1) * count) / SAMPLE_RATE
    loudness = 0.1 + 0.5 * np.abs(np.sin(np.pi * seconds))
    return (32767 * loudness * np.sin(2 * np.pi * 220 * seconds)).astype("<i2").tobytes()


def wav(pcm: bytes) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)
    return buffer.getvalue()


class FakeServing:
    """State of the fake: tests say how it answers, and read what it was asked for."""

    def __init__(self) -> None:
        self.token: str | None = None
        self.pieces = 3  # of the next predictions
        self.limit: int | None = None  # pieces that no prediction goes beyond for now
        self.busy = 0  # so many creations are answered with 429
        self.breaks = 0  # so many streams of audio break off in the middle
        self.takes: list[Take] = []
        self.files: list[bytes] = []
        self.url = ""

    def take(self, text: str = "[S1] Hello. [S2] Hi!", pieces: int = 50, ago: float = 100.0) -> Take:
        """A prediction of some seconds ago."""
        made = Take(self, f"p{len(self.takes) + 1}", {"text": text}, pieces, time.monotonic() - ago)
        self.takes.append(made)
        return made

    def find(self, prediction: str) -> Take:
        return next(take for take in self.takes if take.id == prediction)


def problem(status: int, title: str, **more: Any) -> JSONResponse:
    body = {"title": title, "detail": title, "status": status, **more}
    headers = {"Retry-After": "1"} if status == 429 else {}
    return JSONResponse(body, status, headers, "application/problem+json")


def mistakes(given: dict[str, Any]) -> list[dict[str, str]]:
    """Numbers beyond the limits of INPUT, and a text without words."""
    found = [] if given.get("text", "").strip() else [{"field": "text", "description": "is empty; write a word."}]
    for name, limits in INPUT.items():
        value = given.get(name)
        if "minimum" in limits and value is not None and not limits["minimum"] <= value <= limits["maximum"]:
            between = f"must lie between {limits['minimum']} and {limits['maximum']}"
            found.append({"field": f"input.{name}", "description": f"is {value}; it {between}."})
    return found


def fake_app(state: FakeServing) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def guarded(request: Request, answer: Any) -> Response:
        path = request.url.path
        is_open = not path.startswith("/v1/") or path.endswith("/download")
        if state.token and not is_open and request.headers.get("Authorization") != f"Bearer {state.token}":
            return problem(401, "Unauthenticated")
        response: Response = await answer(request)
        response.headers["Content-Security-Policy"] = CSP
        return response

    @app.get("/v1/models/parley/dia")
    async def model() -> dict[str, Any]:
        version = {"id": "v1", "openapi_schema": {"components": {"schemas": SCHEMAS}}}
        return {"owner": "parley", "name": "dia", "latest_version": version}

    @app.post("/v1/files", status_code=201)
    async def upload(request: Request) -> dict[str, Any]:
        async with request.form() as form:
            content = form["content"]
            assert not isinstance(content, str)
            state.files.append(await content.read())
        number = len(state.files) - 1
        url = f"{state.url}/v1/files/{number}/download?signature=abc"
        return {"id": str(number), "name": content.filename, "size": len(state.files[-1]), "urls": {"get": url}}

    @app.get("/v1/files/{number}/download")
    async def download(number: int) -> Response:
        return Response(state.files[number], media_type="audio/wav")

    @app.post("/v1/models/parley/dia/predictions", status_code=201)
    async def create(request: Request) -> Any:
        body = await request.json()
        if state.busy:
            state.busy -= 1
            return problem(429, "Request was throttled.")
        if invalid := mistakes(body["input"]):
            return problem(422, "Input validation failed", invalid_fields=invalid)
        assert body["stream"] is True, body
        made = state.take(pieces=state.pieces, ago=0.0)
        made.input = body["input"]
        return made.json()

    @app.get("/v1/predictions/{prediction}")
    async def get(prediction: str) -> dict[str, Any]:
        return state.find(prediction).json()

    @app.post("/v1/predictions/{prediction}/cancel")
    async def cancel(prediction: str) -> dict[str, Any]:
        take = state.find(prediction)
        take.canceled_at = take.made
        return take.json()

    @app.get("/v1/predictions")
    async def page(cursor: int = 0) -> dict[str, Any]:
        newest = state.takes[::-1]
        more = cursor + PER_PAGE < len(newest)
        following = f"https://elsewhere.example/v1/predictions?cursor={cursor + PER_PAGE}" if more else None
        results = [take.json() for take in newest[cursor : cursor + PER_PAGE]]
        return {"results": results, "next": following, "previous": None}

    @app.get("/v1/predictions/{prediction}/audio")
    async def audio(prediction: str, format: str) -> Response:
        take = state.find(prediction)
        if format == "wav":
            return Response(wav(b"".join(map(tone, range(take.made)))), media_type="audio/wav")
        if take.status == "failed":
            return problem(404, "There is no audio.")
        headers = {"X-Sample-Rate": str(SAMPLE_RATE)}
        if not state.breaks:
            return StreamingResponse(spoken(take), headers=headers)
        state.breaks -= 1
        promised = {"Content-Length": "1000000"} if state.breaks else {}  # a promise that is broken, and a tidy end
        return StreamingResponse(broken(spoken(take)), headers=headers | promised)

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


async def spoken(take: Take) -> AsyncIterator[bytes]:
    """The audio as it is made, cut in the middle of a sample, as a network may."""
    sent = 0
    while True:
        over, made = take.over, take.made  # in this order: what is over has been made
        for piece in range(sent, made):
            pcm = tone(piece)
            yield pcm[:1001]
            yield pcm[1001:]
        sent = made
        if over:
            return
        await asyncio.sleep(PACE / 4)


async def broken(pcm: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Its first pieces only."""
    for _ in range(7):
        yield await anext(pcm)


@contextmanager
def running(state: FakeServing) -> Iterator[str]:
    """Serve it on a free port of this machine → its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    state.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(fake_app(state), log_level="critical", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield state.url
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listening.close()
        assert not thread.is_alive(), "the fake server did not stop"


def generate(page: Any, text: str = SCRIPT) -> None:
    page.fill("#text", text)
    page.get_by_role("button", name="Generate").click()


def result(page: Any, **data: str) -> Any:
    """The result, in that state."""
    return page.locator("#result" + "".join(f"[data-{name}={value}]" for name, value in data.items()))


def luminance(page: Any, selector: str, what: str) -> float:
    """Relative luminance of a computed colour, 0-1: WCAG 2.2's definition."""
    colour = page.locator(selector).first.evaluate(f"node => getComputedStyle(node).{what}")
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
