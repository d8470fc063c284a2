"""Bodies of JSON, before anyone looks at them closely: not too many values. Knows no door.

Each value that is not as it should be becomes an error of its own, and reading ten million takes seconds in which no
other request is answered: Python reads JSON under its global lock, in whichever thread.
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from models.errors import InvalidRequest

MOST_MEMBERS = 100  # of the outermost object, known or not: each unknown one is told of
MOST_COMMAS = 100_000  # anywhere; a recording in base64 has one


class JsonRoute(APIRoute):
    """A route that reads JSON. Raises InvalidRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if self.body_field is not None and "json" in request.headers.get("content-type", "").lower():
                await _refuse_many(request)
            return await handle(request)

        return bounded


async def _refuse_many(request: Request) -> None:
    commas = (await request.body()).count(b",")
    if commas > MOST_COMMAS:
        raise InvalidRequest("body", f"holds {commas} commas; at most {MOST_COMMAS} are read. Send fewer values.")
    if commas < MOST_MEMBERS:
        return
    value: Any = None
    with suppress(ValueError, RecursionError):  # what is no JSON is told of by who reads it
        value = await request.json()  # and kept there
    if isinstance(value, dict):
        refuse_members(value, "body")


def refuse_members(value: Mapping[str, Any], field: str) -> None:
    """Raises InvalidRequest where an object has too many."""
    if len(value) > MOST_MEMBERS:
        raise InvalidRequest(field, f"has {len(value)} members; at most {MOST_MEMBERS} are read. Send fewer.")
