"""How the database is reached: SQLite in a file, or PostgreSQL. Knows no table's meaning.

A process opens three engines, because what each may lose, and how it locks, differs.
"""

import hashlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.errors import InvalidRequest
from serving.storage.schema import set_up

# Not there, locked, or read-only after a failover: later it may do.
DATABASE_AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
# Seconds (the last: milliseconds) after which a server that has vanished without a word is taken for gone.
_KEEPALIVE = {
    "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000,
}  # fmt: skip
# Connections that are kept, and more while they are needed. With the one on which the queue listens a process has at
# most 31, and 10 at rest: README and the help of database_url say so.
_RECORDS, _UNSYNCED, _QUEUE = (5, 10), (1, 4), (3, 7)
_OWNERS = 727276  # of our advisory locks
BUSY_SECONDS = 30  # that SQLite's lock is waited for
_LOCK = sa.text("SELECT pg_advisory_xact_lock(:namespace, :number)")


def open_database(url: str) -> sa.Engine:
    """The engine of a sqlite:/// or postgresql:// URL, with all tables there. May be called by many processes.

    Raises InvalidRequest where the tables are of another version.
    """
    engine = _engine(url, *_RECORDS)
    try:
        with engine.begin() as connection:
            alone(connection, "tables")  # of two processes that start together one waits for the other's
            set_up(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def open_unsynced(url: str) -> sa.Engine:
    """The same database, whose tables are there, for what may be lost in a power cut: it does not wait for the disk."""
    engine = _engine(url, *_UNSYNCED)
    _on_connect(engine, "PRAGMA synchronous=NORMAL" if is_sqlite(url) else "SET synchronous_commit = off")
    return engine


def open_queue(url: str) -> sa.Engine:
    """The same database for DBOS, as it sets up engines of its own; those would write callers' values into the log."""
    engine = _engine(url, *_QUEUE)
    if is_sqlite(url):
        sa.event.listen(engine, "connect", _begin_with_the_lock)
    else:
        _on_connect(engine, "SET idle_in_transaction_session_timeout = '60s'")
    return engine


def alone(connection: sa.Connection, name: str) -> None:
    """First in a transaction: until it ends no other one of this name runs, so what it counts stays true.

    SQLite: no other one that writes.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(_LOCK, {"namespace": _OWNERS, "number": lock_number(name)})


def lock_number(name: str) -> int:
    """Of an advisory lock: 31 bits of the name's hash, never negative."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


def _engine(url: str, kept: int, more: int) -> sa.Engine:
    options = {} if is_sqlite(url) else {"pool_pre_ping": True, "connect_args": _KEEPALIVE}
    # hide_parameters: what errors quote would be callers' texts, links and secrets.
    engine = sa.create_engine(sqlalchemy_url(url), pool_size=kept, max_overflow=more, hide_parameters=True, **options)
    if is_sqlite(url):
        sa.event.listen(engine, "connect", _keep_safe)
    return engine


def in_short(error: BaseException) -> str:
    """One of DATABASE_AWAY for a log: without the statement, and where to read about such errors."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def sqlalchemy_url(url: str) -> str:
    """Of what people write into DATABASE_URL: the driver is psycopg 3."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return f"postgresql+psycopg://{url.removeprefix(scheme)}"
    return url


def sqlite_path(url: str) -> Path:
    return Path(sa.make_url(url).database or "")


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def make_sqlite_file(path: Path) -> None:
    """An empty one where there is none, for its owner's eyes only, and its folder too. Raises InvalidRequest."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise InvalidRequest(
            "database_url", f"leads to {path}, where no file can be made ({error.strerror}). Name another place."
        ) from error


def _on_connect(engine: sa.Engine, statement: str) -> None:
    def set_up(connection: Any, _: Any) -> None:
        connection.execute(statement)
        connection.commit()  # else the pool would roll it back

    sa.event.listen(engine, "connect", set_up)


def _keep_safe(connection: Any, _: Any) -> None:
    """What is committed is on the disk, and readers do not wait for the writer."""
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA synchronous=FULL")
    _write_ahead(connection)


def _write_ahead(connection: Any) -> None:
    """A new database becomes one with a log. SQLite does not wait for others that do the same: this waits for it."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_with_the_lock(connection: Any, _: Any) -> None:
    """Of two that claim the same work together one waits, instead of failing half way."""
    connection.isolation_level = "IMMEDIATE"
