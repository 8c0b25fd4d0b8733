"""Gathers what every part of the product has on record about a disputed payment, for `disputes.evidence`."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.models import AppUser, UserSession
from quntedge.accounts.people import people
from quntedge.catalog import queries as catalog
from quntedge.checkout.models import CheckoutIntent
from quntedge.disputes.evidence import (
    Buyer,
    DisputedCharge,
    DisputeFile,
    DisputeRecords,
    Happening,
    Purchase,
    compose,
    stamp,
)
from quntedge.disputes.models import Dispute
from quntedge.edge.services import Services
from quntedge.invoices.models import Invoice
from quntedge.invoices.profiles import BillingProfiles
from quntedge.kit.money import Money
from quntedge.notifications.models import Notification
from quntedge.payments.models import PaymentTransaction
from quntedge.refunds.models import Refund
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription, SubscriptionEvent

_MOST = 500
"""More rows of a kind than this help nobody."""


async def dispute_file(
    services: Services, unit: UnitOfWork, dispute: Dispute, *, notes: str | None = None, refusal: str | None = None
) -> DisputeFile:
    """The file about a dispute as our records are now. `notes` and `refusal` are what a person adds."""
    session = unit.session
    payment = await session.get_one(PaymentTransaction, dispute.transaction_id)
    subscription = (
        await session.get(Subscription, dispute.subscription_id) if dispute.subscription_id is not None else None
    )
    records = DisputeRecords(
        product_name=services.settings.product_name,
        billing_url=f"{services.settings.base_url}/billing",
        withdrawal_refund=services.settings.withdrawal_refund,
        charge=_charge(dispute, payment),
        buyer=await _buyer(services, session, dispute.user_id),
        purchase=await _purchase(session, payment, subscription),
        subscription_status=subscription.status if subscription is not None else None,
        subscription_ended_at=subscription.ended_at if subscription is not None else None,
        history=await _history(session, dispute.subscription_id),
        sign_ins=await _sign_ins(services, session, dispute.user_id),
        mails=await _mails(session, dispute.user_id),
        payments=await _payments(session, dispute.user_id),
        invoices=await _invoices(session, dispute.user_id),
        refunds=await _refunds(session, payment.id),
    )
    return compose(records, notes=notes, refusal=refusal)


def _charge(dispute: Dispute, payment: PaymentTransaction) -> DisputedCharge:
    method = " ".join(part for part in (payment.method_brand, payment.method_last4) if part)
    return DisputedCharge(
        dispute_id=dispute.id,
        whop_dispute_id=dispute.whop_dispute_id,
        reason=dispute.reason,
        reason_code=dispute.reason_code,
        amount=Money(dispute.amount_minor, dispute.currency),
        inquiry=dispute.inquiry,
        opened_at=dispute.opened_at,
        due_at=dispute.evidence_due_at,
        payment_id=payment.id,
        whop_payment_id=payment.whop_payment_id,
        total=None if payment.total_minor is None else Money(payment.total_minor, payment.currency),
        paid_at=payment.paid_at,
        billing_reason=payment.billing_reason,
        method=method or payment.method_kind,
        refunded=Money(payment.refunded_minor, payment.currency),
    )


async def _buyer(services: Services, session: AsyncSession, user_id: str) -> Buyer:
    person = (await people(session, services.vault, [user_id]))[user_id]
    user = await session.get_one(AppUser, user_id)
    profile = await BillingProfiles(services.vault).current(session, user_id)
    address = None
    if profile is not None and profile.details.line1 is not None:
        details = profile.details
        lines = (details.title, details.line1, details.line2, details.postcode, details.city, details.country)
        address = ", ".join(line for line in lines if line)
    return Buyer(user_id, person.name, person.email, user.created_at, user.terms_accepted_at, address)


async def _purchase(session: AsyncSession, payment: PaymentTransaction, subscription: Subscription | None) -> Purchase:
    plan_id = payment.plan_id or (subscription.plan_id if subscription is not None else None)
    plan = (await catalog.plans_by_id(session, [plan_id])).get(plan_id) if plan_id is not None else None
    checkout_id = subscription.checkout_id if subscription is not None else None
    checkout = await session.get(CheckoutIntent, checkout_id) if checkout_id is not None else None
    return Purchase(
        plan_name=plan.name if plan is not None else None,
        plan_tagline=plan.tagline if plan is not None else "",
        period_days=plan.period_days if plan is not None else None,
        features=tuple(feature.name for feature in plan.features) if plan is not None else (),
        checkout_id=checkout.id if checkout is not None else None,
        checkout_opened_at=checkout.created_at if checkout is not None else None,
        checkout_completed_at=checkout.completed_at if checkout is not None else None,
        price_shown=Money(checkout.price_minor, checkout.currency) if checkout is not None else None,
    )


async def _history(session: AsyncSession, subscription_id: str | None) -> list[Happening]:
    if subscription_id is None:
        return []
    rows = await session.execute(
        select(SubscriptionEvent.at, SubscriptionEvent.kind, SubscriptionEvent.actor)
        .where(SubscriptionEvent.subscription_id == subscription_id)
        .order_by(SubscriptionEvent.version.desc())
        .limit(_MOST)
    )
    return _in_order([Happening(row.at, _words(row.kind), f"by {row.actor.partition(':')[0]}") for row in rows])


async def _sign_ins(services: Services, session: AsyncSession, user_id: str) -> list[Happening]:
    found = await session.scalars(
        select(UserSession)
        .where(UserSession.user_id == user_id)
        .order_by(UserSession.created_at.desc(), UserSession.token_digest)
        .limit(_MOST)
    )
    rows = found.all()
    cipher = (await services.vault.ciphers(session, [user_id])).get(user_id)
    happenings = []
    for row in rows:
        seen = f"last seen {stamp(row.last_seen_at)}"
        if row.ip is not None and cipher is not None:
            seen += f", from {cipher.open('user_session', 'ip', row.token_digest.hex(), row.ip)}"
        happenings.append(Happening(row.created_at, "signed in", seen))
    return _in_order(happenings)


async def _mails(session: AsyncSession, user_id: str) -> list[Happening]:
    rows = await session.execute(
        select(Notification.sent_at, Notification.kind)
        .where(Notification.user_id == user_id, Notification.state == "sent")
        .order_by(Notification.id.desc())
        .limit(_MOST)
    )
    return _in_order([Happening(row.sent_at, _words(row.kind), "sent by mail") for row in rows if row.sent_at])


async def _payments(session: AsyncSession, user_id: str) -> list[Happening]:
    rows = await session.execute(
        select(PaymentTransaction)
        .where(PaymentTransaction.user_id == user_id)
        .order_by(PaymentTransaction.occurred_at.desc(), PaymentTransaction.id.desc())
        .limit(_MOST)
    )
    return _in_order(
        [Happening(row.occurred_at, _amount(row.total_minor, row.currency), _paid_as(row)) for row in rows.scalars()]
    )


def _paid_as(row: PaymentTransaction) -> str:
    parts = [_words(row.status), row.whop_payment_id, row.method_brand or row.method_kind or ""]
    return ", ".join(part for part in parts if part)


async def _invoices(session: AsyncSession, user_id: str) -> list[Happening]:
    rows = await session.execute(
        select(Invoice.issued_at, Invoice.number, Invoice.total_minor, Invoice.currency, Invoice.status)
        .where(Invoice.user_id == user_id, Invoice.number.is_not(None))
        .order_by(Invoice.issued_at.desc(), Invoice.id.desc())
        .limit(_MOST)
    )
    return _in_order(
        [
            Happening(row.issued_at, f"invoice {row.number}", _told(row.total_minor, row.currency, row.status))
            for row in rows
        ]
    )


async def _refunds(session: AsyncSession, transaction_id: str) -> list[Happening]:
    rows = await session.execute(
        select(Refund.occurred_at, Refund.amount_minor, Refund.currency, Refund.status)
        .where(Refund.transaction_id == transaction_id)
        .order_by(Refund.occurred_at, Refund.id)
    )
    return [Happening(row.occurred_at, "refund", _told(row.amount_minor, row.currency, row.status)) for row in rows]


def _told(total_minor: int, currency: str, status: str) -> str:
    return f"{_amount(total_minor, currency)}, {_words(status)}"


def _amount(minor: int | None, currency: str) -> str:
    return "" if minor is None else f"{Money(minor, currency).to_major_text()} {currency.upper()}"


def _words(name: str) -> str:
    return name.replace("_", " ").replace(".", " ")


def _in_order(newest_first: Sequence[Happening]) -> list[Happening]:
    """The oldest first; what happened at the same instant stays in the order of its records."""
    oldest_first = list(newest_first)
    oldest_first.reverse()
    return sorted(oldest_first, key=lambda one: one.at)
