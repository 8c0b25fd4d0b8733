"""What was really taken off: each payment that came with a promo code, and purchases that should have."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update

from quntedge.promotions.models import (
    HELD,
    RELEASED,
    RELEASING,
    USED,
    Promotion,
    PromotionCode,
    PromotionRedemption,
    PromotionReservation,
)
from quntedge.promotions.reserving import PromotionDesk
from quntedge.storage.rows import insert_rows
from quntedge.storage.unit_of_work import UnitOfWork

PAID_WITHOUT_CODE, LATE, OVER_LIMIT = "paid_without_code", "late", "over_limit"


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that has just been collected. Amounts in minor units; `opening` is a purchase's first payment."""

    transaction_id: str
    user_id: str
    checkout_id: str | None
    membership_id: str | None
    promo_id: str | None
    currency: str
    subtotal_minor: int | None
    discount_minor: int | None
    total_minor: int | None
    opening: bool
    at: datetime


class Redemptions:
    """Records redemptions and ends reservations. A subscriber: it never commits."""

    def __init__(self, desk: PromotionDesk) -> None:
        self._desk = desk

    async def record(self, unit: UnitOfWork, payments: Sequence[Paid]) -> None:
        """Records what these payments say. Those without a promo code matter only if they open a purchase.

        A payment is recorded once: a second report of it changes nothing.
        """
        held = await self._reservations(unit, payments)
        codes = await self._codes(unit, payments)
        rows: list[dict[str, Any]] = []
        unused: list[str] = []
        for payment in payments:
            mine = next((row for row in held if _belongs(row, payment)), None)
            if payment.promo_id is not None:
                rows.append(_redemption(payment, mine, codes.get(payment.promo_id)))
            if mine is None:
                continue
            if payment.promo_id == mine.whop_promo_id and payment.promo_id is not None:
                await self._use(unit, mine)
            elif mine.state == HELD:
                # Paid without the code, or with another one: what was held is free again.
                mine.state, mine.outcome = RELEASING, PAID_WITHOUT_CODE
                unused.append(mine.id)
        await unit.session.flush()
        await insert_rows(
            await unit.driver_connection(), PromotionRedemption.__table__, rows, conflict_key="transaction_id"
        )
        await self._desk.begin_release(unit, unused)

    @staticmethod
    async def _reservations(unit: UnitOfWork, payments: Sequence[Paid]) -> list[PromotionReservation]:
        promos = sorted({payment.promo_id for payment in payments if payment.promo_id is not None})
        checkouts = sorted({payment.checkout_id for payment in payments if payment.opening and payment.checkout_id})
        rows = await unit.session.scalars(
            select(PromotionReservation)
            .where(
                or_(
                    PromotionReservation.whop_promo_id.in_(promos),
                    PromotionReservation.checkout_id.in_(checkouts),
                )
            )
            .order_by(PromotionReservation.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return list(rows)

    @staticmethod
    async def _codes(unit: UnitOfWork, payments: Sequence[Paid]) -> dict[str, tuple[str, str]]:
        """Codes that stand at the gateway under their own name: the promotion and the code, by promo id."""
        promos = sorted({payment.promo_id for payment in payments if payment.promo_id is not None})
        if not promos:
            return {}
        rows = await unit.session.execute(
            select(PromotionCode.whop_promo_id, PromotionCode.promotion_id, PromotionCode.id).where(
                PromotionCode.whop_promo_id.in_(promos)
            )
        )
        return {str(promo_id): (promotion_id, code_id) for promo_id, promotion_id, code_id in rows}

    @staticmethod
    async def _use(unit: UnitOfWork, held: PromotionReservation) -> None:
        if held.state == USED:
            return
        if held.state == RELEASED:
            # The gateway had said that this could not happen. It is counted where there is room, and shown in any case.
            counted = await unit.session.scalar(
                update(Promotion)
                .where(Promotion.id == held.promotion_id)
                .where(or_(Promotion.max_uses.is_(None), Promotion.uses < Promotion.max_uses))
                .values(uses=Promotion.uses + 1)
                .returning(Promotion.id)
                .execution_options(synchronize_session=False)
            )
            held.outcome = LATE if counted is not None else OVER_LIMIT
        held.state, held.ended_at = USED, unit.clock.now()


def _belongs(held: PromotionReservation, payment: Paid) -> bool:
    if held.user_id != payment.user_id:
        return False
    if payment.promo_id is not None and payment.promo_id == held.whop_promo_id:
        return True
    return payment.opening and payment.checkout_id == held.checkout_id


def _redemption(payment: Paid, held: PromotionReservation | None, code: tuple[str, str] | None) -> dict[str, Any]:
    mine = held is not None and payment.promo_id == held.whop_promo_id
    promotion_id, code_id = (held.promotion_id, held.code_id) if held is not None and mine else code or (None, None)
    agreed = _agreed(payment, held) if held is not None and mine else None
    return {
        "transaction_id": payment.transaction_id,
        "user_id": payment.user_id,
        "promotion_id": promotion_id,
        "code_id": code_id,
        "reservation_id": held.id if held is not None and mine else None,
        "whop_promo_id": payment.promo_id,
        "whop_membership_id": payment.membership_id,
        "currency": payment.currency,
        "discount_minor": payment.discount_minor,
        "total_minor": payment.total_minor,
        "agreed_minor": agreed,
        "opening": payment.opening,
        "differs": agreed is not None and payment.discount_minor is not None and agreed != payment.discount_minor,
        "at": payment.at,
    }


def _agreed(payment: Paid, held: PromotionReservation) -> int | None:
    """What was shown to come off this payment: nothing of a trial's, the promised amount of all others."""
    if payment.subtotal_minor is None:
        return None
    return held.discount_minor if payment.subtotal_minor else 0
