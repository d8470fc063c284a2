"""A kept file as an answer: the whole of it or a range of its bytes. Knows no route and not who may have it."""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import Header, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from serving.service import Service
from serving.storage.files import File

log = logging.getLogger("parley.http")

INLINE = ("audio/", "image/")  # types a browser may show itself: they run no scripts

RangeHeader = Annotated[str | None, Header(alias="range")]

_RANGE = re.compile(r"bytes\s*=\s*([0-9]*)-([0-9]*)", re.I)
_MOST_DIGITS = 18  # of a number of bytes: longer ones are beyond every file, and Python would refuse to read some


def send(
    file: File, service: Service, byte_range: str | None, more_headers: Mapping[str, str] | None = None
) -> StreamingResponse:
    """byte_range: a Range header. Raises 404 where the bytes are gone, and 416 for a range that holds none."""
    part = _part(byte_range, file.size)
    start, end = part or (0, file.size)
    headers = {**_headers(file), "Content-Length": str(end - start), **(more_headers or {})}
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    try:
        pieces: Iterator[bytes] = service.files.read(file, start, end)
    except FileNotFoundError as error:  # its row outlived it
        log.warning("the bytes of file %s are gone", file.id)
        raise HTTPException(404, f"The content of file {file.id} is not there any more.") from error
    return StreamingResponse(pieces, 200 if part is None else 206, headers, file.content_type)


def head_of(file: File) -> Response:
    """What `send` would answer with for all of it, its bytes left where they are."""
    return Response(headers=_headers(file) | {"Content-Length": str(file.size)}, media_type=file.content_type)


def _headers(file: File) -> dict[str, str]:
    return {
        "Accept-Ranges": "bytes",
        "Content-Disposition": _disposition(file),
        "Cache-Control": "private, max-age=3600",
        "ETag": f'"{file.sha256}"',
    }


def _disposition(file: File) -> str:
    how = "inline" if file.content_type.startswith(INLINE) and "svg" not in file.content_type else "attachment"
    return f"{how}; filename*=UTF-8''{quote(file.name)}"


def _part(byte_range: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last; None for all. Raises 416 for a range that holds no byte.

    What is no range of bytes, or several, is passed over: RFC 9110, section 14.2.
    """
    found = _RANGE.fullmatch((byte_range or "").strip())
    if found is None or not (found[1] or found[2]):
        return None
    first, last = (_number(digits) for digits in found.groups())
    if first is not None and last is not None and last < first:
        return None
    if first is None:
        assert last is not None
        start, end = max(0, size - last), size
    else:
        start, end = first, size if last is None else min(last + 1, size)
    if start >= end:
        raise HTTPException(416, f"Of {size} bytes this range gives none.", {"Content-Range": f"bytes */{size}"})
    return start, end


def _number(digits: str) -> int | None:
    if not digits:
        return None
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS
