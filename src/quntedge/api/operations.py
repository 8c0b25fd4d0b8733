"""For those who run it: health, metrics, and the description of the API."""

import asyncio

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from quntedge.audit import queries as audit_queries
from quntedge.disputes import queries as dispute_queries
from quntedge.edge import attention
from quntedge.edge.callers import anyone
from quntedge.edge.openapi import problems
from quntedge.edge.readiness import check_ready
from quntedge.edge.services import services_of
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import REGISTRY, forget_the_database
from quntedge.storage import jobs
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.webhooks import worker as webhooks

router = APIRouter(tags=["operations"], dependencies=[Depends(anyone)])
log = get_logger(__name__)

_PATIENCE_SECONDS = 5.0
_MEASURES = (
    webhooks.update_gauges,
    dispute_queries.update_gauges,
    audit_queries.update_gauges,
    attention.update_gauges,
    jobs.update_gauges,
)


@router.get("/health/live", summary="The process answers")
async def live() -> dict[str, str]:
    """Says nothing about anything but this process; restart it when this fails."""
    return {"status": "live"}


@router.get("/health/ready", responses=problems(503), summary="The process can serve")
async def ready(request: Request) -> dict[str, str | None]:
    """The database answers and has the right schema; send no requests here while this fails."""
    return {"status": "ready", "schema": await check_ready(services_of(request).engine)}


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Counters for Prometheus; what can be counted in the database is counted there, now."""
    await _measure(services_of(request).units)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _measure(units: UnitOfWorkFactory) -> None:
    """Counts what is in the database. Without one the counters of this process are still worth reading, then most."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            for measure in _MEASURES:
                await measure(units)
    except (TimeoutError, SQLAlchemyError, OSError) as error:
        log.warning("metrics.database_unavailable", error=type(error).__name__)
        forget_the_database()


@router.get("/openapi.json", include_in_schema=False)
async def description(request: Request) -> JSONResponse:
    """The description of this API."""
    return JSONResponse(request.app.openapi())
