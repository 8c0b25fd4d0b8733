"""/api/payment/promotions… for customers, /api/admin/promotions… for the tools of those who run the installation."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.api.models import CheckoutOut, Listing
from quntedge.api.paging import PagingParams
from quntedge.api.promotion_models import (
    BatchOut,
    CodeOut,
    CodesIn,
    OfferOut,
    PromoSyncOut,
    PromotionIn,
    PromotionListOut,
    PromotionOut,
    PromotionReportOut,
    ValidateIn,
)
from quntedge.catalog import queries as catalog
from quntedge.checkout.promotion_report import report
from quntedge.checkout.rules import PlanNotFound
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer, service
from quntedge.edge.idempotent import IdempotencyKey, Outcome, once
from quntedge.edge.limits import Limit
from quntedge.edge.openapi import problems
from quntedge.edge.services import Services, services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.errors import Malformed
from quntedge.kit.ids import new_id
from quntedge.kit.money import InvalidMoney
from quntedge.promotions import queries
from quntedge.promotions.errors import InvalidPromotion, PromotionCodeUnknown
from quntedge.promotions.rules import PromotionSpec
from quntedge.promotions.service import BATCH_PREFIX

customer_router = APIRouter(prefix="/api/payment", tags=["payment"])
router = APIRouter(prefix="/api/admin/promotions", tags=["promotions"])

READ, WRITE = "promotions:read", "promotions:write"
_reader = service(READ)
_writer = service(WRITE)
Editor = Annotated[ApiKeyCaller, Depends(_writer)]
Name = Annotated[
    str, Path(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="The promotion's name for programs.", examples=["launch"])
]


@customer_router.post(
    "/promotions/validate",
    dependencies=[audited("promotion.try")],
    responses=problems(401, 403, 404, 409, 410, 422, 429, 503),
    summary="See what a promotion code makes of a price",
)
async def validate_promotion(request: Request, unit: Unit, caller: SignedInCustomer, body: ValidateIn) -> OfferOut:
    """The exact amounts, line by line. Nothing is held: that is what starting a checkout with the code does."""
    services = services_of(request)
    services.limits.hit(Limit.PROMOTION, caller.user_id)
    if services.checkout.discounts is None:
        raise PromotionCodeUnknown
    plan = await catalog.plan_by_code(unit.session, body.plan)
    if plan is None:
        raise PlanNotFound("There is no such plan for sale. GET /api/subscription/plans lists those that are.")
    offer = await services.checkout.discounts.offer(unit, body.promotion_code, plan, body.currency, caller.user_id)
    return OfferOut.of(offer, caller.locale)


@customer_router.delete(
    "/checkout/{checkout_id}",
    dependencies=[audited("checkout.abandon", "checkout", "checkout_id")],
    responses=problems(401, 403, 404, 503),
    summary="Give up a purchase",
)
async def abandon_checkout(request: Request, unit: Unit, caller: SignedInCustomer, checkout_id: str) -> CheckoutOut:
    """Ends a checkout that is still open: its link stops working, and a promotion code that it held is free again in a
    moment. Giving up one that has ended changes nothing."""
    return CheckoutOut.of(await services_of(request).checkout.abandon(unit, caller.user_id, checkout_id))


@router.get("", dependencies=[Depends(_reader)], responses=problems(401, 403, 422, 503), summary="All promotions")
async def list_promotions(unit: Unit, archived: bool = False) -> PromotionListOut:
    """Promotions, newest first; archived ones too when asked for."""
    found = await queries.promotions(unit.session, archived=archived)
    return PromotionListOut(data=[PromotionOut.of(view) for view in found])


@router.get(
    "/report", dependencies=[Depends(_reader)], responses=problems(401, 403, 422, 503), summary="Uses and revenue"
)
async def report_promotions(
    unit: Unit,
    since: Annotated[datetime | None, Query(description="Payments from this time on (ISO 8601 with a zone).")] = None,
    until: Annotated[datetime | None, Query(description="Payments before this time.")] = None,
) -> PromotionReportOut:
    """What promotions brought and took off, by currency; and codes that only Whop knows."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.tzinfo is None:
            message = "Give the time with its zone, as in 2026-09-01T00:00:00Z."
            raise Malformed(message, errors=[{"field": name, "message": message}])
    return PromotionReportOut.of(await report(unit.session, since=since, until=until))


@router.post(
    "/sync",
    dependencies=[audited("promotion.sync"), Depends(_writer)],
    responses=problems(401, 403, 502, 503),
    summary="Bring Whop up to date",
)
async def sync_promotions(request: Request) -> PromoSyncOut:
    """Makes and archives the codes that stand at Whop under their own names. Interrupted, the next one goes on."""
    return PromoSyncOut.of(await services_of(request).promotions.sync.run())


@router.get(
    "/{name}", dependencies=[Depends(_reader)], responses=problems(401, 403, 404, 422, 503), summary="One promotion"
)
async def get_promotion(request: Request, unit: Unit, name: Name) -> PromotionOut:
    """A promotion, archived or not."""
    return PromotionOut.of(await services_of(request).promotions.service.get(unit, name))


@router.put(
    "/{name}",
    dependencies=[audited("promotion.save", "promotion", "name")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Make or change a promotion",
)
async def put_promotion(request: Request, unit: Unit, caller: Editor, name: Name, body: PromotionIn) -> PromotionOut:
    """Makes the promotion of this name what the body says, and adds the codes it lacks. Doing it twice changes nothing.

    Who holds or has used it keeps the terms that were shown.
    """
    promotions = services_of(request).promotions
    view = await promotions.service.save(unit, _spec(body, name), by=_actor(caller), codes=body.codes)
    return PromotionOut.of(view)


@router.post(
    "/{name}/archive",
    dependencies=[audited("promotion.archive", "promotion", "name")],
    responses=problems(401, 403, 404, 422, 503),
    summary="End a promotion",
)
async def archive_promotion(request: Request, unit: Unit, caller: Editor, name: Name) -> PromotionOut:
    """Nobody new gets it. Who holds it may still pay, who has it keeps it; PUT brings it back."""
    return PromotionOut.of(await services_of(request).promotions.service.archive(unit, name))


@router.get(
    "/{name}/codes",
    dependencies=[Depends(_reader)],
    responses=problems(400, 401, 403, 404, 422, 503),
    summary="The codes of a promotion",
)
async def list_codes(
    request: Request,
    unit: Unit,
    name: Name,
    paging: PagingParams,
    batch: Annotated[str | None, Query(max_length=64, description="Only those made together.")] = None,
) -> Listing[CodeOut]:
    """Codes in the order in which they were made."""
    view = await services_of(request).promotions.service.get(unit, name)
    page = await queries.codes(unit.session, view.id, paging.cursor, paging.limit, batch=batch)
    return Listing[CodeOut](data=[CodeOut.of(code) for code in page.data], next_cursor=page.next_cursor)


@router.post(
    "/{name}/codes",
    dependencies=[audited("promotion.add_codes", "promotion", "name")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Add codes",
)
async def add_codes(
    request: Request, caller: Editor, name: Name, body: CodesIn, idempotency_key: IdempotencyKey = None
) -> BatchOut:
    """Makes named codes, or many random ones at once. A repeated request gets the codes of the first."""
    services = services_of(request)
    batch_id = new_id(BATCH_PREFIX, services.clock.now())

    async def work(resource_id: str) -> Outcome:
        return Outcome((await _add(services, name, body, resource_id, _actor(caller))).model_dump())

    wish = {"promotion": name, **body.model_dump()}
    answer = await once(services, _actor(caller), idempotency_key, "promotions.codes", wish, batch_id, work)
    return BatchOut.model_validate(answer)


async def _add(services: Services, name: str, body: CodesIn, batch_id: str, by: str) -> BatchOut:
    """Under the same batch id a second time: what was made then."""
    async with services.units() as unit:
        made = await services.promotions.service.codes_of_batch(unit, batch_id)
        if made is None:
            made = await services.promotions.service.add_codes(
                unit,
                name,
                by=by,
                named=body.named,
                count=body.count,
                prefix=body.prefix,
                max_uses=body.max_uses,
                batch_id=batch_id,
            )
            await unit.commit()
    return BatchOut.of(made)


def _spec(body: PromotionIn, name: str) -> PromotionSpec:
    try:
        spec = body.spec(name)
    except InvalidMoney as error:
        raise InvalidPromotion(
            str(error), errors=[{"field": "amounts", "message": f"{error}; write it in lower case."}]
        ) from None
    naive = [field for field in ("starts_at", "ends_at") if (at := getattr(spec, field)) and at.tzinfo is None]
    if naive:
        message = "Give the time with its zone, as in 2026-09-01T00:00:00Z."
        raise InvalidPromotion(message, errors=[{"field": naive[0], "message": message}])
    return spec


def _actor(caller: ApiKeyCaller) -> str:
    return f"service:{caller.key_id}"
