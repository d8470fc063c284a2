"""Which worker processes are alive: each holds a lock of its name for as long as it runs. Knows no queue.

The lock goes with its holder, however that ends: an advisory lock of PostgreSQL goes with the connection, a lock on a
file with the process. Nobody has to guess from a clock.
"""

import fcntl
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import sqlalchemy as sa

NAMESPACE = 727275  # of our advisory locks


class Lease(Protocol):
    """Context manager. `held`: whether we got it, and still have it."""

    @property
    def held(self) -> bool: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class DatabaseLease:
    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine, self._name = engine, name
        self._connection: sa.Connection | None = None

    @property
    def held(self) -> bool:
        """Asks the server: a connection that was lost has lost the lock."""
        if self._connection is None:
            return False
        try:
            self._connection.execute(sa.text("SELECT 1"))
        except sa.exc.DBAPIError:
            return False
        return True

    def __enter__(self) -> Self:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        got = connection.execute(sa.text("SELECT pg_try_advisory_lock(:a, :b)"), {"a": NAMESPACE, "b": self._number})
        if got.scalar_one():
            self._connection = connection
        else:
            connection.close()
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # close the session: the lock is the session's
            self._connection.close()
            self._connection = None

    @property
    def _number(self) -> int:
        return int.from_bytes(hashlib.sha256(self._name.encode()).digest()[:4], "big", signed=True)


class FileLease:
    def __init__(self, folder: Path, name: str) -> None:
        assert name.replace("-", "").isalnum(), name
        self._path = folder / f"{name}.lock"
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def __enter__(self) -> Self:
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._descriptor = descriptor
        except BlockingIOError:
            os.close(descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
