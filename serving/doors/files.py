"""Door 2's files: upload, look at, download by signed link, delete. Callers' file names are shown, never used."""

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import WithJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile as Part
from starlette.exceptions import HTTPException

from models.errors import InvalidRequest
from serving.prediction_json import moment
from serving.service import Service
from serving.storage.files import UPLOAD, File
from serving.storage.workspace import TooManyBytes
from serving.web import response_schemas
from serving.web.file_answer import RangeHeader, head_of, send
from serving.web.form_fields import only_declared
from serving.web.gate import CallerName, CreatorName, ServiceDep

PAGE_SIZE = 100  # files
LONGEST_NAME = 200  # characters
LONGEST_METADATA, DEEPEST_METADATA = 10_000, 20  # characters, levels

router = APIRouter(prefix="/v1/files", tags=["files"])
Metadata = Annotated[
    Any, Form(description="A JSON object."), WithJsonSchema({"type": "string", "contentMediaType": "application/json"})
]


@router.post(
    "",
    status_code=201,
    dependencies=[Depends(only_declared())],
    **response_schemas.gives(response_schemas.StoredFile, 201),
)
async def create(
    service: ServiceDep,
    owner: CreatorName,
    content: UploadFile,
    filename: Annotated[str | None, Form(description="In the place of the one that came with the content.")] = None,
    type_: Annotated[str | None, Form(alias="type", description="Likewise, the content's type.")] = None,
    metadata: Metadata = None,
) -> dict[str, Any]:
    """Upload a file, to be used as an input."""
    described = {
        "name": _shown_name(filename or content.filename),
        "content_type": _plain_type(type_ or content.content_type),
        "metadata": await _metadata(metadata),
    }
    return show(await run_in_threadpool(_keep, service, owner, content, described), service)


@router.get("", **response_schemas.gives(response_schemas.FilePage))
def page(service: ServiceDep, owner: CallerName, cursor: Annotated[str | None, Query()] = None) -> dict[str, Any]:
    """One's own uploads, newest first."""
    place = None
    if cursor is not None and (place := service.files.get(cursor, owner)) is None:
        raise InvalidRequest("cursor", f"is {cursor[:60]!r}; follow the link in next.")
    rows = service.files.page(owner, UPLOAD, limit=PAGE_SIZE + 1, after=place)
    more = service.links.page_of("/v1/files", rows[PAGE_SIZE - 1].id) if len(rows) > PAGE_SIZE else None
    return {"results": [show(file, service) for file in rows[:PAGE_SIZE]], "next": more, "previous": None}


@router.get("/{file_id}", **response_schemas.gives(response_schemas.StoredFile))
def get(file_id: str, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    return show(_found(service, file_id, owner), service)


@router.delete("/{file_id}", status_code=204)
def delete(file_id: str, service: ServiceDep, owner: CallerName) -> Response:
    service.files.delete(_found(service, file_id, owner))
    return Response(status_code=204)


def _linked(
    file_id: str,
    service: ServiceDep,
    owner: Annotated[str, Query()],
    expiry: Annotated[int, Query()],
    signature: Annotated[str, Query()],
) -> File:
    """What a signed link stands for."""
    if not service.links.opens(owner, file_id, expiry, signature):
        raise HTTPException(404, "This link is not one of ours, or has expired. Ask for the prediction or file again.")
    return _found(service, file_id, owner)


Linked = Annotated[File, Depends(_linked)]


@router.get("/{file_id}/download", **response_schemas.gives_bytes("*/*", 200, 206, errors=(416,)))
def download(file: Linked, service: ServiceDep, byte_range: RangeHeader = None) -> StreamingResponse:
    """The bytes, for whoever has the link while it is good. Ranges of bytes too."""
    return send(file, service, byte_range)


@router.head("/{file_id}/download", include_in_schema=False)
def head(file: Linked) -> Response:
    """What `download` would answer with, its bytes left where they are."""
    return head_of(file)


def show(file: File, service: Service) -> dict[str, Any]:
    shown = {
        "id": file.id,
        "name": file.name,
        "content_type": file.content_type,
        "size": file.size,
        "etag": file.sha256,
        "checksums": {"sha256": file.sha256},
        "metadata": file.metadata,
        "created_at": moment(file.created_at),
        "urls": {"get": service.links.download(file)},
    }
    return shown | ({"expires_at": moment(file.expires_at)} if file.expires_at is not None else {})


def _keep(service: Service, owner: str, content: UploadFile, described: dict[str, Any]) -> File:
    if not content.size:
        raise InvalidRequest("content", "is empty; send a file.")
    try:
        return service.uploads.keep(content.file, owner=owner, **described)
    except TooManyBytes as error:
        most = service.settings.upload_bytes
        raise HTTPException(
            413, f"The file has more than {most} bytes, the most that is taken. Send a shorter one."
        ) from error


async def _metadata(given: Any) -> dict[str, Any]:
    """Of a field, as most send it, or of a part that has a type of its own, as Replicate's JavaScript client does."""
    text = await given.read() if isinstance(given, Part) else given or "{}"
    if len(text) > LONGEST_METADATA:
        raise InvalidRequest("metadata", f"is longer than {LONGEST_METADATA} characters; send less.")
    try:
        found = json.loads(text)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()  # Python reads more than JSON may say
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("metadata", f"is no JSON ({error}). Send an object.") from error
    if not isinstance(found, dict) or _deeper(found, DEEPEST_METADATA):
        raise InvalidRequest("metadata", f"is no object, or one of over {DEEPEST_METADATA} levels. Send a flat object.")
    return found


def _deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(one, levels - 1) for one in inside)


def _found(service: Service, file_id: str, owner: str) -> File:
    file = service.files.get(file_id, owner)
    if file is None:
        raise HTTPException(404, f"There is no file {file_id[:64]!r} of yours; it may have expired.")
    return file


def _shown_name(name: str | None) -> str:
    """Printable, without paths, not too long."""
    last = re.split(r"[/\\]", name or "")[-1]
    return "".join(c for c in last if c.isprintable())[-LONGEST_NAME:] or "file"


def _plain_type(content_type: str | None) -> str:
    given = (content_type or "").lower()
    return given if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}", given) else "application/octet-stream"
