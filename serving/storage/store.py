"""The bytes of files, by key: a local folder, or a bucket (S3, Google Cloud Storage, Azure) through obstore.

Keys are made by us ("ab/abcdef…"), never by callers. Once put() returns the bytes are safe; a key is never half there.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import obstore
import obstore.exceptions
import obstore.store

from models.errors import InvalidRequest

CHUNK_BYTES = 1 << 20


class Store(Protocol):
    def put(self, key: str, source: Path) -> None:
        """Keep the bytes of a file under a key."""
        ...

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes start to end, the last excluded. Raises FileNotFoundError at once."""
        ...

    def delete(self, key: str) -> None:
        """Also where there is none."""
        ...

    def sweep(self, before: float) -> None:
        """Remove what processes that were killed left half written before that time (seconds since 1970)."""
        ...


def open_store(folder: Path, bucket: str | None) -> Store:
    """bucket: such as s3://name/prefix or gs://name, its credentials where that service's tools look for them.

    Raises InvalidRequest for what names no bucket; whether it can be reached shows when the first file is kept.
    """
    if not bucket:
        return FolderStore(folder)
    try:
        return BucketStore(obstore.store.from_url(bucket))
    except (ValueError, obstore.exceptions.BaseError) as error:
        raise InvalidRequest(
            "bucket", f"is {bucket!r}, which names none. Write it like s3://name or gs://name."
        ) from error


class FolderStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arriving = folder / ".arriving"  # of the same file system, so that a rename is one step
        self._arriving.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, key: str, source: Path) -> None:
        """To a temporary name, onto the disk, then to its own."""
        path = self._path(key)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        temporary = self._arriving / secrets.token_hex(16)
        try:
            _copy_to_disk(source, temporary)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
        _sync_folder(self._folder)  # where the parent's own name is

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        file = self._path(key).open("rb")
        return _pieces(file, start, end)

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def sweep(self, before: float) -> None:
        for path in self._arriving.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has just arrived, or another process swept it
                if path.stat().st_mtime < before:
                    path.unlink()

    def _path(self, key: str) -> Path:
        assert all(part.isalnum() for part in key.split("/")), key
        return self._folder / key


class BucketStore:
    """An object appears whole or not at all: that is what object storage promises."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket

    def put(self, key: str, source: Path) -> None:
        obstore.put(self._bucket, key, source)

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        obstore.head(self._bucket, key)  # raises FileNotFoundError now, not when the first bytes are asked for
        return self._ranges(key, start, end)

    def _ranges(self, key: str, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, CHUNK_BYTES):
            yield bytes(obstore.get_range(self._bucket, key, start=at, end=min(at + CHUNK_BYTES, end)))

    def delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            obstore.delete(self._bucket, key)

    def sweep(self, before: float) -> None:
        """Nothing half written can be seen; what a broken upload may have cost is the bucket's lifecycle rule's."""


def _copy_to_disk(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("xb") as written:
        while piece := read.read(CHUNK_BYTES):
            written.write(piece)
        written.flush()
        os.fsync(written.fileno())


def _sync_folder(folder: Path) -> None:
    """Onto the disk with the new name too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pieces(file: Any, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end and (piece := file.read(min(CHUNK_BYTES, end - start))):
            start += len(piece)
            yield piece
