"""What a client did wrong, as an error event says it: OpenAI's codes, which clients compare. Knows no event.

Clients are built around these: some take any code that they do not know for the end of the session.
"""

import logging
from collections.abc import Iterable

from models.errors import ParleyError

log = logging.getLogger("parley.realtime")

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"
RATE_LIMIT, RATE_LIMIT_EXCEEDED = "rate_limit_error", "rate_limit_exceeded"  # a kind, and its code


class Fault(Exception):
    """Answered with an `error` event; the session goes on. param: the dotted path of what is wrong."""

    def __init__(self, code: str | None, message: str, param: str | None = None, kind: str = INVALID_REQUEST) -> None:
        super().__init__(message)
        self.code, self.message, self.param, self.kind = code, message, param, kind


def invalid_value(param: str, message: str) -> Fault:
    return Fault("invalid_value", message, param)


def our_fault(error: Exception) -> Fault:
    """What the client has not done. It is logged where it is no known one."""
    if isinstance(error, ParleyError):
        return Fault(SERVER_ERROR, str(error), kind=SERVER_ERROR)
    log.error("an event of a client's broke something", exc_info=error)
    return Fault(SERVER_ERROR, "Something broke on our side. It is logged.", kind=SERVER_ERROR)


def not_supported(param: str, value: str, supported: Iterable[str]) -> Fault:
    """Of one that is none of the values there are."""
    listed = ", ".join(f"'{one}'" for one in supported)
    return invalid_value(param, f"Invalid value: '{value}'. Supported values are: {listed}.")
