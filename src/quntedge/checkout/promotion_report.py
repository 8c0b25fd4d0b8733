"""What promotions brought and cost, by currency: from the payments that were made with them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.kit.money import Money
from quntedge.payments.models import PaymentTransaction
from quntedge.promotions.models import HELD, RELEASING, Promotion, PromotionRedemption, PromotionReservation
from quntedge.promotions.redemptions import PAID_WITHOUT_CODE


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One promotion in one currency. `code` None stands for promo codes that only the gateway knows.

    `uses` counts purchases, `payments` those and their renewals with a discount. `revenue` is what these payments
    brought, tax included and refunds taken off; `discounts` what was taken off before. `differing` counts payments that
    were lowered by another amount than was shown.
    """

    code: str | None
    name: str | None
    currency: str
    uses: int
    payments: int
    discounts: Money
    revenue: Money
    differing: int


@dataclass(frozen=True, slots=True)
class Holding:
    """Of one promotion: uses held by open checkouts, and purchases that were paid without the code they held."""

    code: str
    held: int
    paid_without_code: int


@dataclass(frozen=True, slots=True)
class PromotionReport:
    """The whole report."""

    rows: tuple[ReportRow, ...]
    holdings: tuple[Holding, ...]


async def report(
    session: AsyncSession, *, since: datetime | None = None, until: datetime | None = None, code: str | None = None
) -> PromotionReport:
    """What was paid from `since` to before `until`, of all promotions or of the one with this name."""
    return PromotionReport(tuple(await _rows(session, since, until, code)), tuple(await _holdings(session, code)))


async def _rows(
    session: AsyncSession, since: datetime | None, until: datetime | None, code: str | None
) -> list[ReportRow]:
    paid = PromotionRedemption
    kept = func.coalesce(paid.total_minor, 0) - PaymentTransaction.refunded_minor
    statement = (
        select(
            Promotion.code,
            Promotion.name,
            paid.currency,
            func.count().filter(paid.opening),
            func.count(),
            func.coalesce(func.sum(paid.discount_minor), 0),
            func.coalesce(func.sum(kept), 0),
            func.count().filter(paid.differs),
        )
        .join(PaymentTransaction, PaymentTransaction.id == paid.transaction_id)
        .outerjoin(Promotion, Promotion.id == paid.promotion_id)
        .group_by(Promotion.code, Promotion.name, paid.currency)
        .order_by(Promotion.code.nulls_last(), paid.currency)
    )
    if since is not None:
        statement = statement.where(paid.at >= since)
    if until is not None:
        statement = statement.where(paid.at < until)
    if code is not None:
        statement = statement.where(Promotion.code == code)
    return [
        ReportRow(
            named,
            name,
            currency,
            uses,
            payments,
            Money(int(off or 0), currency),
            Money(int(net or 0), currency),
            differing,
        )
        for named, name, currency, uses, payments, off, net, differing in await session.execute(statement)
    ]


async def _holdings(session: AsyncSession, code: str | None) -> list[Holding]:
    statement = (
        select(
            Promotion.code,
            func.count().filter(PromotionReservation.state.in_((HELD, RELEASING))),
            func.count().filter(PromotionReservation.outcome == PAID_WITHOUT_CODE),
        )
        .join(PromotionReservation, PromotionReservation.promotion_id == Promotion.id)
        .group_by(Promotion.code)
        .order_by(Promotion.code)
    )
    if code is not None:
        statement = statement.where(Promotion.code == code)
    found = [Holding(named, held, without) for named, held, without in await session.execute(statement)]
    return [one for one in found if one.held or one.paid_without_code]
