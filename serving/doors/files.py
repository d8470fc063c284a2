"""Door 2's files: upload, look at, download by signed link, delete. Callers' file names are shown, never used."""

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Header, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import WithJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile as Part
from starlette.exceptions import HTTPException

from models.errors import InvalidRequest
from serving.intake import refuse_more_uploads
from serving.prediction_json import moment
from serving.service import Service
from serving.storage.files import UPLOAD, File
from serving.web import response_schemas
from serving.web.gate import CallerName, CreatorName, ServiceDep

PAGE = 100  # files
LONGEST_NAME = 200  # characters
LONGEST_METADATA, DEEPEST_METADATA = 10_000, 20  # characters, levels
INLINE = ("audio/", "image/")  # types a browser may show itself: they run no scripts

router = APIRouter(prefix="/v1/files", tags=["files"])
Metadata = Annotated[
    Any, Form(description="A JSON object."), WithJsonSchema({"type": "string", "contentMediaType": "application/json"})
]
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@router.post("", status_code=201, **response_schemas.gives(response_schemas.StoredFile, 201))
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
    rows = service.files.page(owner, UPLOAD, limit=PAGE + 1, after=place)
    more = service.links.page_of("/v1/files", rows[PAGE - 1].id) if len(rows) > PAGE else None
    return {"results": [show(file, service) for file in rows[:PAGE]], "next": more, "previous": None}


@router.get("/{file_id}", **response_schemas.gives(response_schemas.StoredFile))
def get(file_id: str, service: ServiceDep, owner: CallerName) -> dict[str, Any]:
    return show(_found(service, file_id, owner), service)


@router.delete("/{file_id}", status_code=204)
def delete(file_id: str, service: ServiceDep, owner: CallerName) -> Response:
    service.files.delete(_found(service, file_id, owner))
    return Response(status_code=204)


@router.head("/{file_id}/download", include_in_schema=False)
@router.get("/{file_id}/download", **response_schemas.gives_bytes("*/*", 200, 206))
def download(
    file_id: str,
    service: ServiceDep,
    owner: Annotated[str, Query()],
    expiry: Annotated[int, Query()],
    signature: Annotated[str, Query()],
    wanted: Annotated[str | None, Header(alias="range")] = None,
) -> StreamingResponse:
    """The bytes, for whoever has the link while it is good. Ranges of bytes too."""
    if not service.links.opens(owner, file_id, expiry, signature):
        raise HTTPException(404, "This link is not one of ours, or has expired. Ask for the prediction or file again.")
    return send(_found(service, file_id, owner), service, wanted)


def send(file: File, service: Service, wanted: str | None) -> StreamingResponse:
    """A file as an answer. wanted: a Range header."""
    start, end = _range(wanted, file.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
        "Content-Disposition": _disposition(file),
        "Cache-Control": "private, max-age=3600",
        "ETag": f'"{file.sha256}"',
    }
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    pieces: Iterator[bytes] = service.files.read(file, start, end)
    return StreamingResponse(pieces, 206 if wanted is not None else 200, headers, file.content_type)


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
    limits = service.settings.limits
    refuse_more_uploads(service.files, owner, limits)
    with tempfile.NamedTemporaryFile(prefix="parley-") as temporary:
        written = 0
        while piece := content.file.read(1 << 20):
            written += len(piece)
            if written > limits.upload_bytes:
                raise HTTPException(
                    413,
                    f"The file has more than {limits.upload_bytes} bytes, the most that is taken. Send a shorter one.",
                )
            temporary.write(piece)
        temporary.flush()
        if not written:
            raise InvalidRequest("content", "is empty; send a file.")
        file = service.files.put_bytes(
            Path(temporary.name),
            owner=owner,
            kind=UPLOAD,
            expires_at=time.time() + service.settings.keep_seconds,
            **described,
        )
    return service.files.add(file)


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


def _range(wanted: str | None, size: int) -> tuple[int, int]:
    """First byte and the one behind the last. Raises 416."""
    if wanted is None:
        return 0, size
    found = _RANGE.fullmatch(wanted.strip())
    if found is not None and (found[1] or found[2]):
        first, last = found.groups()
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
        if start < end:
            return start, end
    raise HTTPException(416, f"Of {size} bytes this range gives none.", {"Content-Range": f"bytes */{size}"})


def _shown_name(name: str | None) -> str:
    """Printable, without paths, not too long."""
    last = re.split(r"[/\\]", name or "")[-1]
    return "".join(c for c in last if c.isprintable())[-LONGEST_NAME:] or "file"


def _plain_type(content_type: str | None) -> str:
    given = (content_type or "").lower()
    return given if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}", given) else "application/octet-stream"


def _disposition(file: File) -> str:
    how = "inline" if file.content_type.startswith(INLINE) and "svg" not in file.content_type else "attachment"
    return f"{how}; filename*=UTF-8''{quote(file.name)}"
