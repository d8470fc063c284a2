"""What every door needs of a request: who calls, how often they may, and the service. Knows no door's own form."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from serving.access import Keys
from serving.rate_limit import RateLimit
from serving.service import Service


@dataclass(frozen=True)
class Gate:
    """Lets callers in: each method returns the caller's name, or raises NotAllowed or RateLimited."""

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
        caller = self.keys.caller(request.headers.get("authorization"))
        self.creations.count(caller)
        return caller


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def gate_of(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


# For the description of the service: the gate itself reads the header.
Token = Annotated[object, Security(HTTPBearer(scheme_name="bearer", auto_error=False))]


def caller(request: Request, _: Token) -> str:
    """As a dependency of a route."""
    return gate_of(request).enter(request)


def creator(request: Request, _: Token) -> str:
    """As a dependency of a route that makes work."""
    return gate_of(request).create(request)


ServiceDep = Annotated[Service, Depends(service_of)]
CallerName = Annotated[str, Depends(caller)]
CreatorName = Annotated[str, Depends(creator)]
