"""For whoever runs the service: is the process alive, does it work, what are its numbers. Knows no prediction."""

import sqlalchemy as sa
from anyio import fail_after, to_thread
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from serving.service import Service
from serving.web import response_schemas
from serving.web.gate import ServiceDep, overseer
from serving.web.metrics import Metrics

DATABASE_SECONDS = 3.0  # a database that takes longer for nothing is away
RETRY_SECONDS = "5"

router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers; whether it can work is said by /ready. Restart it when this fails."""
    return {"status": "alive"}


@router.head("/ready", include_in_schema=False)
@router.get("/ready")
async def ready(service: ServiceDep) -> dict[str, str]:
    """Whether what is accepted now is kept and soon begun. Send no callers while this fails.

    `unserved` names models that are offered here, and that no worker has had since the database was made: what is asked
    of them waits for the first that has.
    """
    working = service.worker
    if working is not None and working.error is not None:
        raise _not_ready("The models could not be loaded, or broke; this process ends. Its log says why.")
    if working is not None and not working.launched:
        raise _not_ready("The models are being loaded, or the lease on this worker's name is being taken.")
    unserved = await _unserved(service)
    if unserved is None:
        raise _not_ready("The database is away.")
    return {"status": "ready"} | ({"unserved": ", ".join(unserved)} if unserved else {})


@router.get("/metrics", dependencies=[Depends(overseer)], **response_schemas.gives_bytes("text/plain", 200))
async def metrics(request: Request) -> Response:
    """For Prometheus. Of all callers together, so the token needs the scope for it."""
    found: Metrics = request.app.state.metrics
    return Response(await run_in_threadpool(found.text), media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _unserved(service: Service) -> list[str] | None:
    """The full names of models; None where the database is away."""
    try:
        with fail_after(DATABASE_SECONDS):
            return await to_thread.run_sync(_ask, service, abandon_on_cancel=True)
    except (TimeoutError, sa.exc.SQLAlchemyError):
        return None


def _ask(service: Service) -> list[str]:
    with service.engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    return service.queue.unopened(service.models)


def _not_ready(because: str) -> HTTPException:
    return HTTPException(503, because, headers={"Retry-After": RETRY_SECONDS})
