"""A server that answers as the hosted API does, for tests of the page. Knows no model; its takes speak a tone."""

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from serving_page_take_fixtures import ENDED_BADLY, SAMPLE_RATE, BrokenOff, Take, cut, joined, spoken, tone, wav
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.web.middleware import SAFE_HEADERS
from serving.web.problems import Problem, problem_json

PAGE = Path(__file__).parent.parent / "serving" / "page"
FORMATS = ("wav", "mp3", "flac", "ogg", "opus")
PER_PAGE = 3

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
MUSIC: dict[str, Any] = {
    "prompt": {"type": "string", "nullable": True, "description": "What to make.", "x-order": 0},
    "input_audio": {"type": "string", "format": "uri", "nullable": True, "description": "A melody.", "x-order": 1},
    "duration": {"type": "integer", "minimum": 2, "maximum": 77, "default": 5, "x-order": 2},
    "continuation": {"type": "boolean", "default": False, "x-order": 3},
    "continuation_end": {"type": "integer", "minimum": -1, "maximum": 600, "nullable": True, "x-order": 4},
    "seed": {"type": "integer", "minimum": -1, "maximum": 99, "nullable": True, "x-order": 5},
    "output_format": {"allOf": [{"$ref": "#/components/schemas/output_format"}], "default": "flac", "x-order": 6},
    "melody_audio": {"type": "string", "format": "uri", "nullable": True, "description": "Another.", "x-order": 7},
}
MODELS = {"dia": INPUT, "musicgen": MUSIC}


class FakeServing:
    """State of the fake: tests say how it answers, and read what it was asked for."""

    def __init__(self) -> None:
        self.models = ["dia"]  # names of MODELS that are served
        self.token: str | None = None
        self.pieces = 3  # of the next predictions
        self.limit: int | None = None  # pieces that no prediction goes beyond for now
        self.refusals: dict[str, list[int]] = {}  # "METHOD path" → statuses of its next answers; 0: none at all
        self.breaks = 0  # so many streams of audio break off in the middle
        self.audio_is_deleted = False
        self.takes: list[Take] = []
        self.files: list[bytes | None] = []
        self.links: set[str] = set()  # to files, those that have not expired
        self.asked: list[str] = []  # "METHOD path"
        self.url = ""
        self.public_url = ""  # the server's own name for itself
        self.closed = False  # no more is spoken

    def take(self, text: str = "[S1] Hello. [S2] Hi!", pieces: int = 50, ago: float = 100.0) -> Take:
        """A prediction of some seconds ago."""
        made = Take(self, f"p{len(self.takes) + 1}", {"text": text}, pieces, began=time.monotonic() - ago)
        self.takes.append(made)
        return made

    def find(self, prediction: str) -> Take | None:
        return next((take for take in self.takes if take.id == prediction), None)

    def file(self, number: int) -> dict[str, Any]:
        """One that was uploaded, with a new link."""
        query = f"owner=me&expiry=9&signature={secrets.token_hex(8)}"
        link = f"{self.public_url}/v1/files/{number}/download?{query}"
        self.links.add(link)
        return {"id": str(number), "urls": {"get": link}}


def problem(status: int, detail: str, *fields: tuple[str, str]) -> JSONResponse:
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    return JSONResponse(
        problem_json(Problem(status, detail, fields)), status, headers, media_type="application/problem+json"
    )


def mistakes(state: FakeServing, given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Numbers beyond the model's limits, a text without words, a link that has expired."""
    if not given.get("text", "music").strip():
        yield "text", "is empty; write a word."
    for name, limits in (INPUT if "text" in given else MUSIC).items():
        value = given.get(name)
        if "minimum" in limits and value is not None and not limits["minimum"] <= value <= limits["maximum"]:
            yield name, f"is {value}; it must lie between {limits['minimum']} and {limits['maximum']}."
    if "audio_prompt" in given and given["audio_prompt"] not in state.links:
        yield "audio_prompt", "is a link that has expired. Ask for the file again."


def fake_app(state: FakeServing) -> FastAPI:
    app = FastAPI()
    app.add_middleware(Guard, state=state)
    add_models_and_files(app, state)
    add_predictions(app, state)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


class Guard:
    """Asks for the token, refuses what the test says, and gives every answer the service's Content-Security-Policy."""

    def __init__(self, app: ASGIApp, state: FakeServing) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = SAFE_HEADERS["Content-Security-Policy"]
            await send(message)

        request = Request(scope)
        self._state.asked.append(f"{request.method} {request.url.path}")
        if refusals := self._state.refusals.get(self._state.asked[-1]):
            await self._refuse(refusals.pop(0), scope, receive, safe)
        elif self._is_stranger(request):
            await problem(401, "This service wants a token.")(scope, receive, safe)
        else:
            await self._app(scope, receive, safe)

    async def _refuse(self, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        """0: what was asked is done, and the answer lost on its way."""

        async def lose(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)

        if status:
            await problem(status, "We are busy.")(scope, receive, send)
        else:
            await self._app(scope, receive, lose)

    def _is_stranger(self, request: Request) -> bool:
        path, given = request.url.path, request.headers.get("Authorization")
        is_open = not path.startswith("/v1/") or path.endswith("/download")
        return self._state.token is not None and not is_open and given != f"Bearer {self._state.token}"


def described(model: str) -> dict[str, Any]:
    """As the service lists it, with its input schema."""
    schemas = {"Input": {"properties": MODELS[model]}, "output_format": {"enum": list(FORMATS)}}
    version = {"id": "v1", "openapi_schema": {"components": {"schemas": schemas}}}
    return {"owner": "parley", "name": model, "latest_version": version}


def add_models_and_files(app: FastAPI, state: FakeServing) -> None:
    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"results": [described(name) for name in state.models], "next": None}

    @app.get("/v1/audio/voices")
    async def voices() -> dict[str, Any]:
        """None but those that are built in."""
        ends = {"first_id": None, "last_id": None}
        return {"object": "list", "data": [], **ends, "has_more": False, "built_in": ["s1", "s2"]}

    @app.post("/v1/files", status_code=201)
    async def upload(request: Request) -> dict[str, Any]:
        async with request.form() as form:
            content = form["content"]
            assert not isinstance(content, str)
            state.files.append(await content.read())
        return state.file(len(state.files) - 1)

    @app.get("/v1/files/{number}")
    async def file(number: int) -> Any:
        return state.file(number) if state.files[number] else problem(404, "There is no such file of yours.")

    @app.get("/v1/files/{number}/download")
    async def download(number: int, owner: str, expiry: int, signature: str) -> Response:
        return Response(state.files[number], media_type="audio/wav")


def add_predictions(app: FastAPI, state: FakeServing) -> None:
    @app.post("/v1/models/parley/{model}/predictions", status_code=201)
    async def create(model: str, request: Request) -> Any:
        body = await request.json()
        if invalid := tuple(mistakes(state, body["input"])):
            return problem(422, "Some inputs are invalid.", *invalid)
        made = state.take(pieces=state.pieces, ago=0.0)
        made.model, made.input, made.stream = f"parley/{model}", body["input"], body["stream"]
        return made.json()

    @app.get("/v1/predictions/{prediction}")
    async def get(prediction: str) -> Any:
        take = state.find(prediction)
        return take.json() if take else problem(404, "There is no such prediction of yours.")

    @app.post("/v1/predictions/{prediction}/cancel")
    async def cancel(prediction: str) -> Any:
        take = state.find(prediction)
        assert take is not None
        if not take.over:
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
    async def audio(prediction: str, output_format: Annotated[str, Query(alias="format")]) -> Response:
        take = state.find(prediction)
        assert take is not None
        if state.audio_is_deleted:
            return problem(410, "The audio has been deleted. Make it again.")
        if output_format != "pcm":
            return Response(wav(b"".join(map(tone, range(take.made)))), media_type="audio/wav")
        return await listen(state, take)


async def listen(state: FakeServing, take: Take) -> Response:
    """As the service: the answer waits for the first sound, and of what ended badly nothing is kept."""
    if take.over and take.status != "succeeded":
        return problem(409, ENDED_BADLY)
    pieces = spoken(take)
    try:
        first = await anext(pieces)
    except BrokenOff as error:
        return problem(409, str(error))
    whole = joined(first, pieces)
    if state.breaks:
        state.breaks -= 1
        whole = cut(whole, tidily=state.breaks == 0)
    return StreamingResponse(whole, headers={"X-Sample-Rate": str(SAMPLE_RATE)})


@contextmanager
def running(state: FakeServing) -> Iterator[str]:
    """Serve it on a free port of this machine → its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    state.url, state.public_url = f"http://127.0.0.1:{port}", f"http://localhost:{port}"
    server = uvicorn.Server(uvicorn.Config(fake_app(state), log_level="critical", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield state.url
    finally:
        server.should_exit = state.closed = True
        thread.join(timeout=10)
        listening.close()
        assert not thread.is_alive(), "the fake server did not stop"
