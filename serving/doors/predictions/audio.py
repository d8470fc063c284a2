"""Door 2's streams: a prediction's audio and its events, while it is made. Both also by signed link."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from models.audio.encode import CONTENT_TYPES, AudioFormat
from models.errors import ParleyError
from serving.audio_stream import AudioStream
from serving.doors.predictions.events import events_of
from serving.doors.predictions.routes import found
from serving.service import Service
from serving.storage.records import Status
from serving.web import response_schemas
from serving.web.gate import ServiceDep, caller, gate_of

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])
EVENTS = "text/event-stream"


@router.get("/{prediction_id}/stream", **response_schemas.gives_bytes(EVENTS, 200, schema=response_schemas.EVENT))
async def stream(
    prediction_id: str,
    request: Request,
    service: ServiceDep,
    expiry: Annotated[int | None, Query()] = None,
    signature: Annotated[str | None, Query()] = None,
) -> StreamingResponse:
    """Its events: logs, output, error, done."""
    owner = await run_in_threadpool(_owner, prediction_id, request, service, expiry, signature)
    prediction = await run_in_threadpool(found, service, prediction_id, owner)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events_of(prediction, service), 200, headers, EVENTS)


@router.get("/{prediction_id}/audio", **response_schemas.gives_bytes("audio/*", 200))
async def audio(
    prediction_id: str,
    service: ServiceDep,
    owner: Annotated[str, Depends(caller)],
    output_format: Annotated[AudioFormat, Query(alias="format")] = "wav",
) -> StreamingResponse:
    """Its audio from the first sample, as it is made. Waits for the first sound; breaks off if the rest fails."""
    prediction = await run_in_threadpool(found, service, prediction_id, owner)
    listening = AudioStream(service, prediction, output_format)
    try:
        content: AsyncIterator[bytes] = await listening.open()
    except ParleyError as error:
        ended = await run_in_threadpool(found, service, prediction_id, owner)
        raise HTTPException(410 if ended.status is Status.SUCCEEDED else 409, str(error)) from error
    headers = {
        "Cache-Control": "no-store",
        "X-Sample-Rate": str(listening.sample_rate),
        "Content-Disposition": f'inline; filename="{prediction.id}.{output_format}"',
    }
    return StreamingResponse(content, 200, headers, CONTENT_TYPES[output_format])


def _owner(prediction_id: str, request: Request, service: Service, expiry: int | None, signature: str | None) -> str:
    """Whose prediction it is, by a signature, else by the caller's token."""
    if expiry is None or signature is None:
        return gate_of(request).enter(request)
    prediction = service.records.get(prediction_id)
    good = prediction is not None and service.links.opens(prediction.owner, prediction_id, expiry, signature)
    if prediction is None or not good:
        raise HTTPException(404, "This link is not one of ours, or has expired. Ask for the prediction again.")
    return prediction.owner
