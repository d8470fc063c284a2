"""Predictions as they are kept: one row each, moved from state to state by single statements. Knows no HTTP.

    starting ──► processing ──► succeeded | failed
        │             └───────► canceled
        └──► canceled | aborted (its deadline passed before it began)

Every change names the states it may start from and the attempt it belongs to, so a worker that was given up on, or one
that comes too late, changes nothing. The states at the end are final.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from models.errors import Overloaded
from serving.storage.database import alone
from serving.storage.ids import may_be_id
from serving.storage.prediction import ACTIVE, COLUMNS, Prediction, Status, of_row
from serving.storage.tables import UNANNOUNCED, UNFINISHED
from serving.storage.tables import predictions as table

LONGEST_LOGS = 100_000  # characters kept of a prediction's logs: the newest
MOST_UNANNOUNCED = 1000  # that are looked at at once


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

    def create(self, prediction: Prediction, most: int | None = None) -> Prediction:
        """Keep a new one → it; or the one that has its key. most: see `refuse_more`, which is asked again here, where
        nobody comes between. Raises KeyConflict and Overloaded."""
        p = replace(prediction, unannounced=prediction.webhook is not None)
        with self._engine.begin() as connection:
            alone(connection, f"predictions of {p.owner}")
            if p.key and (found := self.of_key(p.owner, p.door, p.key, p.key_hash, connection)):
                return found
            if most is not None:
                self.refuse_more(p.owner, most, connection)
            connection.execute(table.insert().values(asdict(p)))
        self.tell(p.id)
        return p

    def refuse_more(self, owner: str, most: int, connection: sa.Connection | None = None) -> None:
        """Raises Overloaded where so many of the owner's are not over yet."""
        waiting = self._count(UNFINISHED, table.c.owner == owner, connection=connection)
        if waiting >= most:
            raise Overloaded(
                f"{waiting} predictions of yours are not over yet, the most there may be. Wait for one, or cancel one."
            )

    def of_key(
        self, owner: str, door: str, key: str, key_hash: str | None, connection: sa.Connection | None = None
    ) -> Prediction | None:
        """The one that has this Idempotency-Key. Raises KeyConflict where it came with another body."""
        mine = (table.c.owner == owner, table.c.door == door, table.c.key == key)
        found = self._select(*mine, connection=connection)
        if found and found[0].key_hash != key_hash:
            raise KeyConflict(key)
        return found[0] if found else None

    def get(self, prediction_id: str, owner: str | None = None) -> Prediction | None:
        """owner: whose it must be, if given."""
        if not may_be_id(prediction_id):
            return None
        found = self._select(table.c.id == prediction_id, *([table.c.owner == owner] if owner is not None else []))
        return found[0] if found else None

    def begin(self, prediction_id: str) -> Prediction | None:
        """A worker takes it on, for the first time or again; None if it is over.

        One statement: of two that begin it together, each learns the number of its own attempt. An attempt that nobody
        has ended nor let go ended with its process.
        """
        died = sa.and_(table.c.status == Status.PROCESSING, table.c.let_go < table.c.attempt)
        fresh = {"progress": 0.0, "audio_seconds": 0.0, "logs": "", "error": None, "problems": []}
        begun = table.update().where(table.c.id == prediction_id, table.c.status.in_(ACTIVE))
        begun = begun.values(
            status=Status.PROCESSING,
            started_at=sa.func.coalesce(table.c.started_at, time.time()),
            attempt=table.c.attempt + 1,
            cut_short=table.c.cut_short + sa.case((died, 1), else_=0),
            **fresh,
        )
        with self._engine.begin() as connection:
            row = connection.execute(begun.returning(*COLUMNS)).mappings().one_or_none()
        if row is None:
            return None
        self.tell(prediction_id)
        return of_row(row)

    def let_go(self, now: Prediction) -> None:
        """Whoever worked on this attempt left it on purpose, and lives: it was not cut short.

        To be told once. It may come after somebody else has begun it, and has taken this one for dead.
        """
        this = (table.c.id == now.id, table.c.status == Status.PROCESSING)
        with self._engine.begin() as connection:
            if not self._change([*this, table.c.attempt == now.attempt], {"let_go": now.attempt}, connection):
                died = [*this, table.c.attempt > now.attempt, table.c.cut_short > 0]
                self._change(died, {"cut_short": table.c.cut_short - 1}, connection)

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

    def cancel(self, prediction_id: str) -> bool:
        """False if there is none, or it is over."""
        values = {"status": Status.CANCELED, "completed_at": time.time()}
        changed = self._change([table.c.id == prediction_id, table.c.status.in_(ACTIVE)], values)
        if changed:
            self.tell(prediction_id)
        return bool(changed)

    def expire(self, now: float) -> list[str]:
        """End those whose deadline has passed → their ids."""
        late = self._select(table.c.status.in_(ACTIVE), table.c.deadline <= now)
        return [p.id for p in late if self._end_late(p, now)]

    def _end_late(self, late: Prediction, now: float) -> bool:
        """Aborted if it was not begun, else cancelled; False if it has moved on meanwhile."""
        ended = Status.ABORTED if late.status is Status.STARTING else Status.CANCELED
        changed = self._change(
            [table.c.id == late.id, table.c.status == late.status], {"status": ended, "completed_at": now}
        )
        if changed:
            self.tell(late.id)
        return bool(changed)

    def active(self) -> list[Prediction]:
        """Those that are not over, oldest first."""
        return self._select(table.c.status.in_(ACTIVE), order=(table.c.created_at, table.c.id))

    def unfinished(self, created_before: float) -> list[str]:
        """The ids of those that are not over, of those that were accepted before that time."""
        return self._ids(table.c.status.in_(ACTIVE), table.c.created_at < created_before)

    def unannounced(self) -> list[str]:
        """The ids of those that are over while their webhooks are still to be told so; the oldest first, not all."""
        return self._ids(UNANNOUNCED, order=(table.c.completed_at,), limit=MOST_UNANNOUNCED)

    def announced(self, prediction_id: str) -> None:
        """The messages that tell of its end are kept."""
        self._change([table.c.id == prediction_id], {"unannounced": False})

    def ended_among(self, ids: Sequence[str]) -> list[str]:
        """Those of the ids that are over: whoever works on them should stop."""
        return self._ids(table.c.id.in_(ids), table.c.status.notin_(ACTIVE)) if ids else []

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

    def _ids(self, *wanted: sa.ColumnElement[bool], order: Sequence[Any] = (), limit: int | None = None) -> list[str]:
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(table.c.id).where(*wanted).order_by(*order).limit(limit))
            return list(found.scalars())

    def _count(self, *wanted: sa.ColumnElement[bool], connection: sa.Connection | None = None) -> int:
        with nullcontext(connection) if connection is not None else self._engine.connect() as asked:
            return asked.execute(sa.select(sa.func.count()).select_from(table).where(*wanted)).scalar_one()

    def _select(
        self, *wanted: sa.ColumnElement[bool], order: Sequence[Any] = (), limit: int | None = None,
        connection: sa.Connection | None = None,
    ) -> list[Prediction]:  # fmt: skip
        with nullcontext(connection) if connection is not None else self._engine.connect() as asked:
            rows = asked.execute(sa.select(*COLUMNS).where(*wanted).order_by(*order).limit(limit))
            return [of_row(row) for row in rows.mappings()]
