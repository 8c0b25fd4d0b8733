"""Reading promotions and codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.people import sharing_mailbox
from quntedge.catalog.models import Plan
from quntedge.kit.money import Money
from quntedge.kit.paging import Page, decode_cursor
from quntedge.promotions.models import (
    Promotion,
    PromotionAmount,
    PromotionCode,
    PromotionCustomer,
    PromotionPlan,
    PromotionRedemption,
    PromotionReservation,
)
from quntedge.promotions.rules import CodeState, PromotionSpec, Terms


@dataclass(frozen=True, slots=True)
class PromotionView:
    """A promotion with everything about it; `codes` counts those that can be used."""

    spec: PromotionSpec
    id: str
    version: int
    uses: int
    codes: int
    origin: str
    created_by: str
    created_at: datetime
    archived_at: datetime | None

    def state(self, now: datetime) -> str:
        """Whether it can be used: archived, ended, not begun, used up or active."""
        spec = self.spec
        if self.archived_at is not None:
            return "archived"
        if spec.ends_at is not None and spec.ends_at <= now:
            return "ended"
        if spec.starts_at is not None and now < spec.starts_at:
            return "not begun"
        return "used up" if spec.max_uses is not None and self.uses >= spec.max_uses else "active"


@dataclass(frozen=True, slots=True)
class CodeView:
    """A code as staff see it."""

    id: str
    code: str
    max_uses: int | None
    uses: int
    batch: str | None
    whop_promo_id: str | None
    created_at: datetime
    archived_at: datetime | None


@dataclass(frozen=True, slots=True)
class Running:
    """A promotion that lowers the renewals of a membership: `left` charges more, None all of them.

    `price` is what a discounted charge costs, `regular` what the others do.
    """

    code: str
    percent_bp: int | None
    off: Money
    price: Money
    regular: Money
    left: int | None


async def terms_by_code(session: AsyncSession, code: str, *, lock: bool = False) -> tuple[Terms, CodeState] | None:
    """The promotion that has a code (in its normal form), and the code; None for an unknown one.

    With `lock` both rows are kept until the transaction ends: whoever counts a use of them takes turns.
    """
    statement = select(Promotion, PromotionCode).join(PromotionCode).where(PromotionCode.code == code)
    statement = statement.execution_options(populate_existing=True)
    row = (await session.execute(statement.with_for_update() if lock else statement)).one_or_none()
    if row is None:
        return None
    held, named = row
    return (await _terms(session, held)), CodeState(
        named.id, named.code, named.max_uses, named.uses, named.archived_at is not None
    )


async def _terms(session: AsyncSession, held: Promotion) -> Terms:
    amounts = await _amounts(session, [held.id])
    plans = await _plans(session, [held.id])
    return Terms(
        id=held.id,
        code=held.code,
        name=held.name,
        version=held.version,
        percent_bp=held.percent_bp,
        amounts=amounts.get(held.id, {}),
        periods=held.periods,
        plans=None if held.every_plan else plans.get(held.id, {}),
        first_purchase_only=held.first_purchase_only,
        max_uses=held.max_uses,
        max_per_customer=held.max_per_customer,
        uses=held.uses,
        starts_at=held.starts_at,
        ends_at=held.ends_at,
        archived=held.archived_at is not None,
    )


async def _amounts(session: AsyncSession, promotion_ids: Sequence[str]) -> dict[str, dict[str, Money]]:
    rows = await session.scalars(
        select(PromotionAmount)
        .where(PromotionAmount.promotion_id.in_(promotion_ids))
        .order_by(PromotionAmount.currency)
        .execution_options(populate_existing=True)
    )
    found: dict[str, dict[str, Money]] = {}
    for row in rows:
        found.setdefault(row.promotion_id, {})[row.currency] = Money(row.amount_minor, row.currency)
    return found


async def _plans(session: AsyncSession, promotion_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    rows = await session.execute(
        select(PromotionPlan.promotion_id, Plan.id, Plan.code)
        .join(Plan, Plan.id == PromotionPlan.plan_id)
        .where(PromotionPlan.promotion_id.in_(promotion_ids))
        .order_by(Plan.position, Plan.code)
    )
    found: dict[str, dict[str, str]] = {}
    for promotion_id, plan_id, code in rows:
        found.setdefault(promotion_id, {})[plan_id] = code
    return found


async def uses_of(session: AsyncSession, promotion_id: str, user_id: str) -> int:
    """How often a customer holds or has used a promotion, under whatever address that reaches the same mailbox."""
    found = await session.scalar(
        select(func.sum(PromotionCustomer.uses)).where(
            PromotionCustomer.promotion_id == promotion_id, PromotionCustomer.user_id.in_(sharing_mailbox(user_id))
        )
    )
    return int(found or 0)


async def promotions(session: AsyncSession, *, archived: bool = False, code: str | None = None) -> list[PromotionView]:
    """All promotions, newest first; archived ones when asked for. With `code` that one, archived or not."""
    conditions: list[ColumnElement[bool]] = []
    if code is not None:
        conditions.append(Promotion.code == code)
    elif not archived:
        conditions.append(Promotion.archived_at.is_(None))
    rows = (
        await session.scalars(
            select(Promotion)
            .where(*conditions)
            .order_by(Promotion.created_at.desc(), Promotion.id.desc())
            .execution_options(populate_existing=True)
        )
    ).all()
    ids = [row.id for row in rows]
    amounts, plans = await _amounts(session, ids), await _plans(session, ids)
    counted = await session.execute(
        select(PromotionCode.promotion_id, func.count())
        .where(PromotionCode.promotion_id.in_(ids), PromotionCode.archived_at.is_(None))
        .group_by(PromotionCode.promotion_id)
    )
    codes = {str(row[0]): int(row[1]) for row in counted}
    return [_view(row, amounts.get(row.id, {}), plans.get(row.id, {}), codes.get(row.id, 0)) for row in rows]


def _view(row: Promotion, amounts: Mapping[str, Money], plans: Mapping[str, str], codes: int) -> PromotionView:
    spec = PromotionSpec(
        code=row.code,
        name=row.name,
        percent_bp=row.percent_bp,
        amounts=amounts,
        periods=row.periods,
        plans=None if row.every_plan else tuple(plans.values()),
        first_purchase_only=row.first_purchase_only,
        max_uses=row.max_uses,
        max_per_customer=row.max_per_customer,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        at_whop=row.at_whop,
    )
    return PromotionView(
        spec, row.id, row.version, row.uses, codes, row.origin, row.created_by, row.created_at, row.archived_at
    )


async def code_texts(session: AsyncSession, promotion_id: str, wanted: Sequence[str]) -> frozenset[str]:
    """Those of the codes (in their normal form) that a promotion has."""
    rows = await session.scalars(
        select(PromotionCode.code).where(
            PromotionCode.promotion_id == promotion_id, PromotionCode.code.in_(list(wanted))
        )
    )
    return frozenset(rows)


async def codes(
    session: AsyncSession, promotion_id: str, cursor: str | None, limit: int, *, batch: str | None = None
) -> Page[CodeView]:
    """The codes of a promotion, oldest first, a page at a time; of one batch when asked for."""
    statement = select(PromotionCode).where(PromotionCode.promotion_id == promotion_id)
    if batch is not None:
        statement = statement.where(PromotionCode.batch == batch)
    if cursor is not None:
        statement = statement.where(tuple_(PromotionCode.created_at, PromotionCode.id) > tuple_(*decode_cursor(cursor)))
    rows = await session.scalars(statement.order_by(PromotionCode.created_at, PromotionCode.id).limit(limit + 1))
    return Page.cut([_code_view(row) for row in rows], limit, lambda code: (code.created_at, code.id))


def _code_view(row: PromotionCode) -> CodeView:
    return CodeView(
        row.id, row.code, row.max_uses, row.uses, row.batch, row.whop_promo_id, row.created_at, row.archived_at
    )


async def running(session: AsyncSession, whop_membership_id: str) -> Running | None:
    """The promotion that lowers the next renewals of a membership; None where none does (any more)."""
    row: Any = (
        await session.execute(
            select(
                PromotionReservation,
                PromotionCode.code,
                func.count().filter(PromotionRedemption.discount_minor > 0).label("charges"),
            )
            .join(PromotionRedemption, PromotionRedemption.reservation_id == PromotionReservation.id)
            .join(PromotionCode, PromotionCode.id == PromotionReservation.code_id)
            .where(PromotionRedemption.whop_membership_id == whop_membership_id)
            .where(PromotionRedemption.whop_promo_id == PromotionReservation.whop_promo_id)
            .group_by(PromotionReservation.id, PromotionCode.code)
            .order_by(PromotionReservation.created_at.desc())
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        return None
    held: PromotionReservation = row.PromotionReservation
    left = None if held.periods is None else held.periods - row.charges
    if left is not None and left <= 0:
        return None
    off, regular = Money(held.discount_minor, held.currency), Money(held.price_minor, held.currency)
    return Running(row.code, held.percent_bp, off, regular - off, regular, left)
