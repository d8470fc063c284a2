"""Predictions as their owners look at them: page by page, and their places in the queue. Changes none."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from serving.storage.prediction import COLUMNS, Prediction, Status, of_row
from serving.storage.tables import predictions as table

_PLACE = sa.tuple_(table.c.created_at, table.c.id)


@dataclass(frozen=True)
class Page:
    """Newest first. An empty one has neither newer nor older ones."""

    rows: list[Prediction]
    has_newer: bool
    has_older: bool


class History:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def page(
        self, owner: str, *, limit: int, door: str | None = None, after: Prediction | None = None,
        before: Prediction | None = None, period: tuple[float | None, float | None] = (None, None),
    ) -> Page:  # fmt: skip
        """The owner's newest, or those behind `after`, or those that lead up to `before`: `limit` of them at most.

        period: only those created from the first moment on, and before the second; seconds since 1970.
        """
        since, until = period
        wanted = [table.c.owner == owner, *([table.c.door == door] if door else [])]
        wanted += [table.c.created_at >= since] if since is not None else []
        wanted += [table.c.created_at < until] if until is not None else []
        if before is not None:
            newer = self._select(
                [*wanted, sa.tuple_(before.created_at, before.id) < _PLACE], newest_first=False, limit=limit
            )
            rows = newer[:limit][::-1]
            return Page(rows, has_newer=len(newer) > limit, has_older=bool(rows))
        behind = [sa.tuple_(after.created_at, after.id) > _PLACE] if after is not None else []
        older = self._select([*wanted, *behind], newest_first=True, limit=limit)
        rows = older[:limit]
        return Page(rows, has_newer=bool(rows) and after is not None, has_older=len(older) > limit)

    def count(self, owner: str, model: str) -> int:
        """How many of the owner's are kept, by the model's full name."""
        theirs = (table.c.owner == owner, table.c.model == model)
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.count()).where(*theirs)).scalar_one()

    def queue_positions(self, of: Sequence[Prediction]) -> dict[str, int]:
        """By the id of each that waits: 1 for the next of its model to be begun."""
        waiting = [p for p in of if p.status is Status.STARTING]
        if not waiting:
            return {}
        number = sa.func.row_number().over(partition_by=table.c.model, order_by=(table.c.created_at, table.c.id))
        # Those behind the last of them need not be counted.
        counted = (table.c.status == Status.STARTING, table.c.created_at <= max(p.created_at for p in waiting))
        queue = sa.select(table.c.id, number.label("number")).where(*counted).subquery()
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(queue).where(queue.c.id.in_([p.id for p in waiting])))
            return {row.id: row.number for row in found}

    def _select(self, wanted: Sequence[sa.ColumnElement[bool]], *, newest_first: bool, limit: int) -> list[Prediction]:
        """One more than the limit, where there is one more."""
        order = [column.desc() if newest_first else column for column in (table.c.created_at, table.c.id)]
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*COLUMNS).where(*wanted).order_by(*order).limit(limit + 1))
            return [of_row(row) for row in rows.mappings()]
