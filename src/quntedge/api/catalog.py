"""/api/admin/catalog…: what is on sale, for the tools of those who run the installation."""

from fastapi import APIRouter, Depends, Request

from quntedge.api.catalog_models import (
    CatalogAppliedOut,
    CatalogApplyIn,
    CatalogDiffOut,
    CatalogIn,
    CatalogOut,
    ChangeOut,
    SyncOut,
)
from quntedge.catalog import toml
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of

router = APIRouter(prefix="/api/admin/catalog", tags=["catalog"])

READ, WRITE = "catalog:read", "catalog:write"
_reader = service(READ)
_writer = service(WRITE)


@router.get("", dependencies=[Depends(_reader)], responses=problems(401, 403, 503), summary="The whole catalogue")
async def get_catalog(request: Request) -> CatalogOut:
    """Plans with all versions of their terms, archived ones too, and how many subscribers each version has."""
    catalog = services_of(request).catalog
    return CatalogOut.of(await catalog.current(), await catalog.subscribers())


@router.post(
    "/diff", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 409, 422, 503), summary="Compare"
)
async def diff_catalog(request: Request, body: CatalogIn) -> CatalogDiffOut:
    """What a catalogue would change here and at Whop, and whom it concerns. Changes nothing."""
    return CatalogDiffOut.of(await services_of(request).catalog.diff(toml.load(body.catalog)))


@router.post(
    "/apply",
    dependencies=[Depends(_writer)],
    responses=problems(400, 401, 403, 409, 422, 502, 503),
    summary="Put a catalogue into force",
)
async def apply_catalog(request: Request, body: CatalogApplyIn) -> CatalogAppliedOut:
    """Makes the catalogue what the text says, then brings Whop up to date.

    When Whop fails on the way, the catalogue has been changed all the same: send the request again, and it goes on
    where it stopped. Doing it twice changes nothing more.
    """
    catalog = services_of(request).catalog
    changes = await catalog.apply(toml.load(body.catalog))
    report = await catalog.sync_gateway() if body.sync else None
    return CatalogAppliedOut(
        changes=[ChangeOut.of(change) for change in changes],
        sync=None if report is None else SyncOut.of(report),
    )
