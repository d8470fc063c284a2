"""Audio on its way: what a worker has made so far of a prediction, for whoever listens already. Knows no model.

A worker that begins anew after a crash makes the same samples again (the seed is kept), so a listener goes on by the
number of samples heard, whichever attempt they come from.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import sqlalchemy as sa
from starlette.concurrency import run_in_threadpool

from models.errors import GenerationFailed
from serving.storage.changes import Changes
from serving.storage.current import current
from serving.storage.prediction import Prediction, Status
from serving.storage.records import Records
from serving.storage.tables import live_audio as table
from serving.storage.tables import predictions

BYTES_PER_SAMPLE = 2
MOST_PIECES = 32  # of one look: a listener who comes late to a long dialogue hears it in many


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
            connection.execute(table.insert().values(row))
        self._on_change(of.id)

    def after(self, of: Prediction, heard: int) -> list[Piece]:
        """What its attempt has made behind the first `heard` samples, cut so that nothing is heard twice; not all of
        it at once: what comes behind these pieces is to be asked for again."""
        mine = (table.c.prediction == of.id, table.c.attempt == of.attempt)
        # Else each look would begin at the first sample.
        begun = sa.select(sa.func.max(table.c.start)).where(*mine, table.c.start <= heard).scalar_subquery()
        ends = table.c.start + sa.func.length(table.c.pcm) / BYTES_PER_SAMPLE
        wanted = sa.select(table).where(*mine, table.c.start >= sa.func.coalesce(begun, 0), ends > heard)
        with self._engine.connect() as connection:
            rows = connection.execute(wanted.order_by(table.c.start).limit(MOST_PIECES)).all()
        return [_behind(Piece(row.start, row.sample_rate, row.pcm), heard) for row in rows]

    def is_kept(self, of: Prediction) -> bool:
        """Whether any of it is still here."""
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.exists().where(table.c.prediction == of.id))).scalar_one()

    def forget(self, ended_before: float) -> None:
        """Drop all of predictions that ended before that time, or are forgotten: never the beginning of one alone."""
        heard = sa.select(table.c.prediction).distinct().subquery()  # few, while those that have ended may be many
        ended = sa.or_(predictions.c.id.is_(None), predictions.c.completed_at < ended_before)
        both = heard.outerjoin(predictions, predictions.c.id == heard.c.prediction)
        gone = sa.select(heard.c.prediction).select_from(both).where(ended)
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(table.c.prediction.in_(gone)))


async def follow(
    prediction: Prediction, records: Records, live: LiveAudio, changes: Changes
) -> AsyncGenerator[Piece | Prediction]:
    """Pieces as they are made, and at last the prediction as it ended.

    Raises GenerationFailed where what is left to hear was forgotten before a slow listener came to it.
    """
    heard = 0

    async def ask() -> tuple[Prediction, list[Piece]]:
        # The row first: what an ended prediction has made is there whole.
        now = await current(records, prediction.id)
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
