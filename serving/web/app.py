"""The HTTP application: doors, errors, what is around every request. Makes no decision of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from starlette.exceptions import HTTPException

from models.errors import ParleyError
from serving.access import Keys, NotAllowed
from serving.doors import files, health, models, voices
from serving.doors.predictions import audio, webhook_secret
from serving.doors.predictions import routes as predictions
from serving.doors.speech import routes as speech
from serving.doors.tasks import routes as tasks
from serving.rate_limit import RateLimit, RateLimited
from serving.service import Service
from serving.settings import LOOPBACK, Settings
from serving.storage.records import KeyConflict
from serving.web.gate import Gate
from serving.web.metrics import Metrics, RequestMetrics
from serving.web.middleware import BodyLimit, RequestLog
from serving.web.openapi import DocumentedApp
from serving.web.problems import answer

PAGE = Path(__file__).parents[1] / "page"
DOORS = (
    health.router,
    predictions.router,
    audio.router,
    files.router,
    models.router,
    tasks.router,
    speech.router,
    voices.router,
    webhook_secret.router,
)
THREADS = 200  # a listener of encoded audio takes one
BODY_OVERHEAD = 1 << 20  # bytes around an uploaded file
DATA_URI_SHARE = 4 / 3  # base64 is longer than what it stands for

_ANSWERED = (ParleyError, NotAllowed, RateLimited, KeyConflict, HTTPException, RequestValidationError)


def create_app(service: Service, keys: Keys) -> FastAPI:
    settings = service.settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.changes.attach()
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        yield

    app = DocumentedApp(
        title="Parley", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.service = service
    app.state.gate = Gate(keys, RateLimit(settings.requests_per_minute), RateLimit(settings.creations_per_minute))
    app.state.metrics = Metrics(service.engine)
    for error in _ANSWERED:
        app.add_exception_handler(error, answer)
    app.add_exception_handler(405, _answer_405)
    for router in DOORS:
        app.include_router(router)
    app.frontend("/", directory=PAGE, fallback=None)  # behind the doors, which answer to a wrong method themselves
    _surround(app, settings, keys)
    return app


def _surround(app: FastAPI, settings: Settings, keys: Keys) -> None:
    """With what is done to every request, the innermost first."""
    most = int(settings.upload_bytes * DATA_URI_SHARE) + BODY_OVERHEAD
    app.add_middleware(BodyLimit, most=most, caller=keys.caller)
    if settings.cors_origins:
        origins = [origin.strip() for origin in settings.cors_origins.split(",")]
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    if keys.entries is None:
        # Else any page could call through its visitors' browsers, by a name of its own that leads to this machine.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_own_names(settings), www_redirect=False)
    app.add_middleware(RequestLog, answer=answer)
    app.add_middleware(RequestMetrics, metrics=app.state.metrics)


def _own_names(settings: Settings) -> list[str]:
    """Under which a service without tokens is called."""
    public = urlsplit(settings.public_url).hostname
    return [*LOOPBACK, "[::1]", *([public] if public else [])]


def _answer_405(request: Request, error: Exception) -> Response:
    """With all methods there are: a route knows its own alone."""
    methods = ", ".join(request.app.methods_of(request.url.path))
    return answer(request, HTTPException(405, f"Send this path {methods}.", {"Allow": methods}))
