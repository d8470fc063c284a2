"""What a process of the service does from its start to SIGTERM: serve HTTP, work, or both. Knows no model's name.

At SIGTERM no connection and no prediction is taken on any more; what runs of both has `grace_seconds` to end, then the
predictions are handed back, to be begun anew with the same seed. So it is at Ctrl-C; the second one ends all at once,
as being killed does: what ran is begun anew by the next process.
"""

import asyncio
import logging
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from models.errors import InvalidRequest
from serving.access import Keys
from serving.service import Service
from serving.settings import LOOPBACK, Settings
from serving.tls import Certificate, check, self_signed
from serving.web.app import create_app, create_health_app
from serving.web.sockets import Sockets
from serving.work.backend import Backends

log = logging.getLogger("parley")

# Sockets by wsproto: those of other libraries do not answer the client of Java's own, which sends a length of no body.
# An event may hold 15 MiB of audio in base64. Pings tell a client that is gone from one that is silent. Compressed, 64
# KiB become 64 MiB before anybody counts them, and audio does not get smaller for the milliseconds that it takes.
SOCKETS: dict[str, Any] = {
    "ws": Sockets,
    "ws_max_size": 32 << 20,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": False,
}
INTERRUPTED = 130  # exit status, as shells have it
UNFINISHED_ANSWER = "ASGI callable returned without completing response."


def serve(
    settings: Settings, load: Callable[[], Backends], lacks: Callable[[str], bool] = lambda checkpoint: False
) -> int:
    """HTTP, and work on the queues unless the settings leave that to others → the process's exit status.

    lacks: see Service.
    """
    keys = Keys.of(settings.tokens, settings.tokens_file, settings.no_auth)
    settings.base_url(settings.port)  # raises before anything is opened
    over = _until_told()
    with listen(settings.host, settings.port) as listening:
        base_url = settings.base_url(listening.getsockname()[1])
        with Service(settings, base_url, lacks) as service:
            certificate = certificate_of(settings)
            if not settings.http_only:
                service.start_work(load, on_error=lambda error: over.set())
            log.info("Parley listens on %s port %d, as %s", settings.host, listening.getsockname()[1], base_url)
            _Server(create_app(service, keys), service, over, certificate).run(sockets=[listening])
            return _status(service)


def work(settings: Settings, load: Callable[[], Backends]) -> int:
    """Only work on the queues → the process's exit status."""
    base_url = settings.worker_base_url
    over = _until_told()
    with Service(settings, base_url) as service:
        service.start_work(load, on_error=lambda error: over.set())
        if settings.health_port:
            with listen(settings.host, settings.health_port) as listening:
                _Server(create_health_app(service), service, over).run(sockets=[listening])
        else:
            over.wait()
            _tell_of_the_wait(settings)
        return _status(service)


def listen(host: str, port: int) -> socket.socket:
    """A socket on which connections are taken; of IPv6 where the host is an address of it. Raises InvalidRequest."""
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidRequest(
            "port",
            f"is {port}; nothing can listen there on {host!r} ({error.strerror}). Choose another, or end what does.",
        ) from error
    # What it accepts inherits this. asyncio sets it only where the protocol is named, which create_server does not do;
    # without it the body of an answer waits 40 ms for the caller's word that the head has come.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def certificate_of(settings: Settings) -> Certificate | None:
    """The one that is given, or made; none where http is spoken. Raises InvalidRequest."""
    if settings.self_signed:
        named = [urlsplit(settings.public_url).hostname or "", settings.host, *LOOPBACK]
        made = self_signed(settings.data / "tls", filter(None, named))
        log.info("Clients may trust the certificate %s", made.certfile)
        return made
    if settings.certfile:
        given = Certificate(Path(settings.certfile), Path(settings.keyfile) if settings.keyfile else None)
        check(given)
        return given
    return None


def leave(status: int) -> NoReturn:
    """End this process, whatever its threads are at: what they had is handed back, and a model may take its time."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class _Server(uvicorn.Server):
    """Ends when `over` is set, or by signal; the work ends beside the last requests, which may wait for it."""

    def __init__(
        self, app: FastAPI, service: Service, over: threading.Event, certificate: Certificate | None = None
    ) -> None:
        self._service, self._is_over = service, over
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=math.ceil(service.settings.grace_seconds),
                ssl_certfile=certificate.certfile if certificate else None,
                ssl_keyfile=certificate.keyfile if certificate else None,
                **SOCKETS,
            )
        )

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._is_over.is_set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            os._exit(INTERRUPTED)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _tell_of_the_wait(self._service.settings)
        stopping = asyncio.create_task(asyncio.to_thread(self._service.stop_work))
        await super().shutdown(sockets)
        await stopping


def _is_news(record: logging.LogRecord) -> bool:
    """Of an answer that broke off RequestLog has told, and why."""
    return record.msg != UNFINISHED_ANSWER


def _tell_of_the_wait(settings: Settings) -> None:
    log.info("Ending: what runs may take %g s. Ctrl-C once more ends it at once.", settings.grace_seconds)


def _until_told() -> threading.Event:
    """Set by SIGTERM and SIGINT. uvicorn hears them while it runs, and passes them on."""
    over = threading.Event()

    def tell(number: int, _: FrameType | None) -> None:
        if over.is_set() and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    return over


def _status(service: Service) -> int:
    return 1 if service.worker is not None and service.worker.error is not None else 0
