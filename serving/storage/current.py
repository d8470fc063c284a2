"""A prediction as it is now, asked for without holding up the event loop. Knows no HTTP."""

from starlette.concurrency import run_in_threadpool

from serving.storage.prediction import Prediction
from serving.storage.records import Records


async def current(records: Records, prediction_id: str) -> Prediction:
    """Of one that is kept: it is forgotten long after its end."""
    now = await run_in_threadpool(records.get, prediction_id)
    assert now is not None, prediction_id
    return now
