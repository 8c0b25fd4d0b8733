"""What a mail says: the cause's parameters, joined with what is known of person, plan and subscription now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.people import people
from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.dunning.queries import CaseView, case_of_payment
from quntedge.kit.money import Money
from quntedge.notifications.declarations import declaration
from quntedge.notifications.methods import card_of, pays_no_more
from quntedge.notifications.outbox import Claimed
from quntedge.notifications.plan_changes import calculation_of, old_plan_of
from quntedge.notifications.refunds import went_back_after_all
from quntedge.notifications.rules import Kind, ended_on, renewed_until
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import is_paid
from quntedge.plan_changes.lines import Line
from quntedge.storage.vault import Vault
from quntedge.subscriptions.models import Subscription
from quntedge.trials.models import Trial

Found = TypeVar("Found")

ENDED = frozenset({"canceled", "expired"})
GIVEN_UP = frozenset({"void", "uncollectible"})
"""States of a payment that nobody tries to collect any more. What becomes of the subscription is told by its end."""
ABOUT_CHANGES = frozenset(
    {Kind.PLAN_CHANGED, Kind.PLAN_CHANGE_SCHEDULED, Kind.PLAN_CHANGE_WITHDRAWN, Kind.PLAN_CHANGE_FAILED}
)
"""Where no amount is stated nothing is charged."""
ABOUT_UNPAID = frozenset({Kind.PAYMENT_FAILED, Kind.GRACE_ENDING, Kind.ACCESS_PAUSED})


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail before it is put into words. `to` is None when there is nobody to write to.

    `moot` says why the mail would be wrong by now, where it would. `about_trial`: what ended was a trial, or what began
    is a plan whose trial did not apply. `without_access`: a pause ends access at once.
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
    time_zone: str | None = None
    """Whose days the days in it are; None for somebody who has not told."""
    moot: str | None = None
    credit_note_number: str | None = None
    credit_cancelled: bool = False
    """The credit note takes back an earlier one, because the refund failed."""
    resume_at: datetime | None = None
    access_until: datetime | None = None
    charge_at: datetime | None = None
    without_access: bool = False
    about_trial: bool = False
    contract: str | None = None
    statement_name: str | None = None
    received_at: datetime | None = None
    refund: Money | None = None
    next_step: str | None = None
    """After a failed payment: `retry` (nothing), `card` (another one), `confirm` (with the bank) or `pay`."""
    next_try_at: datetime | None = None
    ends_at: datetime | None = None
    old_plan_name: str | None = None
    starts_at: datetime | None = None
    old_amount: Money | None = None
    """What the amount takes the place of."""
    calculation: tuple[Line, ...] | None = None
    """How an amount came about, a line each."""
    card: str | None = None
    """A saved card, as far as it may be shown; it is valid to the end of the month `card_expires`, like `04/2030`."""
    card_expires: str | None = None
    dispute_id: str | None = None
    """In mails to staff alone, as are all that follow."""
    dispute_at_whop: str | None = None
    dispute_reason: str | None = None
    """The bank's word for it."""
    dispute_due: datetime | None = None
    days_left: int | None = None
    inquiry: bool = False
    """The bank only asks, and no money moves."""


async def compose(session: AsyncSession, vault: Vault, mail: Claimed) -> Letter:
    """Reads what the mail needs. Names and addresses are read now, because the queue holds no personal data."""
    params = mail.params
    if mail.user_id is None:
        raise ValueError(f"{mail.kind} is no mail to a customer")
    person = (await people(session, vault, [mail.user_id])).get(mail.user_id)
    subscription = await _find(session, Subscription, params.get("subscription_id"))
    plan = await _plan(session, params.get("plan_id") or (subscription.plan_id if subscription else None))
    amount = _stated_amount(params)
    if amount is None and mail.kind == Kind.SUBSCRIPTION_CONFIRMED:
        amount = await _first_payment(session, params.get("membership_id"))
    if amount is None and mail.kind not in ABOUT_CHANGES:
        amount = _usual_price(subscription, plan)
    unpaid = await _unpaid(session, mail)
    declared = await declaration(session, vault, params.get("withdrawal_id"))
    return Letter(
        id=mail.id,
        kind=mail.kind,
        to=person.email if person else None,
        name=person.name if person else None,
        locale=person.locale if person else "en",
        time_zone=person.time_zone if person else None,
        plan_name=plan.name if plan else None,
        amount=amount,
        period_end=_period_end(mail, subscription),
        grace_until=_grace_until(mail, subscription),
        invoice_number=params.get("invoice_number"),
        credit_note_number=params.get("credit_note_number"),
        credit_cancelled=bool(params.get("credit_cancelled")),
        decline_class=params.get("decline_class"),
        moot=await _moot(session, mail, subscription),
        resume_at=_moment(params.get("resume_at")),
        access_until=_moment(params.get("access_until")),
        charge_at=_moment(params.get("charge_at")),
        without_access=bool(params.get("without_access")),
        about_trial=await _about_trial(session, mail, plan),
        contract=declared.contract,
        statement_name=declared.name,
        received_at=declared.received_at,
        refund=declared.refund or _stated_amount(params, "refund_minor"),
        next_step=unpaid.step.value if unpaid else None,
        next_try_at=unpaid.next_try_at if unpaid else _moment(params.get("next_try_at")),
        ends_at=unpaid.ends_at if unpaid else None,
        old_plan_name=await old_plan_of(session, params),
        starts_at=_moment(params.get("starts_at")),
        old_amount=_stated_amount(params, "old_amount_minor"),
        calculation=await calculation_of(session, params),
        card=card_of(params),
        card_expires=params.get("expires"),
    )


async def _find(session: AsyncSession, table: type[Found], row_id: str | None) -> Found | None:
    return None if row_id is None else await session.get(table, row_id)


async def _plan(session: AsyncSession, plan_id: str | None) -> PlanView | None:
    return None if plan_id is None else (await catalog.plans_by_id(session, [plan_id])).get(plan_id)


def _grace_until(mail: Claimed, subscription: Subscription | None) -> datetime | None:
    """Until when access lasts in spite of a failed payment; a day that is over is no promise."""
    until = subscription.grace_until if subscription else None
    return until if until is not None and until > mail.created_at else None


async def _unpaid(session: AsyncSession, mail: Claimed) -> CaseView | None:
    """What comes next for a payment that failed, as it is planned when the mail is written."""
    if mail.kind not in ABOUT_UNPAID:
        return None
    return await case_of_payment(session, mail.params["transaction_id"])


async def _about_trial(session: AsyncSession, mail: Claimed, plan: PlanView | None) -> bool:
    """Whoever ends a trial did not end a subscription; whoever had to pay where a trial is offered may wonder why."""
    if mail.kind not in (Kind.SUBSCRIPTION_CONFIRMED, Kind.SUBSCRIPTION_ENDED):
        return False
    trial = await _find(session, Trial, mail.params.get("membership_id"))
    if mail.kind == Kind.SUBSCRIPTION_ENDED:
        return trial is not None and trial.state == "ended"
    return trial is None and plan is not None and bool(plan.trial_days)


def _expected_no_more(mail: Claimed, subscription: Subscription | None) -> str | None:
    """Why what a reminder announces will not come."""
    if subscription is None:
        return None
    if mail.kind == Kind.TRIAL_ENDING and (subscription.status != "trialing" or subscription.cancel_at_period_end):
        return "the trial does not become a subscription, or has done so"
    if mail.kind in (Kind.NEW_TERMS_ANNOUNCED, Kind.NEW_TERMS_WITHDRAWN) and subscription.status in ENDED:
        return "the subscription has ended"
    if mail.kind in (Kind.PAUSE_MOVED, Kind.PAUSE_ENDING) and subscription.status != "paused":
        return "the subscription is not paused any more"
    return None


async def _moot(session: AsyncSession, mail: Claimed, subscription: Subscription | None) -> str | None:
    """A mail can wait for hours. That a payment failed and is tried again must still be true when it goes out."""
    if mail.kind == Kind.METHOD_EXPIRING:
        ended = subscription is not None and (subscription.status in ENDED or subscription.cancel_at_period_end)
        return "the subscription is not going on" if ended else await pays_no_more(session, mail.params)
    if mail.kind == Kind.REFUND_FAILED:
        return await went_back_after_all(session, mail.params["transaction_id"])
    if mail.kind not in ABOUT_UNPAID:
        return _expected_no_more(mail, subscription)
    if subscription is not None and subscription.status in ENDED:
        return "the subscription has ended"
    payment = await _find(session, PaymentTransaction, mail.params.get("transaction_id"))
    if payment is not None and is_paid(payment.status):
        return "the payment has been paid"
    if payment is not None and payment.status in GIVEN_UP:
        return "the payment is not collected any more"
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


def _stated_amount(params: dict[str, Any], name: str = "amount_minor") -> Money | None:
    amount_minor, currency = params.get(name), params.get("currency")
    return None if amount_minor is None or currency is None else Money(amount_minor, currency)


def _usual_price(subscription: Subscription | None, plan: PlanView | None) -> Money | None:
    """The price agreed for the subscription, else the plan's. A lifetime plan never renews: only its price counts."""
    if plan is None:
        return None
    if subscription is not None and subscription.plan_id == plan.id and plan.kind == "recurring":
        agreed, currency = subscription.renewal_price_minor, subscription.currency
        if agreed is not None and currency is not None:
            return Money(agreed, currency)
    return plan.price


def _period_end(mail: Claimed, subscription: Subscription | None) -> datetime | None:
    stated = _moment(mail.params.get("period_end"))
    if mail.kind in (Kind.RENEWAL_PAID, Kind.TRIAL_CONVERTED, Kind.PAYMENT_RECOVERED):
        known = subscription.period_end if subscription else None
        return renewed_until(known, _moment(mail.params.get("paid_at")))
    if mail.kind in (Kind.SUBSCRIPTION_ENDED, Kind.ENDED_UNPAID):
        return ended_on(subscription.ended_at if subscription else None, stated, mail.created_at)
    return stated


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
