"""Audio on its way: what a worker has made so far of a prediction, for whoever listens already. Knows no model.

A worker that begins anew after a crash makes the same samples again (the seed is kept), so a listener goes on by the
number of samples heard, whichever attempt they come from.
"""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from models.errors import GenerationFailed
from serving.storage.changes import Changes
from serving.storage.database import live_audio as table
from serving.storage.database import predictions
from serving.storage.records import Prediction, Records, Status

BYTES_PER_SAMPLE = 2


@dataclass(frozen=True)
class Piece:
    start: int  # samples before it
    sample_rate: int
    pcm: bytes  # 16-bit little-endian, mono


class LiveAudio:
    def __init__(self, engine: sa.Engine, on_change: Callable[[str], None] = lambda prediction_id: None) -> None:
        self._engine = engine
        self._on_change = on_change

    def append(self, of: Prediction, start: int, sample_rate: int, pcm: bytes) -> None:
        row = {"prediction": of.id, "attempt": of.attempt, "start": start, "sample_rate": sample_rate, "pcm": pcm}
        with self._engine.begin() as connection:
            connection.execute(table.insert().values(row | {"created_at": time.time()}))
        self._on_change(of.id)

    def after(self, of: Prediction, heard: int) -> list[Piece]:
        """What the newest attempt has made behind the first `heard` samples, cut so that nothing is heard twice."""
        ends = table.c.start + sa.func.length(table.c.pcm) / BYTES_PER_SAMPLE
        wanted = (table.c.prediction == of.id, table.c.attempt == of.attempt, ends > heard)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(table).where(*wanted).order_by(table.c.start)).all()
        return [_behind(Piece(row.start, row.sample_rate, row.pcm), heard) for row in rows]

    def is_kept(self, of: Prediction) -> bool:
        """Whether any of it is still here."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.exists().where(table.c.prediction == of.id))).scalar_one()

    def forget(self, ended_before: float) -> None:
        """Drop all of predictions that ended before that time: never the beginning of one alone."""
        ended = sa.select(predictions.c.id).where(predictions.c.completed_at < ended_before)
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(table.c.prediction.in_(ended)))


async def follow(
    prediction: Prediction, records: Records, live: LiveAudio, changes: Changes
) -> AsyncIterator[Piece | Prediction]:
    """Pieces as they are made, and at last the prediction as it ended.

    Raises GenerationFailed where what is left to hear was forgotten before a slow listener came to it.
    """
    heard = 0

    async def ask() -> tuple[Prediction, list[Piece]]:
        # The row first: what an ended prediction has made is there whole.
        now = await run_in_threadpool(records.get, prediction.id)
        assert now is not None, prediction.id
        return now, await run_in_threadpool(live.after, now, heard)

    while True:
        now, pieces = await changes.until(
            prediction.id, ask, lambda found: bool(found[1]) or found[0].status.final, None
        )
        for piece in pieces:
            heard = piece.start + len(piece.pcm) // BYTES_PER_SAMPLE
            yield piece
        if now.status.final and not pieces:
            if heard and now.status is Status.SUCCEEDED and not await run_in_threadpool(live.is_kept, now):
                raise GenerationFailed(f"Prediction {now.id} was heard too slowly. Download its output instead.")
            yield now
            return


def _behind(piece: Piece, heard: int) -> Piece:
    known = max(0, heard - piece.start)
    return Piece(piece.start + known, piece.sample_rate, piece.pcm[BYTES_PER_SAMPLE * known :])
