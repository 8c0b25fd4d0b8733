"""/api/admin/catalog…: what is on sale, for the tools of those who run the installation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.api.catalog_models import (
    CatalogAppliedOut,
    CatalogApplyIn,
    CatalogDiffOut,
    CatalogIn,
    CatalogOut,
    ChangeOut,
    SyncOut,
)
from quntedge.api.promotion_models import PromoSyncOut
from quntedge.catalog import toml
from quntedge.edge.audited import audited
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.promotions import file as promotion_file

router = APIRouter(prefix="/api/admin/catalog", tags=["catalog"])

READ, WRITE = "catalog:read", "catalog:write"
_reader = service(READ)
_writer = service(WRITE)
Editor = Annotated[ApiKeyCaller, Depends(_writer)]


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
    services, wanted = services_of(request), toml.load(body.catalog)
    listed = promotion_file.load(body.catalog, wanted)
    async with services.units() as unit:
        promotions = await promotion_file.diff(unit, listed)
    return CatalogDiffOut.of(await services.catalog.diff(wanted), promotions)


@router.post(
    "/apply",
    dependencies=[audited("catalog.apply")],
    responses=problems(400, 401, 403, 409, 422, 502, 503),
    summary="Put a catalogue into force",
)
async def apply_catalog(request: Request, caller: Editor, body: CatalogApplyIn) -> CatalogAppliedOut:
    """Makes the catalogue what the text says, then brings Whop up to date.

    When Whop fails on the way, the catalogue has been changed all the same: send the request again, and it goes on
    where it stopped. Doing it twice changes nothing more.
    """
    services = services_of(request)
    wanted = toml.load(body.catalog)
    listed = promotion_file.load(body.catalog, wanted)
    changes = await services.catalog.apply(wanted)
    async with services.units() as unit:
        actor = f"service:{caller.key_id}"
        changes += await promotion_file.apply(unit, listed, services.promotions.service, by=actor)
        await unit.commit()
    report = await services.catalog.sync_gateway() if body.sync else None
    # After the plans: a promo code names the plans it is for.
    codes = await services.promotions.sync.run() if body.sync else None
    return CatalogAppliedOut(
        changes=[ChangeOut.of(change) for change in changes],
        sync=None if report is None else SyncOut.of(report),
        promo_codes=None if codes is None else PromoSyncOut.of(codes),
    )
