"""A prediction as server-sent events, as Replicate's clients read them: logs, output, error, done. Knows no route."""

import json
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from serving.service import Service
from serving.storage.records import Prediction, Status

QUIET_SECONDS = 15.0  # then a comment keeps the line open


async def events_of(prediction: Prediction, service: Service) -> AsyncIterator[str]:
    """The text of an event stream; ends with `done`."""
    number, said = 0, 0
    while True:
        now = await _next(prediction, service, said)
        if now.logs[said:]:
            number += 1
            yield _event("logs", now.logs[said:], now, number)
            said = len(now.logs)
        elif not now.status.final:
            yield ": still here\n\n"
        if now.status.final:
            for name, data in await _ends(now, service):
                number += 1
                yield _event(name, data, now, number)
            return


async def _next(prediction: Prediction, service: Service, said: int) -> Prediction:
    async def ask() -> Prediction:
        now = await run_in_threadpool(service.records.get, prediction.id)
        assert now is not None, prediction.id
        return now

    def enough(now: Prediction) -> bool:
        return now.status.final or len(now.logs) > said

    return await service.changes.until(prediction.id, ask, enough, QUIET_SECONDS)


async def _ends(now: Prediction, service: Service) -> list[tuple[str, str]]:
    if now.status is Status.SUCCEEDED:
        shown = await run_in_threadpool(service.json.show, now)
        return [("output", shown["output"] or ""), ("done", "{}")]
    if now.status is Status.FAILED:
        return [("error", json.dumps({"detail": now.error})), ("done", json.dumps({"reason": "error"}))]
    return [("done", json.dumps({"reason": str(Status.CANCELED)}))]


def _event(name: str, data: str, now: Prediction, number: int) -> str:
    # splitlines: what any client may take for the end of a line, as httpx does U+2028, else cuts the event short.
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\nid: {now.id}:{now.attempt}:{number}\n{lines}\n"
