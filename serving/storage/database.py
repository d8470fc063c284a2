"""The tables of the service and the engine that reaches them: SQLite in a file, or PostgreSQL. Knows no prediction.

DBOS keeps its own tables in the same database, in a schema of its own (SQLite: tables of other names).
Times are seconds since 1970, UTC.
"""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()

# Not there, locked, or read-only after a failover: later it may do.
DATABASE_AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
# Seconds (the last: milliseconds) after which a server that has vanished without a word is taken for gone.
_KEEPALIVE = {
    "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000,
}  # fmt: skip

predictions = sa.Table(
    "parley_predictions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("door", sa.String(16), nullable=False),  # predictions, tasks or speech: whose history it is in
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("input", sa.JSON, nullable=False),
    sa.Column("settled", sa.JSON, nullable=False),
    sa.Column("streaming", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("completed_at", sa.Float),
    sa.Column("deadline", sa.Float),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("audio_seconds", sa.Float, nullable=False),
    sa.Column("logs", sa.Text, nullable=False),
    sa.Column("output", sa.String(32)),
    sa.Column("error", sa.Text),
    sa.Column("problems", sa.JSON, nullable=False),  # where the caller can mend the error: [field, problem], …
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("webhook", sa.Text),
    sa.Column("webhook_events", sa.JSON, nullable=False),
    sa.Column("data_removed", sa.Boolean, nullable=False),
    sa.Column("key", sa.String(255)),  # Idempotency-Key
    sa.Column("key_hash", sa.String(64)),  # of the body that came with it
    sa.UniqueConstraint("owner", "door", "key"),
    sa.Index("parley_predictions_of_owner", "owner", "created_at", "id"),
    sa.Index("parley_predictions_by_status", "status", "created_at"),
    sa.Index("parley_predictions_by_end", "completed_at"),
)

files = sa.Table(
    "parley_files",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),  # upload, output or voice
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("content_type", sa.String(255), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Index("parley_files_of_owner", "owner", "kind", "created_at", "id"),
    sa.Index("parley_files_by_expiry", "expires_at"),
)

voices = sa.Table(
    "parley_voices",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("consent", sa.Text, nullable=False),
    sa.Column("transcript", sa.Text, nullable=False),
    sa.Column("file", sa.String(32), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.UniqueConstraint("owner", "name"),
)

live_audio = sa.Table(
    "parley_live_audio",
    metadata,
    sa.Column("prediction", sa.String(32), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True),  # samples before this piece
    sa.Column("sample_rate", sa.Integer, nullable=False),
    sa.Column("pcm", sa.LargeBinary, nullable=False),  # 16-bit little-endian, mono
    sa.Column("created_at", sa.Float, nullable=False),
)

secrets = sa.Table(
    "parley_secrets",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(255), nullable=False),
)


def open_database(url: str) -> sa.Engine:
    """The engine of a sqlite:/// or postgresql:// URL, with all tables there. May be called by many processes."""
    engine = _engine(url)
    # Of two processes that start together the second waits for the first one's tables.
    alone = "BEGIN IMMEDIATE" if is_sqlite(url) else "SELECT pg_advisory_xact_lock(727274)"
    with engine.begin() as connection:
        connection.exec_driver_sql(alone)
        metadata.create_all(connection)
    return engine


def open_unsynced(url: str) -> sa.Engine:
    """The same database, whose tables are there, for what may be lost in a power cut: it does not wait for the disk."""
    engine = _engine(url)
    unsynced = "PRAGMA synchronous=NORMAL" if is_sqlite(url) else "SET synchronous_commit = off"

    def set_up(connection: Any, _: Any) -> None:
        connection.execute(unsynced)
        connection.commit()

    sa.event.listen(engine, "connect", set_up)
    return engine


def _engine(url: str) -> sa.Engine:
    options = {} if is_sqlite(url) else {"pool_pre_ping": True, "connect_args": _KEEPALIVE}
    # hide_parameters: what errors quote would be callers' texts, links and secrets.
    engine = sa.create_engine(sqlalchemy_url(url), pool_size=20, max_overflow=20, hide_parameters=True, **options)
    if is_sqlite(url):
        sa.event.listen(engine, "connect", _keep_safe)
    return engine


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
    """Of a file, whose folder is made for its owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    return f"sqlite:///{path}"


def _keep_safe(connection: Any, _: Any) -> None:
    """What is committed is on the disk, and readers do not wait for the writer."""
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
