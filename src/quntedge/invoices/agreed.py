"""What was agreed to come off a charge: by a promotion, by an offer to stay, or for time that was paid already.

Asked only about payments that something was taken off; a plain renewal costs nothing here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select

from quntedge.cancellations.models import SaveOfferOutcome
from quntedge.kit.money import Money
from quntedge.plan_changes.lines import Line as ChangeLine
from quntedge.plan_changes.lines import deductions
from quntedge.plan_changes.lines import line_text as change_text
from quntedge.plan_changes.models import PlanChange
from quntedge.pricing.labels import line_text
from quntedge.pricing.rules import Label, Line, LineKind, price_of
from quntedge.pricing.told import Told
from quntedge.promotions.models import Promotion, PromotionCode, PromotionReservation
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import SubscriptionMembership


@dataclass(frozen=True, slots=True)
class Lowered:
    """A payment that something was taken off, with the gateway's ids of what may explain it."""

    invoice_id: str
    told: Told
    language: str
    payment_id: str | None
    membership_id: str | None
    promo_id: str | None


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was to come off, and what the lines say in the invoice's language. `by` is `promotion`, `plan_change` or
    `save_offer`."""

    by: str
    lines: tuple[Line, ...]
    texts: tuple[str, ...]


async def agreed(unit: UnitOfWork, lowered: Sequence[Lowered]) -> dict[str, Agreed]:
    """What was agreed about these payments, by invoice id; nothing for one of which we know nothing."""
    if not lowered:
        return {}
    found = await _plan_changes(unit, lowered)
    found |= await _promotions(unit, [one for one in lowered if one.promo_id and one.invoice_id not in found])
    return found | await _offers(unit, [one for one in lowered if one.promo_id and one.invoice_id not in found])


async def _plan_changes(unit: UnitOfWork, lowered: Sequence[Lowered]) -> dict[str, Agreed]:
    """The changes of plan that payments were made for."""
    payments = {one.payment_id for one in lowered if one.payment_id}
    memberships = {one.membership_id for one in lowered if one.membership_id}
    if not payments and not memberships:
        return {}
    rows = await unit.session.scalars(
        select(PlanChange)
        .where(
            or_(PlanChange.whop_payment_id.in_(payments), PlanChange.new_membership_id.in_(memberships)),
            PlanChange.credit_minor > 0,
        )
        .order_by(PlanChange.created_at)
    )
    by_payment: dict[str, PlanChange] = {}
    by_membership: dict[str, PlanChange] = {}
    for change in rows:
        if change.whop_payment_id is not None:
            by_payment[change.whop_payment_id] = change
        elif change.new_membership_id is not None:
            # The charge is known by its membership before it is known by its payment; a later one is a renewal.
            by_membership.setdefault(change.new_membership_id, change)
    found = {}
    for one in lowered:
        held = by_payment.get(one.payment_id or "") or by_membership.get(one.membership_id or "")
        if held is not None and (known := of_change(held, one.language)) is not None:
            found[one.invoice_id] = known
    return found


def of_change(change: PlanChange, language: str) -> Agreed | None:
    """What a change took off, as its customer was told."""
    lines = deductions(map(ChangeLine.from_json, change.lines), change.currency)
    if not lines:
        return None
    return Agreed(
        "plan_change", tuple(line for line, _ in lines), tuple(change_text(shown, language) for _, shown in lines)
    )


async def _promotions(unit: UnitOfWork, lowered: Sequence[Lowered]) -> dict[str, Agreed]:
    """What codes promised: one that was made for a checkout, or one that stands at the gateway under its own name."""
    promos = sorted({one.promo_id for one in lowered if one.promo_id})
    if not promos:
        return {}
    reserved = await unit.session.execute(
        select(PromotionReservation, PromotionCode.code)
        .join(PromotionCode, PromotionCode.id == PromotionReservation.code_id)
        .where(PromotionReservation.whop_promo_id.in_(promos))
    )
    promised = {held.whop_promo_id: (held, code) for held, code in reserved}
    others = sorted(set(promos) - set(promised))
    named: Mapping[str | None, tuple[str, int | None]] = {}
    if others:
        rows = await unit.session.execute(
            select(PromotionCode.whop_promo_id, PromotionCode.code, Promotion.percent_bp)
            .join(Promotion, Promotion.id == PromotionCode.promotion_id)
            .where(PromotionCode.whop_promo_id.in_(others))
        )
        named = {row.whop_promo_id: (row.code, row.percent_bp) for row in rows}
    found = {}
    for one in lowered:
        if one.promo_id in promised:
            held, code = promised[one.promo_id]
            found[one.invoice_id] = of_promotion(one.told.price, held, code, one.language)
        elif one.promo_id in named:
            # There the gateway reckons, and rounds: what it took off is what was agreed.
            code, percent_bp = named[one.promo_id]
            line = Line(LineKind.DISCOUNT, Label.PROMOTION, one.told.change, code, percent_bp=percent_bp)
            found[one.invoice_id] = _said((line,), one.language)
    return found


async def _offers(unit: UnitOfWork, lowered: Sequence[Lowered]) -> dict[str, Agreed]:
    """Accepted offers to stay. A membership has one promo code at most, so one that we know of by nothing else is the
    offer's. The gateway reckons, and rounds: what it took off is what was agreed."""
    memberships = sorted({one.membership_id for one in lowered if one.membership_id})
    if not memberships:
        return {}
    rows = await unit.session.execute(
        select(SaveOfferOutcome.whop_membership_id, SaveOfferOutcome.percent_bp)
        .join(SubscriptionMembership, SubscriptionMembership.subscription_id == SaveOfferOutcome.subscription_id)
        .where(
            SubscriptionMembership.whop_membership_id.in_(memberships),
            SaveOfferOutcome.whop_membership_id == SubscriptionMembership.whop_membership_id,
            SaveOfferOutcome.kind == "discount",
            SaveOfferOutcome.state == "accepted",
        )
    )
    shares = {row.whop_membership_id: row.percent_bp for row in rows}
    found = {}
    for one in lowered:
        if one.membership_id in shares:
            share = shares[one.membership_id]
            line = Line(LineKind.DISCOUNT, Label.STAY_OFFER, one.told.change, percent_bp=share)
            found[one.invoice_id] = _said((line,), one.language, by="save_offer")
    return found


def of_promotion(price: Money, held: PromotionReservation, code: str, language: str) -> Agreed:
    """What a code takes off a price: the lines that the preview of the purchase had."""
    item = Line(LineKind.PLAN, Label.PLAN, price)
    return _said(price_of(item, discount=held.promised(code)).lines[1:], language)


def _said(lines: tuple[Line, ...], language: str, *, by: str = "promotion") -> Agreed:
    return Agreed(by, lines, tuple(line_text(line, language) for line in lines))
