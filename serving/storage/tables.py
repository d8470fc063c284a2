"""The tables of the service. Knows no engine and no prediction.

DBOS keeps its own tables in the same database, in a schema of its own (SQLite: tables of other names).
Times are seconds since 1970, by the clock of the process that wrote them: machines are to agree within a second, as NTP
has them do. What is changed here is a new version of storage/schema.py.
"""

from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData()


def _partial(name: str, *columns: Any, where: sa.ColumnElement[bool], unique: bool = False) -> sa.Index:
    """Of the rows alone that a question is about. A query uses it where it says the same condition."""
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


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
    sa.Column("let_go", sa.Integer, nullable=False, default=0),  # the attempt that its worker last left on purpose
    sa.Column("cut_short", sa.Integer, nullable=False),  # attempts that ended with their process
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("audio_seconds", sa.Float, nullable=False),
    sa.Column("logs", sa.Text, nullable=False),
    sa.Column("output", sa.String(32)),
    sa.Column("error", sa.Text),
    sa.Column("problems", sa.JSON, nullable=False),  # where the caller can mend the error: [field, problem], …
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("webhook", sa.Text),
    sa.Column("webhook_events", sa.JSON, nullable=False),
    sa.Column("unannounced", sa.Boolean, nullable=False),  # the webhook is still to be told of the end
    sa.Column("data_removed", sa.Boolean, nullable=False),
    sa.Column("counted", sa.Boolean, nullable=False, default=False),  # its end is in the tallies
    sa.Column("key", sa.String(255)),  # Idempotency-Key
    sa.Column("key_hash", sa.String(64)),  # of the body that came with it
    sa.Index("parley_predictions_of_owner", "owner", "created_at", "id"),
    sa.Index("parley_predictions_by_status", "status", "created_at"),
    sa.Index("parley_predictions_by_end", "completed_at"),
)
UNFINISHED = predictions.c.completed_at.is_(None)
WITH_DATA = sa.not_(predictions.c.data_removed)
UNCOUNTED = sa.not_(predictions.c.counted)
WITH_KEY = predictions.c.key.isnot(None)
UNANNOUNCED = sa.and_(predictions.c.unannounced, predictions.c.completed_at.isnot(None))
# What was asked and made is gone; what tells of it is not, as messages may still say it.
WITH_LEFTOVERS = sa.and_(
    predictions.c.data_removed, sa.or_(predictions.c.webhook.isnot(None), predictions.c.error.isnot(None))
)
_partial("parley_predictions_unfinished", predictions.c.owner, where=UNFINISHED)
_partial("parley_predictions_with_data", predictions.c.completed_at, where=WITH_DATA)
_partial("parley_predictions_uncounted", predictions.c.completed_at, where=UNCOUNTED)
_partial("parley_predictions_with_leftovers", predictions.c.completed_at, where=WITH_LEFTOVERS)
_partial("parley_predictions_unannounced", predictions.c.completed_at, where=UNANNOUNCED)
_partial("parley_predictions_with_key", predictions.c.created_at, where=WITH_KEY)
_partial(
    "parley_predictions_by_key", predictions.c.owner, predictions.c.door, predictions.c.key, where=WITH_KEY, unique=True
)

tallies = sa.Table(
    "parley_tallies",
    metadata,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("door", sa.String(16), primary_key=True),
    sa.Column("status", sa.String(16), primary_key=True),
    sa.Column("took", sa.String(8), primary_key=True),  # seconds: a bound of storage/tallies.py
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("audio_seconds", sa.Float, nullable=False),
    sa.Column("predict_seconds", sa.Float, nullable=False),
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
)

secrets = sa.Table(
    "parley_secrets",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("value", sa.String(255), nullable=False),
)

schema = sa.Table("parley_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
