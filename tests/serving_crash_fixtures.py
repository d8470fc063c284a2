"""A process that is killed between two statements, without one."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa


class Killed(BaseException):
    """Nothing after this has happened."""


@contextmanager
def killed_before(engine: sa.Engine, number: int) -> Iterator[list[str]]:
    """Ends what is within at the statement of this number, from 0 → that statement, if it came so far."""
    seen, killed = itertools.count(), []

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if next(seen) == number:
            killed.append(statement)
            raise Killed

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        yield killed
    except Killed:
        pass
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)
