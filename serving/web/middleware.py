"""What is done to every request and answer: measured, named and logged, limited in bytes, kept safe for browsers.

Knows no door, and no form of an answer.
"""

import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import NotAllowed
from serving.web.hangup import BrokenOff
from serving.web.metrics import NO_ROUTE, Metrics

log = logging.getLogger("parley.http")

WITH_BODY = ("POST", "PUT", "PATCH")
REQUEST_ID = "X-Request-Id"
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; connect-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
}


class Leaving:
    """A `send` that tells how the answer stands. Its beginning is that of the request."""

    def __init__(self, send: Send, at_head: Callable[[Message], None] = lambda head: None) -> None:
        """at_head: may add headers to the answer's head before it leaves."""
        self.status = 0  # until its head has left
        self._send, self._at_head = send, at_head
        self._started = time.perf_counter()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._at_head(message)
        await self._send(message)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started


class RequestMetrics:
    """Takes the time of each request, by the template of its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        leaving = Leaving(send)
        try:
            await self._app(scope, receive, leaving)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.answered(scope["method"], route, leaving.status or 500, leaving.seconds)


class RequestLog:
    """Gives each request an id, answers with it, and writes one line a request: no query, no token, no body."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, Exception], Response]) -> None:
        """answer: to what nothing inside has answered."""
        self._app, self._answer = app, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = secrets.token_hex(8)
        scope.setdefault("state", {}).update(request_id=name, started_at=time.time())

        leaving = Leaving(send, partial(_add_headers, name))
        try:
            await self._app(scope, receive, leaving)
        except BrokenOff as error:  # the server closes the connection, as the answer has not been ended
            log.warning("%s broke off: %s", name, str(error).replace("\n", " "))
        except Exception as error:
            if leaving.status:  # its beginning has left: that it breaks off is all that can be said
                raise
            await self._answer(Request(scope), error)(scope, receive, leaving)
        finally:
            path = quote(scope["path"])  # a caller's line break stays in its line
            log.info("%s %s %s %d %.1f ms", name, scope["method"], path, leaving.status, 1000 * leaving.seconds)


def _add_headers(name: str, head: Message) -> None:
    headers = MutableHeaders(scope=head)
    headers[REQUEST_ID] = name
    for header, value in SAFE_HEADERS.items():
        headers.setdefault(header, value)


def started_at(request: Request) -> float:
    """When it came in, seconds since 1970."""
    at: float = request.state.started_at
    return at


class BodyLimit:
    """Refuses bodies of too many bytes, whether they say their length or not, and of strangers all."""

    def __init__(self, app: ASGIApp, most: Callable[[Scope], int], caller: Callable[[str | None], str]) -> None:
        """most: bytes of the body of this request. caller: who sends this Authorization header. Raises NotAllowed."""
        self._app, self._most, self._caller = app, most, caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "")
        most = self._most(scope)
        too_large = HTTPException(413, f"The body has more than {most} bytes, the most that is taken here. Send less.")
        read = int(said) if said.isdecimal() and int(said) > most else 0
        refusal = self._refusal(scope)

        async def counted() -> Message:
            nonlocal read
            if refusal is not None:
                raise refusal
            if read > most:
                raise too_large
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise too_large
            return message

        await self._app(scope, counted, send)

    def _refusal(self, scope: Scope) -> HTTPException | None:
        """Of a body that nobody known here sends: FastAPI would read all of it before it asks who that is."""
        if scope["method"] in WITH_BODY:
            try:
                self._caller(Headers(scope=scope).get("authorization"))
            except NotAllowed as error:
                return HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"})
        return None
