"""Door 3: audio generation as tasks, in the envelope of FlexStack AI's API. Source: that API's public pages.

A task is a prediction whose door is "tasks": it waits in the same queue and is kept as long.
"""

import logging
import re
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException

from models.errors import InvalidRequest
from serving.doors.tasks.request import BODY_SCHEMA, TaskRequest, read_key, read_task
from serving.doors.tasks.task_json import TaskJson, TaskState, envelope, error_of, state_of
from serving.intake import Submission
from serving.service import Service
from serving.storage.database import DATABASE_AWAY, in_short
from serving.storage.files import File
from serving.storage.prediction import Prediction
from serving.web import response_schemas
from serving.web.file_answer import RangeHeader, head_of, send
from serving.web.gate import CallerName, CreatorName, ServiceDep
from serving.web.json_bodies import JsonRoute
from serving.web.middleware import started_at

log = logging.getLogger("parley")

DOOR = "tasks"
USUAL_PAGE, LONGEST_PAGE = 20, 100  # tasks
_ID = re.compile(r"[0-9a-f]{32}")  # what stands for anything else is not looked for

router = APIRouter(prefix="/ai", tags=["tasks"], route_class=JsonRoute)


Started = Annotated[float, Depends(started_at)]
Sent = Annotated[Any, Body(), WithJsonSchema(BODY_SCHEMA)]
Key = Annotated[
    str | None, Header(alias="Idempotency-Key", description="For 24 hours the same key and body are the same task.")
]


@router.post("/audio_generation", **response_schemas.gives(response_schemas.TaskAnswer))
def create(sent: Sent, service: ServiceDep, owner: CreatorName, started: Started, key: Key = None) -> dict[str, Any]:
    """Start a task. It is answered at once; ask for its status then."""
    task = _accept(service, owner, read_task(sent, service.models), read_key(key))
    try:
        return envelope(_json(service).show(task), started)
    except DATABASE_AWAY as error:  # it is kept, so its caller must hear its id
        log.warning("task %s is kept; the database went away: %s", task.id, in_short(error))
        return envelope(_json(service).remembered(task), started)


@router.get("/audio_generation/{task_id}", **response_schemas.gives(response_schemas.TaskAnswer))
@router.post("/audio_generation/{task_id}", **response_schemas.gives(response_schemas.TaskAnswer))
def status(task_id: str, service: ServiceDep, owner: CallerName, started: Started) -> dict[str, Any]:
    """One task as it is now."""
    return envelope(_json(service).show(_found(service, task_id, owner)), started)


@router.get(
    "/audio_generation/{task_id}/result",
    **response_schemas.gives_bytes("audio/*", 200, 206, errors=(409, 410, 416)),
)
def result(task_id: str, service: ServiceDep, owner: CallerName, byte_range: RangeHeader = None) -> StreamingResponse:
    """The audio. Ranges of bytes too."""
    return send(_result(service, task_id, owner), service, byte_range)


@router.head("/audio_generation/{task_id}/result", include_in_schema=False)
def head(task_id: str, service: ServiceDep, owner: CallerName) -> Response:
    """What `result` would answer with, its bytes left where they are."""
    return head_of(_result(service, task_id, owner))


def _result(service: Service, task_id: str, owner: str) -> File:
    """Raises 410 where it has been deleted, and 409 where there is none."""
    task = _found(service, task_id, owner)
    file = _json(service).result(task)
    state = state_of(task, file)
    if state is TaskState.EXPIRED:
        raise HTTPException(410, f"The result of task {task.id} has been deleted: it is kept for a limited time.")
    if file is None:
        because = f": {error}" if (error := error_of(task)) else ". A result is there once it is SUCCEEDED."
        raise HTTPException(409, f"Task {task.id} has no result, it is {state}{because}")
    return file


@router.delete("/audio_generation/{task_id}", **response_schemas.gives(response_schemas.TaskAnswer, errors=(409,)))
@router.post("/audio_generation/{task_id}/cancel", **response_schemas.gives(response_schemas.TaskAnswer, errors=(409,)))
def cancel(task_id: str, service: ServiceDep, owner: CallerName, started: Started) -> dict[str, Any]:
    """Stop it, waiting or running. One that is over stays as it ended."""
    cancelled = service.records.cancel(_found(service, task_id, owner).id)
    task = _found(service, task_id, owner)
    if not cancelled:
        state = state_of(task, _json(service).result(task))
        raise HTTPException(409, f"Task {task.id} is over, it is {state}: nothing is left to cancel.")
    return envelope(_json(service).show(task), started)


@router.get("/tasks", **response_schemas.gives(response_schemas.TaskPageAnswer))
def history(
    service: ServiceDep,
    owner: CallerName,
    started: Started,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = USUAL_PAGE,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> dict[str, Any]:
    """One's own tasks, newest first."""
    after = None if cursor is None else _place(service, cursor, owner)
    found = service.history.page(owner, limit=limit, door=DOOR, after=after)
    shown = _json(service).show_all(found.rows)
    return envelope({"tasks": shown, "next_cursor": found.rows[-1].id if found.has_older else None}, started)


def _accept(service: Service, owner: str, asked: TaskRequest, key: str | None) -> Prediction:
    task_id = uuid.uuid4().hex
    submission = Submission(owner, DOOR, asked.dialect.model, asked.input, key=key, extra=asked.settled, id=task_id)
    try:
        return service.intake.accept(submission)
    except InvalidRequest as error:
        raise error.renamed(asked.dialect.fields) from error


def _json(service: Service) -> TaskJson:
    return TaskJson(service.json, service.files, service.links)


def _found(service: Service, task_id: str, owner: str) -> Prediction:
    """The caller's own task. Raises 404 also for somebody else's, and for what another door has made."""
    task = _task(service, task_id, owner)
    if task is None:
        raise HTTPException(404, f"There is no task {task_id[:64]!r} of yours.")
    return task


def _place(service: Service, cursor: str, owner: str) -> Prediction:
    task = _task(service, cursor, owner)
    if task is None:
        raise InvalidRequest("cursor", f"is {cursor[:60]!r}; send the next_cursor of the page before.")
    return task


def _task(service: Service, task_id: str, owner: str) -> Prediction | None:
    task = service.records.get(task_id, owner) if _ID.fullmatch(task_id) else None
    return task if task is not None and task.door == DOOR else None
