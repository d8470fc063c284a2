"""Files that callers send: each of so many bytes, so many of one owner, for so long. Knows no HTTP."""

import time
from typing import Any, BinaryIO

import sqlalchemy as sa

from models.errors import Overloaded
from serving.storage.database import alone
from serving.storage.files import UPLOAD, File, Files
from serving.storage.limits import Limits
from serving.storage.workspace import write_at_most


class Uploads:
    def __init__(self, engine: sa.Engine, files: Files, limits: Limits, keep_seconds: float) -> None:
        self._engine, self._files = engine, files
        self._limits, self._keep_seconds = limits, keep_seconds

    def keep(self, content: BinaryIO, **described: Any) -> File:
        """described: owner, name, content_type and perhaps metadata. Raises Overloaded and TooManyBytes."""
        owner = described["owner"]
        self._refuse_more(owner, 1)  # before anything is read
        with self._files.workspace.folder() as folder:
            path = folder / "upload"
            write_at_most(content, path, self._limits.upload_bytes)
            file = self._files.stage(path, kind=UPLOAD, expires_at=time.time() + self._keep_seconds, **described)
        try:
            with self._engine.begin() as connection:
                alone(connection, f"uploads of {owner}")
                self._refuse_more(owner, file.size, connection)
                return self._files.publish(file, connection)
        except Overloaded:
            self._files.delete(file)
            raise

    def _refuse_more(self, owner: str, size: int, connection: sa.Connection | None = None) -> None:
        """size: of the one more."""
        number, bytes_kept = self._files.count(owner, UPLOAD, connection)
        limits = self._limits
        if number >= limits.uploads or bytes_kept + size > limits.uploads_bytes:
            raise Overloaded(
                f"You have {number} files of {bytes_kept} bytes here; at most {limits.uploads} and "
                f"{limits.uploads_bytes} bytes are kept. Delete some, or wait until they expire."
            )
