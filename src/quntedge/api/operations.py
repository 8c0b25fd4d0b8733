"""For those who run it: health, metrics, and the description of the API."""

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from quntedge.audit import queries as audit_queries
from quntedge.disputes import queries as dispute_queries
from quntedge.edge.callers import anyone
from quntedge.edge.openapi import problems
from quntedge.edge.readiness import check_ready
from quntedge.edge.services import services_of
from quntedge.kit.metrics import REGISTRY
from quntedge.webhooks.worker import update_gauges

router = APIRouter(tags=["operations"], dependencies=[Depends(anyone)])


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
    await update_gauges(services_of(request).units)
    await dispute_queries.update_gauges(services_of(request).units)
    await audit_queries.update_gauges(services_of(request).units)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
async def description(request: Request) -> JSONResponse:
    """The description of this API."""
    return JSONResponse(request.app.openapi())
