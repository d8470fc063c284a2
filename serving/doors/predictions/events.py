"""A prediction as server-sent events, as Replicate's clients read them: logs, output, error, done. Knows no route."""

import json
from collections.abc import AsyncGenerator

from starlette.concurrency import run_in_threadpool

from serving.kept_audio import DELETED
from serving.service import Service
from serving.storage.current import current
from serving.storage.prediction import Prediction, Status

QUIET_SECONDS = 15.0  # then a comment keeps the line open
LOST = "note: some lines are missing here: only the newest are kept.\n"
_RECOGNISED = 20  # characters by which it is found where old logs go on in new ones: fewer may agree by chance


async def events_of(prediction: Prediction, service: Service) -> AsyncGenerator[str]:
    """The text of an event stream; ends with `done`. What an attempt that begins anew says is said anew."""
    number, last = 0, prediction
    last_logs = ""
    while True:
        now = await _next(prediction, service, last.attempt, last_logs)
        new = unsaid(last_logs if now.attempt == last.attempt else "", now.logs)
        last, last_logs = now, now.logs
        if new:
            number += 1
            yield _event("logs", new, now, number)
        elif not now.status.final:
            yield ": still here\n\n"
        if now.status.final:
            for name, data in await _ends(now, service):
                number += 1
                yield _event(name, data, now, number)
            return


def unsaid(before: str, logs: str) -> str:
    """What logs say beyond what they said before. They lose their beginning as they grow over what is kept of them."""
    if logs.startswith(before) or not logs:
        return logs[len(before) :]
    at, beginning = 0, logs[:_RECOGNISED]
    while (at := before.find(beginning, at)) >= 0:
        if logs.startswith(before[at:]):
            return logs[len(before) - at :]
        at += 1
    return LOST + logs


async def _next(prediction: Prediction, service: Service, attempt: int, logs: str) -> Prediction:
    """As soon as there is something new; else after QUIET_SECONDS."""

    def enough(now: Prediction) -> bool:
        return now.status.final or (now.logs != "" and (now.attempt, now.logs) != (attempt, logs))

    return await service.changes.until(
        prediction.id, lambda: current(service.records, prediction.id), enough, QUIET_SECONDS
    )


async def _ends(now: Prediction, service: Service) -> list[tuple[str, str]]:
    if now.status is Status.SUCCEEDED:
        shown = await run_in_threadpool(service.json.show, now)
        return [("output", shown["output"]), ("done", "{}")] if shown["output"] else _error(DELETED)
    if now.status is Status.FAILED:
        return _error(now.error)
    return [("done", json.dumps({"reason": str(Status.CANCELED)}))]


def _error(detail: str | None) -> list[tuple[str, str]]:
    return [("error", json.dumps({"detail": detail})), ("done", json.dumps({"reason": "error"}))]


def _event(name: str, data: str, now: Prediction, number: int) -> str:
    # splitlines: what any client may take for the end of a line, as httpx does U+2028, else cuts the event short.
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\nid: {now.id}:{now.attempt}:{number}\n{lines}\n"
