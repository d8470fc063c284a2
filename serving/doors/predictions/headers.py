"""Headers by which a caller says how to wait: Prefer and Cancel-After. Source: Replicate's OpenAPI document."""

import re

from models.errors import InvalidRequest

LONGEST_WAIT = 60  # seconds
SHORTEST_CANCEL, LONGEST_CANCEL = 5, 24 * 3600  # seconds

_WAIT = re.compile(r"wait(?:=([1-9]|[1-5][0-9]|60))?")
_DURATION = re.compile(r"(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,5})s?)?")


def wait_seconds(prefer: str | None) -> float | None:
    """How long the answer may wait for the end; None: not at all. Raises InvalidRequest.

    What is not known is passed over, and "respond-async, wait=10" waits 10 s: RFC 7240, sections 2 and 4.3.
    """
    for wish in (part.strip().lower() for part in (prefer or "").split(",")):
        if found := _WAIT.fullmatch(wish):
            return float(found[1] or LONGEST_WAIT)
        if re.match(r"wait(?![\w-])", wish):
            raise InvalidRequest("Prefer", f"is {wish[:60]!r}; write wait, or wait=1 to wait={LONGEST_WAIT} (seconds).")
    return None


def cancel_seconds(cancel_after: str | None) -> float | None:
    """ "90s", "5m", "1h30m" or a number of seconds. Raises InvalidRequest."""
    if cancel_after is None:
        return None
    found = _DURATION.fullmatch(cancel_after.strip())
    if not cancel_after.strip() or found is None:
        raise InvalidRequest("Cancel-After", f"is {cancel_after[:60]!r}; write a time such as 90s, 5m or 1h30m.")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if not SHORTEST_CANCEL <= total <= LONGEST_CANCEL:
        raise InvalidRequest(
            "Cancel-After",
            f"is {cancel_after[:60]!r}; it must lie between {SHORTEST_CANCEL}s and {LONGEST_CANCEL // 3600}h.",
        )
    return float(total)
