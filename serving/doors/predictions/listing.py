"""Which predictions a list is to hold, as Replicate's OpenAPI document lets callers say. Knows no table.

Every prediction here comes through the API (`source` is "api", the page's too), so `source=web` leaves none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query

from models.errors import InvalidRequest, shown

_EXAMPLE = "2025-01-01T00:00:00Z"
_ROUNDED = 0.5e-6  # seconds: moments are shown in whole microseconds, and found again by what was shown


def _date_time(description: str) -> Any:
    form = {"type": "string", "format": "date-time"}
    return Query(description=description, examples=[_EXAMPLE], json_schema_extra=form)


@dataclass(frozen=True)
class Listed:
    """What a query asks for; as a dependency of a route, its parameters."""

    created_after: Annotated[str | None, _date_time("Created at this moment or later, ISO 8601 with its zone.")] = None
    created_before: Annotated[str | None, _date_time("Created before this moment, likewise.")] = None
    source: Annotated[Literal["web"] | None, Query(description="There are none: all come through the API.")] = None

    def period(self) -> tuple[float | None, float | None]:
        """(from when on, before when) they were created, seconds since 1970. Raises InvalidRequest."""
        return _seconds("created_after", self.created_after), _seconds("created_before", self.created_before)

    def query(self) -> dict[str, str]:
        """As parameters, for the link to another page of the same list."""
        return {name: value for name, value in vars(self).items() if value is not None}


def _seconds(field: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.upper())
        if found.tzinfo is not None:
            return found.timestamp() - _ROUNDED
    except ValueError:
        pass
    raise InvalidRequest(field, f"is {shown(text)}, which is no moment with a zone; write one such as {_EXAMPLE}.")
