"""A caller's file that came as an address: an http(s) URL, or a data: URI that is the file itself.

Knows bytes and sizes, never what is in a file. Which hosts may be asked is decided in addresses.py.
"""

import base64
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

import httpx

from models.errors import InvalidRequest
from serving.addresses import AddressRefused
from serving.public_http import public_client
from serving.urls import parse_url, without_secrets

PIECE_BYTES = 65_536  # unpacked at once
SHOWN_CHARACTERS = 200  # of a URL, in an error
REDIRECTS = (301, 302, 303, 307, 308)
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # zlib finds out which

_TOKEN = r"[A-Za-z0-9!#$&^_.+-]{1,127}"  # RFC 6838 section 4.2
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class FetchLimits:
    """max_bytes: of the content, unpacked. seconds: for everything, all redirects included."""

    max_bytes: int = 50_000_000
    seconds: float = 30.0
    max_redirects: int = 3
    allow_private: bool = False


def fetch_url(url: str, field: str, destination: Path, limits: FetchLimits) -> None:
    """Bring what an http(s) URL names to `destination`, which is replaced, and removed again on any failure.

    Raises InvalidRequest(field, …) for a URL that cannot be fetched within the limits, for whatever reason.
    """
    wanted = _Wanted(parse_url(url, field), field, limits)
    try:
        with wanted.told(), wanted.answer() as response:
            _save(wanted.content(response), destination)
    except BaseException:
        destination.unlink(missing_ok=True)
        raise


def _save(pieces: Iterable[bytes], destination: Path) -> None:
    with destination.open("wb") as file:
        file.writelines(pieces)


@dataclass(frozen=True)
class _Wanted:
    """One file that is asked for, and how its failures are told."""

    url: httpx.URL
    field: str
    limits: FetchLimits

    def refused(self, problem: str) -> InvalidRequest:
        shown = str(without_secrets(self.url))
        if len(shown) > SHOWN_CHARACTERS:
            shown = f"{shown[:SHOWN_CHARACTERS]}…"
        return InvalidRequest(self.field, f"is at {shown}, which {problem}")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors of the network → InvalidRequest."""
        try:
            yield
        except AddressRefused as error:
            raise self.refused(
                "is not on the public internet. Send the file itself, or put it on a public host."
            ) from error
        except httpx.TimeoutException as error:
            seconds = f"{self.limits.seconds:g} s"
            raise self.refused(
                f"took longer than {seconds}, the limit. Use a faster host, or send the file itself."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            kind = type(error).__name__
            raise self.refused(f"could not be read ({kind}: {error}). Try again, or send the file itself.") from error

    @contextmanager
    def answer(self) -> Iterator[httpx.Response]:
        """The response that brings the file, after at most max_redirects redirects, each checked like the first URL."""
        ends, url = time.monotonic() + self.limits.seconds, self.url
        with public_client(allow_private=self.limits.allow_private, seconds=self.limits.seconds) as client:
            for _ in range(self.limits.max_redirects + 1):
                left = max(0.0, ends - time.monotonic())
                with client.stream("GET", url, headers={"Accept-Encoding": "identity"}, timeout=left) as response:
                    if response.status_code not in REDIRECTS:
                        yield self._checked(response)
                        return
                    url = self._next(url, response.headers.get("location", ""))
        raise self.refused(f"redirects more than {self.limits.max_redirects} times, the limit. Use the last URL.")

    def _next(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            return parse_url(str(url.join(location)) if location else "", self.field)
        except (httpx.InvalidURL, InvalidRequest) as error:
            raise self.refused("redirects to no http or https address. Use a URL that gives the file.") from error

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.status_code != 200:
            raise self.refused(
                f"answered with status {response.status_code}; only 200 brings a file. Use a URL that anyone may open."
            )
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.limits.max_bytes:
            raise self._too_large(f"has {int(declared)} bytes")
        return response

    def _too_large(self, finding: str) -> InvalidRequest:
        return self.refused(f"{finding}; at most {self.limits.max_bytes} are taken. Send a smaller file.")

    def content(self, response: httpx.Response) -> Iterator[bytes]:
        """The file's bytes, unpacked if the server packs what it was asked to send plain."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        pieces: Iterator[bytes] = response.iter_raw()
        if encoding in ("gzip", "x-gzip", "deflate"):
            pieces = self._unpacked(pieces)
        elif encoding not in ("", "identity"):
            raise self.refused(f"is packed as {encoding!r}. Use a host that sends the file plain, or with gzip.")
        size = 0
        for piece in pieces:
            size += len(piece)
            if size > self.limits.max_bytes:
                raise self._too_large("has more bytes than the limit")
            yield piece

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """In pieces of PIECE_BYTES, however much a few packed bytes unfold to."""
        unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
        beyond = False
        try:
            for piece in pieces:
                if beyond := unpacker.eof:
                    break
                # After the end zlib would keep every byte, and may offer the same ones again for ever.
                while piece and not unpacker.eof:
                    yield unpacker.decompress(piece, PIECE_BYTES)
                    piece = unpacker.unconsumed_tail
            yield unpacker.flush()
        except zlib.error as error:
            raise self.refused("is packed, and damaged. Use a host that sends the file plain.") from error
        if beyond or unpacker.unused_data or not unpacker.eof:
            raise self.refused("is packed, and does not end where it should. Use a host that sends the file plain.")


def decode_data_uri(uri: str, field: str, max_bytes: int) -> tuple[bytes, str]:
    """(content, media type without parameters) of a data: URI, base64 or percent-encoded (RFC 2397).

    Raises InvalidRequest for more than max_bytes, before anything is decoded, and for what cannot be decoded.
    """
    header, comma, data = uri.partition(",")
    if header[:5].lower() != "data:" or not comma:
        raise InvalidRequest(field, "is no data: URI. Write it like data:audio/wav;base64,UklGR…")
    kind, *parameters = (part.strip() for part in header[5:].split(";"))
    if kind and not _MEDIA_TYPE.fullmatch(kind):
        raise InvalidRequest(field, f"has the media type {kind[:SHOWN_CHARACTERS]!r}. Write it like audio/wav.")
    decode = _decode_base64 if parameters and parameters[-1].lower() == "base64" else _decode_percent
    return decode(data, field, max_bytes), kind.lower() or "text/plain"


def _decode_base64(data: str, field: str, max_bytes: int) -> bytes:
    """With or without padding; line breaks are no content."""
    letters = "".join(unquote(data).split()).rstrip("=")
    _refuse_above(max_bytes, len(letters) * 3 // 4, field)
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except ValueError as error:
        raise InvalidRequest(field, f"is no base64 after the comma ({error}). Use A-Z, a-z, 0-9, + and /.") from error


def _decode_percent(data: str, field: str, max_bytes: int) -> bytes:
    _refuse_above(max_bytes, len(data) - 2 * data.count("%"), field)
    if not data.isascii() or _BAD_ESCAPE.search(data):
        raise InvalidRequest(field, "holds what no URI may. Write other characters as % and two hexadecimal digits.")
    return unquote_to_bytes(data)


def _refuse_above(max_bytes: int, size: int, field: str) -> None:
    if size > max_bytes:
        raise InvalidRequest(field, f"holds {size} bytes; at most {max_bytes} are taken. Send a smaller file.")
