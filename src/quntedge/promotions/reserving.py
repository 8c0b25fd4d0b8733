"""Holding a use of a promotion for a checkout, so that a limit is exact however many want the last one.

The promotion's and the code's rows are locked while a use is counted, and the counts are constraints besides: what the
lock should ever let through, the database refuses.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Update, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.queries import PlanView, PriceView
from quntedge.gateway.acts import PromoRequest
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.pricing.preview import Item, Preview, preview
from quntedge.pricing.rules import Discount
from quntedge.processes.runner import ProcessRunner
from quntedge.promotions import errors
from quntedge.promotions.models import (
    HELD,
    RELEASING,
    Promotion,
    PromotionCode,
    PromotionCustomer,
    PromotionReservation,
)
from quntedge.promotions.queries import terms_by_code, uses_of
from quntedge.promotions.rules import Buyer, CodeState, Purchase, Terms, check, normal_code, random_code
from quntedge.storage.unit_of_work import UnitOfWork

KIND = "promotion_release"
"""Kind of the process that gives a use back; its subject is the reservation."""
PREFIX = "res"
LOCK = True
"""Whether the rows that count uses are locked first. The constraints hold without it; a test takes it away."""

_LONGEST_PREFIX = 24


@dataclass(frozen=True, slots=True)
class Offer:
    """What a code makes of a price."""

    code: str
    promotion: str
    """The promotion's name for people."""
    discount: Discount
    preview: Preview


@dataclass(frozen=True, slots=True)
class Reserved:
    """A use that is held: the reservation, what comes off each charge, and the code to type at the gateway."""

    id: str
    discount: Money
    whop_code: str


class PromotionDesk:
    """Offers, reservations and their release. Works in the caller's unit of work and never commits."""

    def __init__(self, processes: ProcessRunner) -> None:
        self._processes = processes

    async def offer(
        self,
        unit: UnitOfWork,
        typed: str,
        plan: PlanView,
        terms: PriceView,
        buyer_id: str | None,
        bought_before: bool,
        tried: Collection[str] = (),
    ) -> Offer:
        """What a code makes of a plan's price now. Nothing is held by it.

        Raises `PromotionCodeMalformed`, `PromotionCodeUnknown` and the errors of `rules.check`.
        """
        (found,) = await self.offers(unit, typed, [(plan, terms)], buyer_id, bought_before, tried)
        if isinstance(found, QuntedgeError):
            raise found
        return found

    async def offers(
        self,
        unit: UnitOfWork,
        typed: str,
        sold: Sequence[tuple[PlanView, PriceView]],
        buyer_id: str | None,
        bought_before: bool,
        tried: Collection[str] = (),
    ) -> list[Offer | QuntedgeError]:
        """What a code makes of several prices: for each an offer, or why there is none. `tried` are the gateway's ids
        of plans whose trial the buyer has had.

        Raises `PromotionCodeMalformed` and `PromotionCodeUnknown`.
        """
        found, code = await _known(unit.session, typed, lock=False)
        buyer = None
        if buyer_id is not None:
            buyer = Buyer(bought_before, await uses_of(unit.session, found.id, buyer_id))
        now = unit.clock.now()
        results: list[Offer | QuntedgeError] = []
        for plan, terms in sold:
            try:
                discount = check(found, code, _purchase(plan, terms), buyer, now)
            except QuntedgeError as error:
                results.append(error)
            else:
                results.append(Offer(code.code, found.name, discount, priced(plan, terms, discount, now, tried)))
        return results

    async def reserve(
        self,
        unit: UnitOfWork,
        typed: str,
        plan: PlanView,
        terms: PriceView,
        *,
        user_id: str,
        bought_before: bool,
        checkout_id: str,
        expires_at: datetime,
    ) -> Reserved:
        """Holds one use for a checkout. The caller keeps two checkouts of one customer apart (by locking them).

        Raises what `offer` raises.
        """
        found, code = await _known(unit.session, typed, lock=LOCK)
        buyer = Buyer(bought_before, await uses_of(unit.session, found.id, user_id))
        now = unit.clock.now()
        discount = check(found, code, _purchase(plan, terms), buyer, now)
        await _count(unit.session, found, code, user_id)
        # What the gateway takes off is an amount, not a share: it was rounded here, once, and shown so. It includes
        # what is too little to be charged.
        off = priced(plan, terms, discount, now).first.discount
        reservation = PromotionReservation(
            id=new_id(PREFIX, now),
            promotion_id=found.id,
            code_id=code.id,
            user_id=user_id,
            checkout_id=checkout_id,
            plan_id=plan.id,
            plan_version=terms.version,
            whop_plan_id=str(terms.whop_plan_id),
            promotion_version=found.version,
            percent_bp=discount.percent_bp,
            amount_minor=None if discount.amount is None else discount.amount.amount_minor,
            periods=found.periods,
            currency=terms.price.currency,
            price_minor=terms.price.amount_minor,
            discount_minor=off.amount_minor,
            whop_code=random_code(code.code[:_LONGEST_PREFIX]),
            state=HELD,
            expires_at=expires_at,
            created_at=now,
        )
        unit.session.add(reservation)
        await unit.session.flush()
        return Reserved(reservation.id, off, reservation.whop_code)

    async def promo_request(self, unit: UnitOfWork, reservation_id: str) -> PromoRequest | None:
        """The promo code to make at the gateway for a reservation; None once it is known to be made."""
        held = await unit.session.get_one(PromotionReservation, reservation_id)
        if held.whop_promo_id is not None:
            return None
        return PromoRequest(
            code=held.whop_code,
            amount_off=Money(held.discount_minor, held.currency),
            plan_ids=[held.whop_plan_id],
            uses=1,
            expires_at=held.expires_at,
            periods=held.periods,
        )

    async def promo_made(self, unit: UnitOfWork, reservation_id: str, promo_id: str) -> None:
        """Notes the gateway's promo code of a reservation."""
        await unit.session.execute(
            update(PromotionReservation)
            .where(PromotionReservation.id == reservation_id, PromotionReservation.whop_promo_id.is_(None))
            .values(whop_promo_id=promo_id)
            .execution_options(synchronize_session=False)
        )

    async def release(self, unit: UnitOfWork, checkout_ids: list[str]) -> None:
        """Begins to give back what these checkouts hold, because they have ended without a payment.

        It is given back once the gateway has confirmed that the promo code was not used and cannot be any more.
        """
        if not checkout_ids:
            return
        ended = await unit.session.scalars(
            update(PromotionReservation)
            .where(PromotionReservation.checkout_id.in_(sorted(checkout_ids)), PromotionReservation.state == HELD)
            .values(state=RELEASING)
            .returning(PromotionReservation.id)
            .execution_options(synchronize_session=False)
        )
        await self.begin_release(unit, sorted(ended.all()))

    async def begin_release(self, unit: UnitOfWork, reservation_ids: list[str]) -> None:
        """Starts the processes that give uses back; a worker does them."""
        for reservation_id in reservation_ids:
            await self._processes.start(unit, KIND, reservation_id, later=True)


def priced(
    plan: PlanView, terms: PriceView, discount: Discount | None, now: datetime, tried: Collection[str] = ()
) -> Preview:
    """What a plan costs with a discount, from the first day on. Whoever has `tried` it (by the gateway's id) has no
    trial."""
    item = Item(plan.name, terms.price, terms.period_days, terms.trial_days)
    return preview(item, now, discount=discount, trial=terms.whop_plan_id not in tried)


async def _known(session: AsyncSession, typed: str, *, lock: bool) -> tuple[Terms, CodeState]:
    found = await terms_by_code(session, normal_code(typed), lock=lock)
    if found is None:
        raise errors.PromotionCodeUnknown("We do not know this code. Check how it is spelled.")
    return found


def _purchase(plan: PlanView, terms: PriceView) -> Purchase:
    return Purchase(plan.id, plan.name, terms.price)


async def _count(session: AsyncSession, terms: Terms, code: CodeState, user_id: str) -> None:
    """Counts a use. Raises `PromotionUsedUp` where a count would pass its limit."""
    mine = insert(PromotionCustomer).values(
        promotion_id=terms.id, user_id=user_id, uses=1, max_uses=terms.max_per_customer
    )
    try:
        await session.execute(_one_more(Promotion, terms.id))
        await session.execute(_one_more(PromotionCode, code.id))
        await session.execute(
            mine.on_conflict_do_update(
                index_elements=[PromotionCustomer.promotion_id, PromotionCustomer.user_id],
                set_={"uses": PromotionCustomer.uses + 1, "max_uses": mine.excluded.max_uses},
            )
        )
    except IntegrityError as error:
        raise errors.PromotionUsedUp("The last use of this code was taken a moment ago.") from error


def _one_more(table: type[Promotion] | type[PromotionCode], row_id: str) -> Update:
    return (
        update(table).where(table.id == row_id).values(uses=table.uses + 1).execution_options(synchronize_session=False)
    )


async def give_back(session: AsyncSession, held: PromotionReservation) -> None:
    """Takes a use off the counts again, in the order in which they are counted."""
    for table, row_id in ((Promotion, held.promotion_id), (PromotionCode, held.code_id)):
        await session.execute(
            update(table)
            .where(table.id == row_id)
            .values(uses=table.uses - 1)
            .execution_options(synchronize_session=False)
        )
    await session.execute(
        update(PromotionCustomer)
        .where(PromotionCustomer.promotion_id == held.promotion_id, PromotionCustomer.user_id == held.user_id)
        .values(uses=PromotionCustomer.uses - 1)
        .execution_options(synchronize_session=False)
    )


async def locked(unit: UnitOfWork, reservation_id: str) -> PromotionReservation:
    """A reservation to be changed."""
    return await unit.session.get_one(
        PromotionReservation, reservation_id, with_for_update=True, populate_existing=True
    )
