"""The HTTP application: doors, errors, what is around every request. Makes no decision of its own."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Scope

from models.errors import ParleyError
from serving.access import Keys, NotAllowed, NotInScope
from serving.doors import files, health, models, voices
from serving.doors.predictions import audio, webhook_secret
from serving.doors.predictions import routes as predictions
from serving.doors.speech import routes as speech
from serving.doors.tasks import routes as tasks
from serving.rate_limit import RateLimit, RateLimited
from serving.realtime import client_secrets
from serving.realtime import socket as realtime
from serving.service import Service
from serving.settings import LOOPBACK, Settings
from serving.storage.records import KeyConflict
from serving.web.cross_site import OwnNamesOnly, OwnPagesOnly
from serving.web.gate import Gate
from serving.web.metrics import Metrics
from serving.web.middleware import BodyLimit, RequestLog, RequestMetrics
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
    realtime.router,
    client_secrets.router,
)
THREADS = 200  # for what routes ask of the database and the store; listeners have their own
SMALL_BODY = 1 << 20  # bytes of a document that holds no file
BODY_OVERHEAD = 1 << 20  # bytes around an uploaded file
DATA_URI_SHARE = 4 / 3  # base64 is longer than what it stands for
WITH_DATA_URIS = ("/v1/predictions", "/v1/models/", "/ai/")  # paths of doors whose inputs may be files

_ANSWERED = (ParleyError, NotAllowed, NotInScope, RateLimited, KeyConflict, HTTPException, RequestValidationError)


def create_app(service: Service, keys: Keys) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.changes.attach()
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        async with aclosing(realtime.Realtime(service.settings)) as app.state.realtime:
            yield

    app = DocumentedApp(
        title="Parley", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    _furnish(app, service, keys)
    app.add_exception_handler(405, _answer_405)
    for router in DOORS:
        app.include_router(router)
    app.frontend("/", directory=PAGE, fallback=None)  # behind the doors, which answer to a wrong method themselves
    _surround(app, service.settings, keys)
    return app


def create_health_app(service: Service) -> FastAPI:
    """Of a process that only works: how it is, for whoever runs it."""
    settings = service.settings
    has_keys = settings.tokens or settings.tokens_file or settings.no_auth  # a worker needs none for its work
    keys = Keys.of(settings.tokens, settings.tokens_file, settings.no_auth) if has_keys else Keys(())
    app = FastAPI(title="Parley's worker", version="1", openapi_url=None, docs_url=None, redoc_url=None)
    _furnish(app, service, keys)
    app.include_router(health.router)
    app.add_middleware(RequestLog, answer=answer)
    return app


def _furnish(app: FastAPI, service: Service, keys: Keys) -> None:
    """With what routes ask for."""
    settings = service.settings
    app.state.service = service
    app.state.gate = Gate(keys, RateLimit(settings.requests_per_minute), RateLimit(settings.creations_per_minute))
    app.state.metrics = Metrics(service.tallies)
    for error in _ANSWERED:
        app.add_exception_handler(error, answer)


def _surround(app: FastAPI, settings: Settings, keys: Keys) -> None:
    """With what is done to every request, the innermost first."""
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    app.add_middleware(BodyLimit, most=partial(_most_bytes, settings.upload_bytes), caller=keys.caller)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    if keys.entries is None:
        app.add_middleware(OwnPagesOnly, origins=origins)
        app.add_middleware(OwnNamesOnly, names=_own_names(settings))
    app.add_middleware(RequestLog, answer=answer)
    app.add_middleware(RequestMetrics, metrics=app.state.metrics)


def _most_bytes(upload_bytes: int, scope: Scope) -> int:
    """Of the body of this request: a file, a document that may hold one, or one that holds none."""
    if Headers(scope=scope).get("content-type", "").lower().startswith("multipart/form-data"):
        return upload_bytes + BODY_OVERHEAD
    if scope["path"].startswith(WITH_DATA_URIS):
        return int(upload_bytes * DATA_URI_SHARE) + BODY_OVERHEAD
    return SMALL_BODY


def _own_names(settings: Settings) -> list[str]:
    """Under which a service without tokens is called."""
    public = urlsplit(settings.public_url).hostname
    local = [f"[{name}]" if ":" in name else name for name in LOOPBACK]
    return [*local, *([f"[{public}]" if ":" in public else public] if public else [])]


def _answer_405(request: Request, error: Exception) -> Response:
    """With all methods there are: a route knows its own alone."""
    methods = ", ".join(request.app.methods_of(request.url.path))
    return answer(request, HTTPException(405, f"Send this path {methods}.", {"Allow": methods}))
