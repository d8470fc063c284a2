"""Which worker processes are alive: each holds a lock of its name for as long as it runs. Knows no queue.

The lock goes with its holder, however that ends: an advisory lock of PostgreSQL goes with the connection, a lock on a
file with the process. Nobody has to guess from a clock. What is lost stays lost: who wants it again enters a new lease.
"""

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import sqlalchemy as sa

from serving.storage.database import lock_number

NAMESPACE = 727275  # of our advisory locks

_TAKE = sa.text("SELECT pg_try_advisory_lock(:namespace, :number)")
_HAVE = sa.text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() "
    "AND CAST(classid AS bigint) = :namespace AND CAST(objid AS bigint) = :number"
)
# A machine that vanishes without a word holds its lock until the server finds out: after 25 s instead of two hours.
_NOTICE = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"


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
        self._lock_of = {"namespace": NAMESPACE, "number": lock_number(name)}
        self._engine = engine
        self._connection: sa.Connection | None = None
        self._one_asks = threading.Lock()  # a connection is one thread's at a time

    @property
    def held(self) -> bool:
        """Asks the server: a connection that was lost has lost the lock."""
        with self._one_asks:
            if self._connection is not None and not self._has_lock(self._connection):
                self._let_go()
            return self._connection is not None

    def __enter__(self) -> Self:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._connection = connection
        try:
            connection.exec_driver_sql(_NOTICE)
            got = connection.execute(_TAKE, self._lock_of).scalar_one()
        except BaseException:
            self._let_go()
            raise
        if not got:
            self._let_go()
        return self

    def __exit__(self, *_: object) -> None:
        with self._one_asks:
            self._let_go()

    def _has_lock(self, connection: sa.Connection) -> bool:
        try:
            return connection.execute(_HAVE, self._lock_of).scalar_one() == 1
        except sa.exc.SQLAlchemyError:
            return False

    def _let_go(self) -> None:
        """Close the session: the lock is the session's, and so are its settings."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


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
