"""Predictions, counted: also those whose rows are forgotten. Knows no prediction and no Prometheus.

A row counts for itself until it is over and added up here. So what is counted never falls, and to count reads the rows
of what waits, runs or ended since the last time that they were added up, whatever was made before.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from serving.storage.database import alone
from serving.storage.tables import UNCOUNTED
from serving.storage.tables import predictions as rows
from serving.storage.tables import tallies as table

BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)  # seconds from begin to end
NEVER_BEGUN, LONGER = "none", "+Inf"


@dataclass(frozen=True)
class Tally:
    """Of the predictions of one model, door and status that took no longer than one bound, and longer than the last."""

    model: str
    door: str
    status: str
    took: str  # one of BOUNDS as text, LONGER, or NEVER_BEGUN
    number: int
    audio_seconds: float
    predict_seconds: float


_KIND = ("model", "door", "status", "took")
_SUMS = ("number", "audio_seconds", "predict_seconds")
_TOOK = rows.c.completed_at - rows.c.started_at
# What one row adds.
_OF_ROW: tuple[sa.ColumnElement[Any], ...] = (
    rows.c.model,
    rows.c.door,
    rows.c.status,
    sa.case((_TOOK.is_(None), NEVER_BEGUN), *((bound >= _TOOK, str(bound)) for bound in BOUNDS), else_=LONGER).label(
        "took"
    ),
    sa.literal(1).label("number"),
    rows.c.audio_seconds,
    sa.func.coalesce(_TOOK, 0.0).label("predict_seconds"),
)


def _add_all(connection: sa.Connection, ended: Iterable[Any]) -> None:
    """ended: _OF_ROW of each."""
    sums: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0] * len(_SUMS))
    for row in ended:
        kind, more = tuple(row[: len(_KIND)]), row[len(_KIND) :]
        sums[kind] = [a + b for a, b in zip(sums[kind], more, strict=True)]
    for kind, sum_of_kind in sums.items():
        _add(connection, dict(zip(_KIND, kind, strict=True)), dict(zip(_SUMS, sum_of_kind, strict=True)))


def _add(connection: sa.Connection, kind: dict[str, str], more: dict[str, float]) -> None:
    this = [table.c[name] == value for name, value in kind.items()]
    added = table.update().where(*this).values({name: table.c[name] + value for name, value in more.items()})
    if not connection.execute(added).rowcount:
        connection.execute(table.insert().values({**kind, **more}))


class Tallies:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self) -> list[Tally]:
        """Of every prediction there ever was, as it is now."""
        return self._read()

    def count_of(self, model: str) -> int:
        """How many predictions of a model there ever were."""
        return sum(tally.number for tally in self._read(model))

    def add_up(self) -> int:
        """Those that are over, once each, whoever else does so → how many."""
        ended = rows.update().where(UNCOUNTED, rows.c.completed_at.isnot(None)).values(counted=True)
        with self._engine.begin() as connection:
            alone(connection, "tallies")
            found = connection.execute(ended.returning(*_OF_ROW)).all()
            _add_all(connection, found)
        return len(found)

    def _read(self, model: str | None = None) -> list[Tally]:
        """In one statement, so that none is counted twice or not at all while it is added up."""
        each = sa.union_all(sa.select(*_OF_ROW).where(UNCOUNTED), sa.select(table)).subquery()
        kind = [each.c[name] for name in _KIND]
        summed = sa.select(*kind, *(sa.func.sum(each.c[name]).label(name) for name in _SUMS)).group_by(*kind)
        if model is not None:
            summed = summed.where(each.c.model == model)
        with self._engine.connect() as connection:
            return [Tally(**{**row, "number": int(row["number"])}) for row in connection.execute(summed).mappings()]
