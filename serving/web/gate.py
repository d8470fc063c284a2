"""What every door needs of a request: who calls, how often they may, and the service. Knows no door's own form."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from serving.access import CREATE, METRICS, Keys, NotInScope
from serving.rate_limit import RateLimit
from serving.service import Service


@dataclass(frozen=True)
class Gate:
    """Lets callers in: each method returns the caller's name, or raises NotAllowed, NotInScope or RateLimited."""

    keys: Keys
    requests: RateLimit
    creations: RateLimit

    def caller(self, authorization: str | None) -> str:
        """Of a call that sends this header."""
        caller = self.keys.caller(authorization)
        self.requests.count(caller)
        return caller

    def enter(self, request: Request) -> str:
        return self.caller(request.headers.get("authorization"))

    def create(self, request: Request) -> str:
        """For what makes work."""
        caller = self.keys.caller_for(CREATE, request.headers.get("authorization"))
        self.creations.count(caller)
        return caller

    def oversee(self, request: Request) -> str:
        """For what tells of all callers."""
        caller = self.keys.caller_for(METRICS, request.headers.get("authorization"))
        self.requests.count(caller)
        return caller

    def oversees(self, request: Request) -> bool:
        """Whether one who is let in may be told of all callers."""
        with suppress(NotInScope):
            self.keys.caller_for(METRICS, request.headers.get("authorization"))
            return True
        return False

    def converse(self, authorization: str | None) -> str:
        """For a socket, whose session makes work."""
        caller = self.keys.caller_for(CREATE, authorization)
        self.requests.count(caller)
        return caller


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def gate_of(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


# For the description of the service: the gate itself reads the header.
_BEARER = HTTPBearer(scheme_name="bearer", auto_error=False)
Token = Annotated[object, Security(_BEARER)]
CreatingToken = Annotated[object, Security(_BEARER, scopes=[CREATE])]
OverseeingToken = Annotated[object, Security(_BEARER, scopes=[METRICS])]


def caller(request: Request, _: Token) -> str:
    """As a dependency of a route."""
    return gate_of(request).enter(request)


def creator(request: Request, _: CreatingToken) -> str:
    """As a dependency of a route that makes work."""
    return gate_of(request).create(request)


def overseer(request: Request, _: OverseeingToken) -> str:
    """As a dependency of a route that tells of all callers."""
    return gate_of(request).oversee(request)


ServiceDep = Annotated[Service, Depends(service_of)]
CallerName = Annotated[str, Depends(caller)]
CreatorName = Annotated[str, Depends(creator)]
