"""Door 2: predictions as Replicate's HTTP API has them. Source: its OpenAPI document and its two official clients."""

import logging
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from models.errors import InvalidRequest
from serving.catalog import DIA, OWNER, Served, ServedModel
from serving.doors.predictions.headers import cancel_seconds, wait_seconds
from serving.doors.predictions.listing import Listed
from serving.intake import Submission
from serving.prediction_json import as_waited_for
from serving.service import Service
from serving.storage.current import current
from serving.storage.database import DATABASE_AWAY, in_short
from serving.storage.prediction import Prediction
from serving.urls import check_public_url
from serving.web import response_schemas
from serving.web.gate import CallerName, CreatorName, ServiceDep
from serving.web.json_bodies import MOST_MEMBERS, JsonRoute
from serving.work.webhooks import EVENTS, parse_events

log = logging.getLogger("parley")

DOOR = "predictions"
PAGE_SIZE = 100  # predictions
EXAMPLE: dict[str, Any] = {"input": {"text": "[S1] Hey. [S2] Hello."}}

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=JsonRoute)
Prefer = Annotated[str | None, Header(description="wait, wait=1 to wait=60, or respond-async")]
ModelOwner = Annotated[str, Path(examples=[OWNER])]
ModelName = Annotated[str, Path(examples=[DIA.name])]
CancelAfter = Annotated[str | None, Header(description="when to give up, such as 90s, 5m or 1h")]


class Request(BaseModel):
    """What is asked of a model by its name."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    input: dict[str, Any] = Field(max_length=MOST_MEMBERS, description="The model's inputs.")
    stream: bool | None = Field(
        None, description="Audio leaves as soon as it is exact; whole passages are not checked."
    )
    webhook: str | None = Field(None, description="URL that is told of events.")
    webhook_events_filter: list[Any] | None = Field(None, description=f"Of {', '.join(EVENTS)}.")


class VersionRequest(Request):
    """What is asked of a version: its 64 digits, owner/name, or owner/name:digits."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": DIA.full_name, **EXAMPLE}]})

    version: str


@router.post("/predictions", status_code=201, **response_schemas.gives(response_schemas.Prediction, 201, 202))
async def create(
    asked: VersionRequest,
    service: ServiceDep,
    owner: CreatorName,
    prefer: Prefer = None,
    cancel_after: CancelAfter = None,
) -> Response:
    """Start a prediction of a version."""
    return await _create(model_of(asked.version, service.models), asked, service, owner, prefer, cancel_after)


@router.post(
    "/models/{model_owner}/{model_name}/predictions",
    status_code=201,
    **response_schemas.gives(response_schemas.Prediction, 201, 202),
)
async def create_of_model(
    model_owner: ModelOwner, model_name: ModelName, asked: Request, service: ServiceDep, owner: CreatorName,
    prefer: Prefer = None, cancel_after: CancelAfter = None,
) -> Response:  # fmt: skip
    """Start a prediction of a model's newest version."""
    return await _create(named(model_owner, model_name, service.models), asked, service, owner, prefer, cancel_after)


@router.get("/predictions", **response_schemas.gives(response_schemas.PredictionPage))
async def page(
    service: ServiceDep,
    owner: CallerName,
    listed: Annotated[Listed, Depends()],
    cursor: Annotated[str | None, Query()] = None,
) -> dict[str, Any]:
    """One's own predictions, newest first."""
    return await run_in_threadpool(_page, service, owner, listed, cursor)


@router.get("/predictions/{prediction_id}", **response_schemas.gives(response_schemas.Prediction))
async def get(prediction_id: str, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    """One prediction as it is now."""
    return await run_in_threadpool(lambda: service.json.show(found(service, prediction_id, owner)))


@router.post("/predictions/{prediction_id}/cancel", **response_schemas.gives(response_schemas.Prediction))
async def cancel(prediction_id: str, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    """Stop it, waiting or running. One that is over stays as it ended."""

    def work() -> dict[str, Any]:
        service.records.cancel(found(service, prediction_id, owner).id)
        return service.json.show(found(service, prediction_id, owner))

    return await run_in_threadpool(work)


async def _create(
    model: ServedModel, asked: Request, service: Service, owner: str, prefer: str | None, cancel_after: str | None
) -> Response:
    began, seconds, deadline = time.monotonic(), wait_seconds(prefer), cancel_seconds(cancel_after)
    accepted = await run_in_threadpool(_accept, model, asked, service, owner, deadline)
    try:
        if seconds is None:
            return JSONResponse(await run_in_threadpool(service.json.show, accepted), 201)
        # Clients count from when they asked, and give up half a second after that many.
        now = await ended(service, accepted, max(0.0, seconds - (time.monotonic() - began)))
        shown = await run_in_threadpool(service.json.show, now)
        return JSONResponse(as_waited_for(shown), 201 if now.status.final else 202)
    except DATABASE_AWAY as error:  # it is kept, so its caller must hear its id
        log.warning("prediction %s is kept; the database went away: %s", accepted.id, in_short(error))
        return JSONResponse(service.json.remembered(accepted), 202)


def _accept(model: ServedModel, asked: Request, service: Service, owner: str, deadline: float | None) -> Prediction:
    events = _webhook_events(asked, service.settings.allow_private)
    return service.intake.accept(
        Submission(owner, DOOR, model, asked.input, bool(asked.stream), asked.webhook, events, deadline)
    )


def _webhook_events(asked: Request, allow_private: bool) -> tuple[str, ...]:
    """Of which its webhook is told, if it has one. Raises InvalidRequest."""
    if asked.webhook is not None:
        check_public_url(asked.webhook, "webhook", allow_private=allow_private)
        return parse_events(asked.webhook_events_filter, "webhook_events_filter")
    if asked.webhook_events_filter is not None:
        raise InvalidRequest(
            "webhook_events_filter", "is given without a webhook, so nobody would be told. Send its URL as webhook too."
        )
    return ()


async def ended(service: Service, prediction: Prediction, seconds: float | None) -> Prediction:
    """The prediction at its end, or as it is after so many seconds."""
    return await service.changes.until(
        prediction.id, lambda: current(service.records, prediction.id), lambda now: now.status.final, seconds
    )


def found(service: Service, prediction_id: str, owner: str) -> Prediction:
    """The caller's own prediction. Raises 404 also for somebody else's."""
    prediction = service.records.get(prediction_id, owner)
    if prediction is None:
        raise HTTPException(404, f"There is no prediction {prediction_id[:64]!r} of yours.")
    return prediction


def named(owner: str, name: str, served: Served) -> ServedModel:
    model = served.get(f"{owner}/{name}")
    if model is None:
        raise HTTPException(404, f"There is no model {f'{owner}/{name}'[:80]!r}. Served: {', '.join(served)}.")
    return model


def model_of(version: str, served: Served) -> ServedModel:
    """By "owner/name", "owner/name:version" or a version alone. Raises InvalidRequest."""
    name, _, digits = version.rpartition(":") if ":" in version else ("", "", version)
    for model in served.values():
        if version == model.full_name or (digits == model.version and name in ("", model.full_name)):
            return model
    known = ", ".join(f"{m.full_name}:{m.version}" for m in served.values())
    raise InvalidRequest("version", f"is {version[:100]!r}; this is served: {known}.")


def _page(service: Service, owner: str, listed: Listed, cursor: str | None) -> dict[str, Any]:
    period, place = listed.period(), _place(service, owner, cursor)
    if listed.source is not None:
        return {"results": [], "next": None, "previous": None}
    found = service.history.page(owner, limit=PAGE_SIZE, door=DOOR, period=period, **place)

    def link(way: str, place: Prediction) -> str:
        return service.links.page_of("/v1/predictions", f"{way}-{place.id}", listed.query())

    return {
        "results": service.json.show_all(found.rows),
        "next": link("after", found.rows[-1]) if found.has_older else None,
        "previous": link("before", found.rows[0]) if found.has_newer else None,
    }


def _place(service: Service, owner: str, cursor: str | None) -> dict[str, Prediction]:
    """Of a cursor: where to go on, and which way."""
    if cursor is None:
        return {}
    way, _, prediction_id = cursor.partition("-")
    place = service.records.get(prediction_id, owner)
    if way not in ("after", "before") or place is None:
        raise InvalidRequest("cursor", f"is {cursor[:60]!r}; follow the links in next and previous.")
    return {way: place}
