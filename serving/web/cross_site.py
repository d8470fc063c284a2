"""Pages of other sites, where no tokens are asked for: whoever can reach the service could change everything there.

A browser lets any page send a form or a simple request to any address, and asks first for nothing of the kind; it tells
where the page is from. Programs tell nothing, and are let in.
"""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from models.errors import shown

HARMLESS = ("GET", "HEAD", "OPTIONS")  # they change nothing, and their answers are kept from other sites by the browser
POLICY_VIOLATION = 1008  # of a socket
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(?::\d*)?", re.IGNORECASE)  # of a header: a name, and a port
FOREIGN = ("cross-site", "same-site")  # the second: another name or port beside ours, as of another program here


class OwnPagesOnly:
    """Refuses what would change something and comes from a page that is neither ours nor of an origin allowed."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        """origins: whose pages may call, such as https://example.org."""
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in HARMLESS)
        if changes and self._is_foreign(Headers(scope=scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # answered with 403
                return
            raise HTTPException(
                403,
                "A page of another site may not do this while no tokens are asked for. Name its origin in "
                "PARLEY_CORS_ORIGINS, or use tokens.",
            )
        await self._app(scope, receive, send)

    def _is_foreign(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is not None and origin in self._origins:
            return False
        if headers.get("sec-fetch-site") in FOREIGN:
            return True
        # Old browsers tell the origin alone. Ours is the name that was called: a proxy in front may have the https.
        return origin is not None and urlsplit(origin).netloc != headers.get("host")


class OwnNamesOnly:
    """Refuses what is called by a name that is not ours: else a page of any site could call through its visitors'
    browsers, by a name of its own that leads to this machine."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        """names: in lower case, without ports; addresses of IPv6 in brackets."""
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            called = Headers(scope=scope).get("host", "")
            found = HOST.fullmatch(called)
            if found is None or found[1].lower() not in self._names:
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # answered with 403
                    return
                raise HTTPException(
                    400,
                    f"It is called {shown(called)} here, and answers to {', '.join(self._names)} alone while no tokens "
                    "are asked for. Use one of these names, set PARLEY_PUBLIC_URL, or use tokens.",
                )
        await self._app(scope, receive, send)
