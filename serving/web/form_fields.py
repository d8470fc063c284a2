"""Forms, as strict as documents of JSON are: a field that the route does not declare is refused, and one sent twice.

FastAPI reads what it declares and passes over the rest: a field that is misspelt would be one that was left out.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from fastapi import Request
from fastapi.routing import APIRoute

from models.errors import InvalidRequest, printable
from serving.web.gate import CreatorName

NOTHING: Mapping[str, str] = MappingProxyType({})


def only_declared(instead: Mapping[str, str] = NOTHING) -> Callable[[Request, str], Awaitable[None]]:
    """A dependency of a route that reads a form, asked once its caller is let in. Raises InvalidRequest.

    instead: fields that others' clients send and this door cannot honour, and what to do.
    """

    async def check(request: Request, _: CreatorName) -> None:
        route: APIRoute = request.scope["route"]
        known = [field.alias for field in route.dependant.body_params]
        sent = Counter(name for name, _ in (await request.form()).multi_items())
        problems = [(printable(name), instead.get(name) or _unknown(known)) for name in sent if name not in known]
        problems += [(name, f"was sent {sent[name]} times. Send it once.") for name in known if sent[name] > 1]
        if problems:
            raise InvalidRequest.of(problems)

    return check


def _unknown(known: list[str]) -> str:
    return f"is no field of this form, which takes {', '.join(known)}."
