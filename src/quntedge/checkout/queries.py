"""Reading checkouts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog.models import Plan
from quntedge.checkout.models import CheckoutIntent
from quntedge.checkout.rules import shown_state
from quntedge.kit.ids import is_id
from quntedge.kit.money import Money
from quntedge.promotions.models import PromotionCode, PromotionReservation
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork

PREFIX = "chk"


@dataclass(frozen=True, slots=True)
class CheckoutView:
    """A checkout as its customer sees it.

    `state` is created, open, completed, failed, expired or unknown. `purchase_url` is where to pay, while that is
    possible. `failure` is a stable word for what went wrong last; `rules.failure_text` puts it into a sentence.
    `price` is the plan's, `discount` what a promotion takes off each of the charges it is for.
    """

    id: str
    state: str
    plan_code: str
    plan_name: str
    price: Money
    purchase_url: str | None
    created_at: datetime
    failure: str | None = None
    subscription_id: str | None = None
    discount: Money | None = None
    promotion_code: str | None = None
    """What the customer typed, in its normal form."""
    payment_code: str | None = None
    """What they type on the payment page: a code that is theirs alone. Only while they can pay."""

    @property
    def total(self) -> Money:
        """What a charge comes to, before tax that the gateway adds."""
        return self.price if self.discount is None else self.price - self.discount

    def to_json(self) -> dict[str, Any]:
        """The view as JSON members."""
        return {
            "id": self.id,
            "state": self.state,
            "plan_code": self.plan_code,
            "plan_name": self.plan_name,
            "price": self.price.to_json(),
            "purchase_url": self.purchase_url,
            "created_at": self.created_at.isoformat(),
            "failure": self.failure,
            "subscription_id": self.subscription_id,
            "discount": None if self.discount is None else self.discount.to_json(),
            "promotion_code": self.promotion_code,
            "payment_code": self.payment_code,
        }

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> "CheckoutView":
        """The view that `to_json` made these members of."""
        price, off = members["price"], members.get("discount")
        return cls(
            id=members["id"],
            state=members["state"],
            plan_code=members["plan_code"],
            plan_name=members["plan_name"],
            price=Money(price["amount_minor"], price["currency"]),
            purchase_url=members["purchase_url"],
            created_at=datetime.fromisoformat(members["created_at"]),
            failure=members["failure"],
            subscription_id=members["subscription_id"],
            discount=None if off is None else Money(off["amount_minor"], off["currency"]),
            promotion_code=members.get("promotion_code"),
            payment_code=members.get("payment_code"),
        )


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose checkout it is, for what, and how far it has come."""

    user_id: str
    plan_id: str
    state: str


_OWNERS = select(CheckoutIntent.id, CheckoutIntent.user_id, CheckoutIntent.plan_id, CheckoutIntent.state).where(
    among(CheckoutIntent.id)
)


async def owners(unit: UnitOfWork, intent_ids: Collection[str]) -> dict[str, Owner]:
    """The owners of these checkouts; what is no checkout of ours is missing, whatever the text."""
    wanted = Texts({intent_id for intent_id in intent_ids if is_id(intent_id, PREFIX)})
    if not wanted:
        return {}
    rows = await unit.fetch(_OWNERS, {"values": wanted})
    return {row.id: Owner(row.user_id, row.plan_id, row.state) for row in rows}


async def checkout(session: AsyncSession, user_id: str, checkout_id: str, now: datetime) -> CheckoutView | None:
    """This customer's checkout with this id; None for a foreign or an unknown one."""
    if not is_id(checkout_id, PREFIX):
        return None
    row = (
        await session.execute(
            select(CheckoutIntent, Plan.code, Plan.name, PromotionCode.code.label("promotion"), _PAYMENT_CODE)
            .join(Plan, Plan.id == CheckoutIntent.plan_id)
            .outerjoin(PromotionReservation, PromotionReservation.id == CheckoutIntent.reservation_id)
            .outerjoin(PromotionCode, PromotionCode.id == PromotionReservation.code_id)
            .where(CheckoutIntent.id == checkout_id, CheckoutIntent.user_id == user_id)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if row is None:
        return None
    typed = None if row.promotion is None else Typed(row.promotion, row.payment_code)
    return view_of(row.CheckoutIntent, row.code, row.name, now, typed)


_PAYMENT_CODE = PromotionReservation.whop_code.label("payment_code")


@dataclass(frozen=True, slots=True)
class Typed:
    """The two codes of a checkout with a promotion: the promotion's, and the one for the payment page."""

    promotion: str
    payment: str


async def typed_of(session: AsyncSession, intent: CheckoutIntent) -> Typed | None:
    """The codes of an intent; None for one without a promotion."""
    if intent.reservation_id is None:
        return None
    row = await session.execute(
        select(PromotionCode.code, _PAYMENT_CODE)
        .join(PromotionCode, PromotionCode.id == PromotionReservation.code_id)
        .where(PromotionReservation.id == intent.reservation_id)
    )
    return Typed(*row.one())


def view_of(
    intent: CheckoutIntent, plan_code: str, plan_name: str, now: datetime, typed: Typed | None = None
) -> CheckoutView:
    """The view of an intent at hand."""
    state = shown_state(intent.state, intent.expires_at, now)
    return CheckoutView(
        id=intent.id,
        state=state,
        plan_code=plan_code,
        plan_name=plan_name,
        price=Money(intent.price_minor, intent.currency),
        purchase_url=intent.purchase_url if state == "open" else None,
        created_at=intent.created_at,
        failure=intent.failure,
        subscription_id=intent.subscription_id,
        discount=Money(intent.discount_minor, intent.currency) if intent.discount_minor else None,
        promotion_code=typed.promotion if typed is not None else None,
        payment_code=typed.payment if typed is not None and state == "open" else None,
    )
