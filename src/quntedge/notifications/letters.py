"""What a mail says: the cause's parameters, joined with what is known of person, plan and subscription now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.people import people
from quntedge.catalog.models import Plan
from quntedge.kit.money import Money
from quntedge.notifications.outbox import Claimed
from quntedge.notifications.rules import Kind, ended_on, renewed_until
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import is_paid
from quntedge.storage.vault import Vault
from quntedge.subscriptions.models import Subscription

Found = TypeVar("Found")

ENDED = frozenset({"canceled", "expired"})


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail before it is put into words. `to` is None when there is nobody to write to.

    `moot` says why the mail would be wrong by now, where it would.
    """

    id: str
    kind: str
    to: str | None
    name: str | None
    locale: str
    plan_name: str | None
    amount: Money | None
    period_end: datetime | None
    grace_until: datetime | None
    invoice_number: str | None
    decline_class: str | None
    moot: str | None = None


async def compose(session: AsyncSession, vault: Vault, mail: Claimed) -> Letter:
    """Reads what the mail needs. Names and addresses are read now, because the queue holds no personal data."""
    params = mail.params
    person = (await people(session, vault, [mail.user_id])).get(mail.user_id)
    subscription = await _find(session, Subscription, params.get("subscription_id"))
    plan = await _find(session, Plan, params.get("plan_id") or (subscription.plan_id if subscription else None))
    amount = _stated_amount(params)
    if amount is None and mail.kind == Kind.SUBSCRIPTION_CONFIRMED:
        amount = await _first_payment(session, params.get("membership_id"))
    if amount is None:
        amount = _usual_price(subscription, plan)
    return Letter(
        id=mail.id,
        kind=mail.kind,
        to=person.email if person else None,
        name=person.name if person else None,
        locale=person.locale if person else "en",
        plan_name=plan.name if plan else None,
        amount=amount,
        period_end=_period_end(mail, subscription),
        grace_until=subscription.grace_until if subscription else None,
        invoice_number=params.get("invoice_number"),
        decline_class=params.get("decline_class"),
        moot=await _moot(session, mail, subscription),
    )


async def _find(session: AsyncSession, table: type[Found], row_id: str | None) -> Found | None:
    return None if row_id is None else await session.get(table, row_id)


async def _moot(session: AsyncSession, mail: Claimed, subscription: Subscription | None) -> str | None:
    """A mail can wait for hours. That a payment failed and is tried again must still be true when it goes out."""
    if mail.kind != Kind.PAYMENT_FAILED:
        return None
    if subscription is not None and subscription.status in ENDED:
        return "the subscription has ended"
    payment = await _find(session, PaymentTransaction, mail.params.get("transaction_id"))
    if payment is not None and is_paid(payment.status):
        return "the payment has been paid"
    return None


async def _first_payment(session: AsyncSession, membership_id: str | None) -> Money | None:
    """What was in fact paid for a new membership; None while its payment has not arrived."""
    row = (
        await session.execute(
            select(PaymentTransaction.total_minor, PaymentTransaction.currency)
            .where(
                PaymentTransaction.whop_membership_id == membership_id,
                PaymentTransaction.paid_at.is_not(None),
                PaymentTransaction.total_minor.is_not(None),
            )
            .order_by(PaymentTransaction.paid_at, PaymentTransaction.id)
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else Money(row.total_minor, row.currency)


def _stated_amount(params: dict[str, Any]) -> Money | None:
    amount_minor, currency = params.get("amount_minor"), params.get("currency")
    return None if amount_minor is None or currency is None else Money(amount_minor, currency)


def _usual_price(subscription: Subscription | None, plan: Plan | None) -> Money | None:
    """The price agreed for the subscription, else the plan's. A lifetime plan never renews: only its price counts."""
    if plan is None:
        return None
    if subscription is not None and subscription.plan_id == plan.id and plan.kind == "recurring":
        agreed, currency = subscription.renewal_price_minor, subscription.currency
        if agreed is not None and currency is not None:
            return Money(agreed, currency)
    return Money(plan.price_minor, plan.currency)


def _period_end(mail: Claimed, subscription: Subscription | None) -> datetime | None:
    stated = _moment(mail.params.get("period_end"))
    if mail.kind == Kind.RENEWAL_PAID:
        known = subscription.period_end if subscription else None
        return renewed_until(known, _moment(mail.params.get("paid_at")))
    if mail.kind == Kind.SUBSCRIPTION_ENDED:
        return ended_on(subscription.ended_at if subscription else None, stated, mail.created_at)
    return stated


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
