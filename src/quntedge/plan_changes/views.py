"""What is shown of a change: before it is confirmed, while it is done, and afterwards."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.gateway.acts import StoredMethod
from quntedge.kit.money import Money
from quntedge.plan_changes.lines import Line, line_text
from quntedge.plan_changes.models import OPEN, PlanChange
from quntedge.plan_changes.rules import UNLIMITED, Direction, FeatureChange, feature_changes
from quntedge.plan_changes.situation import EndingDiscount

_PROGRESS: Mapping[str, str] = {
    "running": "paying",
    "awaiting_checkout": "waiting_for_payment",
    "requires_action": "waiting_for_bank",
    "scheduling": "scheduling",
    "scheduled": "scheduled",
    "withdrawing": "withdrawing",
    "collecting": "paying",
}


@dataclass(frozen=True, slots=True)
class Preview:
    """A change as it would be if it were confirmed now. `quote` is what to confirm, until `expires_at`.

    `amount` is charged now (before taxes, where the gateway adds them) and is the sum of the lines; `price` is charged
    for each period from then on. `method` is what is charged; None where the customer pays on the gateway's page, or
    where nothing is due now. `replaces` is the plan of a planned change that this one takes the place of,
    `ending_discount` what lowers the renewals of the present plan and is lost by the change.
    """

    quote: str
    expires_at: datetime
    from_plan: PlanView
    to_plan: PlanView
    direction: str
    moment: str
    pay_by: str
    effective_at: datetime | None
    amount: Money
    price: Money
    refund: Money
    extension_days: int
    lines: tuple[Line, ...]
    method: StoredMethod | None
    taxes: bool
    replaces: PlanView | None
    ending_discount: EndingDiscount | None

    @property
    def features(self) -> tuple[FeatureChange, ...]:
        """What the customer gets and gives up."""
        return feature_changes(_worth(self.from_plan), _worth(self.to_plan))

    def to_json(self, locale: str = "en") -> dict[str, Any]:
        """The preview as JSON members, each line with its text."""
        return {
            "quote": self.quote,
            "expires_at": self.expires_at.isoformat(),
            "from_plan": self.from_plan.code,
            "to_plan": self.to_plan.code,
            "direction": self.direction,
            "when": self.moment,
            "pay_by": self.pay_by,
            "effective_at": None if self.effective_at is None else self.effective_at.isoformat(),
            "amount": self.amount.to_json(),
            "price": self.price.to_json(),
            "refund": self.refund.to_json(),
            "extension_days": self.extension_days,
            "taxes_added": self.taxes,
            "method": None
            if self.method is None
            else {"kind": self.method.kind, "brand": self.method.brand, "last4": self.method.last4},
            "replaces": None if self.replaces is None else self.replaces.code,
            "ending_discount": None
            if self.ending_discount is None
            else {"code": self.ending_discount.code, "renewal": self.ending_discount.renewal.to_json()},
            "features": [
                {"code": one.code, "before": one.before, "after": one.after, "better": one.better}
                for one in self.features
            ],
            "lines": [line.to_json() | {"text": line_text(line, locale)} for line in self.lines],
        }


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change as its customer follows it.

    `progress` says how far it is: paying, waiting_for_payment (at `pay_url`), waiting_for_bank (at `confirm_url`, which
    is read fresh from the gateway), retrying (declined at the end of the period; `pay_url` as well), scheduling,
    scheduled, withdrawing, or the state it has ended in: done, failed, withdrawn, replaced, dropped, expired.
    """

    id: str
    state: str
    progress: str
    direction: str
    moment: str
    from_plan: PlanView
    to_plan: PlanView
    amount: Money
    price: Money
    refund: Money
    extension_days: int
    lines: tuple[Line, ...]
    effective_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    failure: str | None
    pay_url: str | None
    payment_id: str | None
    confirm_url: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is still to come."""
        return self.state in OPEN

    @property
    def withdrawable(self) -> bool:
        """Whether the customer can still take it back."""
        if self.direction == Direction.NEW_VERSION:
            return False
        return self.state in ("scheduling", "scheduled", "awaiting_checkout")

    def to_json(self, locale: str = "en") -> dict[str, Any]:
        """The change as JSON members."""
        return {
            "id": self.id,
            "state": self.progress,
            "direction": self.direction,
            "when": self.moment,
            "from_plan": self.from_plan.code,
            "to_plan": self.to_plan.code,
            "amount": self.amount.to_json(),
            "price": self.price.to_json(),
            "refund": self.refund.to_json(),
            "extension_days": self.extension_days,
            "effective_at": None if self.effective_at is None else self.effective_at.isoformat(),
            "created_at": self.created_at.isoformat(),
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "failure": self.failure,
            "withdrawable": self.withdrawable,
            "pay_url": self.pay_url,
            "confirm_url": self.confirm_url,
            "lines": [line.to_json() | {"text": line_text(line, locale)} for line in self.lines],
        }


def _worth(plan: PlanView) -> dict[str, bool | int | str]:
    return {
        one.code: True if one.kind == "boolean" else UNLIMITED if one.value is None else one.value
        for one in plan.features
    }


async def latest(session: AsyncSession, user_id: str) -> ChangeView | None:
    """The customer's open change, one that is being done before one that is planned; else their newest."""
    change = await session.scalar(
        select(PlanChange)
        .where(PlanChange.user_id == user_id)
        .order_by(PlanChange.state.in_(OPEN).desc(), PlanChange.created_at.desc(), PlanChange.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return None if change is None else await view_of(session, change)


async def credit_promos(session: AsyncSession, user_ids: Collection[str], promo_ids: Collection[str]) -> frozenset[str]:
    """Those of the gateway's promo codes by which changes of these customers took unused time off a charge."""
    found = await session.scalars(
        select(PlanChange.whop_promo_id).where(
            PlanChange.user_id.in_(sorted(user_ids)), PlanChange.whop_promo_id.in_(sorted(promo_ids))
        )
    )
    return frozenset(promo_id for promo_id in found if promo_id is not None)


async def planned_plan(session: AsyncSession, subscription_id: str) -> PlanView | None:
    """The plan that a subscription is going to have when its period ends; None where it stays as it is."""
    plan_id = await session.scalar(
        select(PlanChange.to_plan_id).where(
            PlanChange.subscription_id == subscription_id,
            PlanChange.state.in_(("scheduling", "scheduled")),
            PlanChange.to_plan_id != PlanChange.from_plan_id,
        )
    )
    return None if plan_id is None else (await catalog.plans_by_id(session, [plan_id]))[plan_id]


async def view_of(session: AsyncSession, change: PlanChange) -> ChangeView:
    """The view of a change at hand."""
    plans = await catalog.plans_by_id(session, [change.from_plan_id, change.to_plan_id])
    money = change.currency
    return ChangeView(
        id=change.id,
        state=change.state,
        progress=_progress(change),
        direction=change.direction,
        moment=change.moment,
        from_plan=plans[change.from_plan_id],
        to_plan=plans[change.to_plan_id],
        amount=Money(change.charge_minor, money),
        price=Money(change.price_minor, money),
        refund=Money(change.refund_minor, money),
        extension_days=change.extension_days,
        lines=tuple(Line.from_json(line) for line in change.lines),
        effective_at=change.effective_at,
        created_at=change.created_at,
        ended_at=change.ended_at,
        failure=change.failure,
        pay_url=change.purchase_url if change.state in OPEN else None,
        payment_id=change.whop_payment_id,
    )


def _progress(change: PlanChange) -> str:
    if change.state == "collecting" and change.purchase_url is not None:
        return "retrying"
    return _PROGRESS.get(change.state, change.state)
