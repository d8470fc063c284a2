"""Door 2's streams: a prediction's audio and its events, while it is made. The events also by signed link."""

import os
import threading
from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from models.audio.encode import CONTENT_TYPES, AudioFormat
from models.errors import Overloaded, ParleyError
from serving.audio_stream import AudioStream
from serving.doors.predictions.events import events_of
from serving.doors.predictions.routes import found
from serving.kept_audio import kept_file, made_rate, open_converted
from serving.rendering import Rendering
from serving.service import Service
from serving.storage.prediction import Prediction, Status
from serving.storage.store import CHUNK_BYTES
from serving.web import response_schemas
from serving.web.file_answer import RangeHeader, send
from serving.web.gate import ServiceDep, caller, gate_of
from serving.web.hangup import AT_ONCE, EVENT_STREAM, WhileHeard, leaving, unless_gone

router = APIRouter(prefix="/v1/predictions", tags=["predictions"])


@router.get(
    "/{prediction_id}/stream",
    openapi_extra=response_schemas.BY_LINK_TOO,
    **response_schemas.gives_bytes(EVENT_STREAM, 200, schema=response_schemas.EVENT),
)
async def stream(
    prediction_id: str,
    request: Request,
    service: ServiceDep,
    expiry: Annotated[int | None, Query()] = None,
    signature: Annotated[str | None, Query()] = None,
) -> Response:
    """Its events: logs, output, error, done."""
    owner = await run_in_threadpool(_owner, prediction_id, request, service, expiry, signature)
    prediction = await run_in_threadpool(found, service, prediction_id, owner)
    async with leaving() as leave:
        leave.enter_context(service.listeners.place(owner))
    return WhileHeard(events_of(prediction, service), leave.close, AT_ONCE, EVENT_STREAM)


@router.get("/{prediction_id}/audio", **response_schemas.gives_bytes("audio/*", 200, 206, errors=(409, 410, 416)))
async def audio(
    prediction_id: str,
    request: Request,
    service: ServiceDep,
    owner: Annotated[str, Depends(caller)],
    output_format: Annotated[AudioFormat, Query(alias="format")] = "wav",
    byte_range: RangeHeader = None,
) -> Response:
    """Its audio from the first sample, as it is made: waits for the first sound, breaks off if the rest fails.

    Of a prediction that is over, a whole file; in the format that was asked for first, also by ranges of bytes. It is
    stereo where that was made; what is heard while it is made is mono, and so is pcm always.
    """
    prediction = await run_in_threadpool(found, service, prediction_id, owner)
    try:
        if prediction.status.final:
            return await _whole(prediction, request, service, output_format, byte_range)
        return await _live(prediction, request, service, output_format)
    except Overloaded:
        raise
    except ParleyError as error:
        ended = await run_in_threadpool(found, service, prediction_id, owner)
        raise HTTPException(410 if ended.status is Status.SUCCEEDED else 409, str(error)) from error


async def _live(prediction: Prediction, request: Request, service: Service, output_format: AudioFormat) -> Response:
    listening = AudioStream(service, prediction, output_format)
    async with leaving() as leave:
        leave.enter_context(service.listeners.place(prediction.owner))
        leave.callback(listening.close)
        content = await unless_gone(request.receive, listening.open())
    headers = _headers(prediction, output_format, listening.sample_rate)
    return WhileHeard(content, leave.close, headers, CONTENT_TYPES[output_format])


async def _whole(
    ended: Prediction, request: Request, service: Service, output_format: AudioFormat, byte_range: str | None
) -> Response:
    file = await run_in_threadpool(kept_file, ended, service.files)
    headers = _headers(ended, output_format, Rendering(output_format).heard_rate(made_rate(ended)))
    if file.content_type == CONTENT_TYPES[output_format]:
        return await run_in_threadpool(send, file, service, byte_range, headers)
    left = threading.Event()
    convert = partial(open_converted, ended, service.files, output_format, left)
    async with leaving() as leave:
        leave.enter_context(service.listeners.place(ended.owner))
        leave.callback(left.set)
        converted = await unless_gone(request.receive, service.listeners.run(convert))
        leave.callback(converted.close)
    headers["Content-Length"] = str(os.fstat(converted.fileno()).st_size)
    return WhileHeard(_bytes_of(converted), leave.close, headers, CONTENT_TYPES[output_format])


async def _bytes_of(file: BinaryIO) -> AsyncGenerator[bytes]:
    while piece := await run_in_threadpool(file.read, CHUNK_BYTES):
        yield piece


def _headers(prediction: Prediction, output_format: AudioFormat, sample_rate: int) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "X-Sample-Rate": str(sample_rate),
        "Content-Disposition": f'inline; filename="{prediction.id}.{output_format}"',
    }


def _owner(prediction_id: str, request: Request, service: Service, expiry: int | None, signature: str | None) -> str:
    """Whose prediction it is, by a signature, else by the caller's token."""
    if expiry is None or signature is None:
        return gate_of(request).enter(request)
    prediction = service.records.get(prediction_id)
    good = prediction is not None and service.links.opens(prediction.owner, prediction_id, expiry, signature)
    if prediction is None or not good:
        raise HTTPException(404, "This link is not one of ours, or has expired. Ask for the prediction again.")
    return prediction.owner
