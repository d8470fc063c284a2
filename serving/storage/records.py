"""Predictions as they are kept: one row each, moved from state to state by single statements. Knows no HTTP.

    starting ──► processing ──► succeeded | failed
        │             └───────► canceled
        └──► canceled | aborted (its deadline passed before it began)

Every change names the states it may start from and the attempt it belongs to, so a worker that was given up on, or one
that comes too late, changes nothing. The states at the end are final.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from serving.storage.database import predictions as table
from serving.storage.ids import may_be_id

LONGEST_LOGS = 100_000  # characters kept of a prediction's logs: the newest


class Status(StrEnum):
    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"

    @property
    def final(self) -> bool:
        return self not in ACTIVE


ACTIVE = (Status.STARTING, Status.PROCESSING)


@dataclass(frozen=True)
class Prediction:
    """One prediction at one moment. Times are seconds since 1970."""

    id: str
    owner: str
    door: str
    model: str
    version: str
    input: dict[str, Any]  # as it was given, files as "file:ID" or URLs
    settled: dict[str, Any] = field(default_factory=dict)  # what was drawn or decided for it, so that it repeats: seed
    streaming: bool = False  # audio leaves as soon as it is exact; else passages are checked first
    status: Status = Status.STARTING
    created_at: float = field(default_factory=time.time)
    started_at: float | None = None
    completed_at: float | None = None
    deadline: float | None = None  # then it is cancelled
    attempt: int = 0  # how often it was begun
    progress: float = 0.0  # 0-1
    audio_seconds: float = 0.0  # made so far
    logs: str = ""
    output: str | None = None  # id of a file
    error: str | None = None
    problems: list[list[str]] = field(default_factory=list)  # [input, what is the matter with it], if that is the error
    metrics: dict[str, Any] = field(default_factory=dict)
    webhook: str | None = None
    webhook_events: list[str] = field(default_factory=list)
    data_removed: bool = False
    key: str | None = None
    key_hash: str | None = None


_COLUMNS = [table.c[f.name] for f in fields(Prediction)]


class KeyConflict(ValueError):
    """The same Idempotency-Key came with another body."""


class Records:
    """The rows. on_change hears the id of every prediction that this process changes, after the change is kept."""

    def __init__(
        self,
        engine: sa.Engine,
        on_change: Callable[[str], None] = lambda prediction_id: None,
        unsynced: sa.Engine | None = None,
    ) -> None:
        """unsynced: the same database for what a power cut may take: how far a prediction is."""
        self._engine, self._unsynced = engine, unsynced or engine
        self._on_change = on_change

    def create(self, prediction: Prediction) -> tuple[Prediction, bool]:
        """Keep a new one → (it, True); or (the one that has its key, False). Raises KeyConflict."""
        try:
            with self._engine.begin() as connection:
                connection.execute(table.insert().values(asdict(prediction)))
        except sa.exc.IntegrityError:
            p = prediction
            found = self.of_key(p.owner, p.door, p.key, p.key_hash) if p.key else None
            if found is None:
                raise
            return found, False
        self.tell(prediction.id)
        return prediction, True

    def of_key(self, owner: str, door: str, key: str, key_hash: str | None) -> Prediction | None:
        """The one that has this Idempotency-Key. Raises KeyConflict where it came with another body."""
        found = self._select(table.c.owner == owner, table.c.door == door, table.c.key == key)
        if found and found[0].key_hash != key_hash:
            raise KeyConflict(key)
        return found[0] if found else None

    def get(self, prediction_id: str, owner: str | None = None) -> Prediction | None:
        """owner: whose it must be, if given."""
        if not may_be_id(prediction_id):
            return None
        found = self._select(table.c.id == prediction_id, *([table.c.owner == owner] if owner is not None else []))
        return found[0] if found else None

    def page(
        self, owner: str, *, limit: int, door: str | None = None, after: Prediction | None = None,
        before: Prediction | None = None,
    ) -> list[Prediction]:  # fmt: skip
        """The owner's newest first: those behind `after`, or those that lead up to `before`."""
        wanted = [table.c.owner == owner, *([table.c.door == door] if door else [])]
        place = sa.tuple_(table.c.created_at, table.c.id)
        if before is not None:
            wanted.append(place > sa.tuple_(before.created_at, before.id))
            newer = self._select(*wanted, order=(table.c.created_at, table.c.id), limit=limit)
            return newer[::-1]
        if after is not None:
            wanted.append(place < sa.tuple_(after.created_at, after.id))
        return self._select(*wanted, order=(table.c.created_at.desc(), table.c.id.desc()), limit=limit)

    def begin(self, prediction_id: str) -> Prediction | None:
        """A worker takes it on, for the first time or again; None if it is over.

        One statement: of two that begin it together, each learns the number of its own attempt.
        """
        started = sa.func.coalesce(table.c.started_at, time.time())
        fresh = {"progress": 0.0, "audio_seconds": 0.0, "logs": "", "error": None, "problems": []}
        begun = table.update().where(table.c.id == prediction_id, table.c.status.in_(ACTIVE))
        begun = begun.values(status=Status.PROCESSING, started_at=started, attempt=table.c.attempt + 1, **fresh)
        with self._engine.begin() as connection:
            row = connection.execute(begun.returning(*_COLUMNS)).mappings().one_or_none()
        if row is None:
            return None
        self.tell(prediction_id)
        return _prediction(row)

    def report(self, now: Prediction, progress: float, audio_seconds: float, logs: str) -> bool:
        """How far it is, with all of its logs; False: it was cancelled, or someone else works on it."""
        values = {"progress": progress, "audio_seconds": audio_seconds, "logs": logs[-LONGEST_LOGS:]}
        with self._unsynced.begin() as connection:
            changed = self._change(self._still(now), values, connection)
        if changed:
            self.tell(now.id)
        return bool(changed)

    def finish(self, now: Prediction, status: Status, connection: sa.Connection | None = None, **values: Any) -> bool:
        """Its end; False if it had ended before, or someone else works on it.

        In this transaction, if one is given: then `tell` is the caller's to call once it is kept.
        """
        values |= {"status": status, "completed_at": time.time()}
        if status is Status.SUCCEEDED:
            values["progress"] = 1.0
        changed = self._change(self._still(now), values, connection)
        if changed and connection is None:
            self.tell(now.id)
        return bool(changed)

    def tell(self, prediction_id: str) -> None:
        """Wake those in this process who wait for it."""
        self._on_change(prediction_id)

    def cancel(self, prediction_id: str, owner: str | None = None) -> bool:
        """False if there is none, or it is over."""
        mine = [table.c.owner == owner] if owner is not None else []
        values = {"status": Status.CANCELED, "completed_at": time.time()}
        changed = self._change([table.c.id == prediction_id, table.c.status.in_(ACTIVE), *mine], values)
        if changed:
            self.tell(prediction_id)
        return bool(changed)

    def expire(self, now: float) -> list[str]:
        """End those whose deadline has passed → their ids."""
        late = [p for p in self._select(table.c.status.in_(ACTIVE), table.c.deadline <= now)]
        return [p.id for p in late if self._abort(p, now)]

    def _abort(self, late: Prediction, now: float) -> bool:
        ended = Status.ABORTED if late.status is Status.STARTING else Status.CANCELED
        changed = self._change(
            [table.c.id == late.id, table.c.status == late.status], {"status": ended, "completed_at": now}
        )
        if changed:
            self.tell(late.id)
        return bool(changed)

    def active(self, *, status: Sequence[Status] = ACTIVE, owner: str | None = None) -> list[Prediction]:
        """Those that are not over, oldest first."""
        mine = [table.c.owner == owner] if owner is not None else []
        return self._select(table.c.status.in_(status), *mine, order=(table.c.created_at, table.c.id))

    def unfinished(self, created_before: float) -> list[str]:
        """The ids of those that are not over."""
        wanted = (table.c.status.in_(ACTIVE), table.c.created_at < created_before)
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(table.c.id).where(*wanted)).scalars())

    def _count(self, *wanted: sa.ColumnElement[bool]) -> int:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(table).where(*wanted)).scalar_one()

    def count_of(self, model: str) -> int:
        return self._count(table.c.model == model)

    def waiting(self, owner: str | None = None) -> int:
        """How many are not over."""
        mine = [table.c.owner == owner] if owner is not None else []
        return self._count(table.c.status.in_(ACTIVE), *mine)

    def queue_position(self, of: Prediction) -> int | None:
        """1 for the next to be begun; None for one that has begun."""
        if of.status is not Status.STARTING:
            return None
        earlier = sa.tuple_(table.c.created_at, table.c.id) <= sa.tuple_(of.created_at, of.id)
        return self._count(table.c.status == Status.STARTING, table.c.model == of.model, earlier)

    def cancelled_among(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that are over: whoever works on them should stop."""
        return [p.id for p in self._select(table.c.id.in_(ids), table.c.status.notin_(ACTIVE))] if ids else []

    def ended_unbegun(self, since: float) -> list[str]:
        """Those that ended since that time while they waited for their turn."""
        return [p.id for p in self._select(table.c.completed_at >= since, table.c.started_at.is_(None))]

    def remove_data(self, completed_before: float) -> int:
        """Forget input, output and logs of those that ended long ago → how many."""
        return self._change(
            [table.c.completed_at < completed_before, sa.not_(table.c.data_removed)],
            {"input": {}, "settled": {}, "output": None, "logs": "", "data_removed": True},
        )

    def _still(self, now: Prediction) -> list[sa.ColumnElement[bool]]:
        return [table.c.id == now.id, table.c.status == Status.PROCESSING, table.c.attempt == now.attempt]

    def _change(
        self, wanted: Sequence[sa.ColumnElement[bool]], values: dict[str, Any], connection: sa.Connection | None = None
    ) -> int:
        statement = table.update().where(*wanted).values(values)
        if connection is not None:
            return connection.execute(statement).rowcount
        with self._engine.begin() as own:
            return own.execute(statement).rowcount

    def _select(
        self, *wanted: sa.ColumnElement[bool], order: Sequence[Any] = (), limit: int | None = None
    ) -> list[Prediction]:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*_COLUMNS).where(*wanted).order_by(*order).limit(limit))
            return [_prediction(row) for row in rows.mappings()]


def _prediction(row: sa.RowMapping) -> Prediction:
    return Prediction(**{**row, "status": Status(row["status"])})
