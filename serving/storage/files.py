"""Files people sent and files made for them: a row each, and the bytes in the store. Knows no HTTP.

A file that can be seen has its bytes. Its row is there before them and after them too, as one that nobody but the sweep
can see, so that a crash at any moment leaves no bytes which nothing knows of, in a folder or in a bucket.
"""

import hashlib
import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from serving.storage.database import DATABASE_AWAY
from serving.storage.ids import may_be_id, new_id
from serving.storage.store import CHUNK_BYTES, Store
from serving.storage.tables import files as table
from serving.storage.workspace import Workspace

log = logging.getLogger("parley.files")

UPLOAD, OUTPUT, VOICE = "upload", "output", "voice"
UNSEEN = "unseen"  # kind of a row whose bytes are on their way, in or out
FILE_PREFIX = "file:"  # of inputs of predictions that are files of ours
WANTED_SECONDS = 600.0  # an input is kept for this long at least after the last look at who waits for it
ARRIVAL_SECONDS = 3600.0  # an unseen row is older than this only if its process died


@dataclass(frozen=True)
class File:
    """Times are seconds since 1970; size is bytes."""

    owner: str
    kind: str
    name: str
    content_type: str
    size: int
    sha256: str
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: float = field(default_factory=time.time)
    expires_at: float | None = None
    id: str = field(default_factory=new_id)

    @property
    def key(self) -> str:
        return f"{self.id[:2]}/{self.id}"

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= time.time()


_COLUMNS = [table.c[f.name] for f in fields(File)]


class Files:
    def __init__(self, engine: sa.Engine, store: Store, workspace: Workspace) -> None:
        """workspace: for what is on its way here, and for others who work on files."""
        self._engine, self._store = engine, store
        self.workspace = workspace

    def stage(self, source: Path, **described: Any) -> File:
        """Into the store, unseen until it is published. described: fields of File but for size and sha256."""
        file = File(size=source.stat().st_size, sha256=_sha256(source), **described)
        unseen = replace(file, kind=UNSEEN, expires_at=time.time() + ARRIVAL_SECONDS)
        with self._engine.begin() as connection:
            connection.execute(table.insert().values(asdict(unseen)))
        self._store.put(file.key, source)
        return file

    def publish(self, file: File, connection: sa.Connection) -> File:
        """What `stage` gave, seen as soon as this transaction is kept."""
        statement = table.update().where(table.c.id == file.id, table.c.kind == UNSEEN).values(asdict(file))
        changed = connection.execute(statement).rowcount
        assert changed == 1, file.id  # it took longer than ARRIVAL_SECONDS, and its bytes were swept
        return file

    def get(self, file_id: str, owner: str | None = None) -> File | None:
        """None also for one that has expired."""
        if not may_be_id(file_id):
            return None
        mine = [table.c.owner == owner] if owner is not None else []
        found = self._select(table.c.id == file_id, table.c.kind != UNSEEN, *mine)
        return found[0] if found and not found[0].expired else None

    def by_id(self, ids: Collection[str]) -> dict[str, File]:
        """Those of them that `get` would give."""
        found = self._select(table.c.id.in_(ids), table.c.kind != UNSEEN) if ids else []
        return {file.id: file for file in found if not file.expired}

    def page(self, owner: str, kind: str, *, limit: int, after: File | None = None) -> list[File]:
        """The owner's, newest first."""
        place = sa.tuple_(table.c.created_at, table.c.id)
        behind = [place < sa.tuple_(after.created_at, after.id)] if after else []
        alive = sa.or_(table.c.expires_at.is_(None), table.c.expires_at > time.time())
        wanted = (table.c.owner == owner, table.c.kind == kind, alive, *behind)
        return self._select(*wanted, order=(table.c.created_at.desc(), table.c.id.desc()), limit=limit)

    def count(self, owner: str, kind: str, connection: sa.Connection | None = None) -> tuple[int, int]:
        """How many the owner has of a kind, and their bytes; in this transaction if one is given."""
        counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(table.c.size), 0))
        with nullcontext(connection) if connection is not None else self._engine.connect() as asked:
            number, size = asked.execute(counted.where(table.c.owner == owner, table.c.kind == kind)).one()
        return int(number), int(size)

    def read(self, file: File, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return self._store.read(file.key, start, file.size if end is None else end)

    def copy_to(self, file: File, path: Path) -> Path:
        """Its bytes into a new file of ours."""
        with path.open("xb") as written:
            for piece in self.read(file):
                written.write(piece)
        return path

    def keep_until(self, ids: Sequence[str], moment: float) -> int:
        """What of these would expire sooner is kept until then, seconds since 1970 → how many of them are here."""
        here = (table.c.id.in_(ids), table.c.kind != UNSEEN)
        with self._engine.begin() as connection:
            connection.execute(table.update().where(*here, table.c.expires_at < moment).values(expires_at=moment))
            return connection.execute(sa.select(sa.func.count()).select_from(table).where(*here)).scalar_one()

    def delete(self, file: File) -> None:
        """Out of sight first, then the bytes, then the row; one that was not done with is swept."""
        with self._engine.begin() as connection:
            self.hide(file.id, connection)
        self.remove_hidden(file)

    def hide(self, file_id: str, connection: sa.Connection, *still: sa.ColumnElement[bool]) -> bool:
        """Nobody sees it as soon as this transaction is kept, and the sweep may remove it; False if it is not `still`
        so, or gone."""
        this = table.update().where(table.c.id == file_id, *still)
        return connection.execute(this.values(kind=UNSEEN, expires_at=time.time())).rowcount == 1

    def remove_hidden(self, file: File) -> None:
        """The bytes and the row of one that nobody sees any more."""
        self._store.delete(file.key)
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(table.c.id == file.id))

    def delete_expired(self, now: float) -> int:
        """→ how many. One that cannot be deleted now is left for the next time, and keeps no other."""
        return sum(self._delete_expired(file, now) for file in self._select(table.c.expires_at <= now))

    def _delete_expired(self, file: File, now: float) -> bool:
        try:
            with self._engine.begin() as connection:
                # Asked for again in this moment, it is kept longer.
                expired = self.hide(file.id, connection, table.c.expires_at <= now)
            if expired:
                self.remove_hidden(file)
            return expired
        except DATABASE_AWAY:
            raise
        except Exception:
            log.exception("file %s could not be deleted", file.id)
            return False

    def _select(
        self, *wanted: sa.ColumnElement[bool], order: tuple[Any, ...] = (), limit: int | None = None
    ) -> list[File]:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*_COLUMNS).where(*wanted).order_by(*order).limit(limit))
            return [File(**row) for row in rows.mappings()]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()
