"""What is forgotten of predictions that are over: what was asked and made, then who was told, at last the row itself.

Each step may be taken by several processes together. Knows no files and no queue; when is decided elsewhere.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from serving.storage.tables import UNANNOUNCED, WITH_DATA, WITH_KEY, WITH_LEFTOVERS
from serving.storage.tables import predictions as table

AT_ONCE = 500  # rows of one statement


class Retention:
    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def remove_data(self, completed_before: float) -> int:
        """Input, output and logs → of how many."""
        gone: dict[str, Any] = {"input": {}, "settled": {}, "output": None, "logs": "", "data_removed": True}
        return self._change(table.update().where(WITH_DATA, table.c.completed_at < completed_before).values(gone))

    def leftovers(self) -> list[str]:
        """The ids of those whose data is removed, and who can still be told, or why they failed."""
        wanted = sa.select(table.c.id).where(WITH_LEFTOVERS, sa.not_(UNANNOUNCED))
        with self._engine.connect() as connection:
            return list(connection.execute(wanted).scalars())

    def remove_leftovers(self, ids: Sequence[str]) -> None:
        """Of those of which nothing is to be told any more."""
        gone: dict[str, Any] = {"webhook": None, "webhook_events": [], "error": None, "problems": []}
        for at in range(0, len(ids), AT_ONCE):
            with self._engine.begin() as connection:
                connection.execute(table.update().where(table.c.id.in_(ids[at : at + AT_ONCE])).values(gone))

    def free_keys(self, created_before: float) -> int:
        """Their Idempotency-Keys may be used for something else → how many."""
        return self._change(
            table.update().where(WITH_KEY, table.c.created_at < created_before).values(key=None, key_hash=None)
        )

    def forget(self, completed_before: float) -> int:
        """The rows, if their data is removed and they are counted → how many."""
        done_with = (table.c.data_removed, table.c.counted)
        return self._change(table.delete().where(table.c.completed_at < completed_before, *done_with))

    def _change(self, statement: sa.Update | sa.Delete) -> int:
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount
