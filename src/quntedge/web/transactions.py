"""Payments on pages: the list with its filters, one payment with what went wrong on the way, its receipt, a table."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import RedirectResponse, Response

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.dunning.queries import case_of_payment
from quntedge.edge import reads
from quntedge.edge.audited import audited
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.filters import Asked, InvalidFilter, transaction_filter
from quntedge.edge.receipts import NoReceipt, receipt_url
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.invoices.models import Invoice
from quntedge.kit.money import Money
from quntedge.notifications.words import decline_words
from quntedge.payments import queries
from quntedge.payments.models import STATUSES, PaymentAttempt, PaymentTransaction
from quntedge.payments.queries import TransactionFilter
from quntedge.refunds.models import Refund
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web import words
from quntedge.web.flash import set_flash
from quntedge.web.i18n import gettext, spoken
from quntedge.web.invoices import invoice_row
from quntedge.web.pages import pages_of
from quntedge.web.refunds import refund_rows

router = APIRouter(include_in_schema=False)

PATH = "/billing/transactions"
_PAGE = 20

Text = Annotated[str | None, Query()]
Row = TypeVar("Row", Invoice, Refund)


@router.get(PATH)
async def transactions(
    request: Request,
    unit: Unit,
    caller: SignedInCustomer,
    status: Text = None,
    since: Annotated[str | None, Query(alias="from")] = None,
    until: Annotated[str | None, Query(alias="to")] = None,
    plan: Text = None,
    cursor: Text = None,
) -> Response:
    """Payments that fit the filters, a page at a time."""
    asked = Asked([status] if status else (), since, until, plan)
    problem = None
    try:
        wanted = await transaction_filter(unit.session, asked, caller.user_id)
    except InvalidFilter as error:
        problem, wanted = error, TransactionFilter(user_id=caller.user_id)
    page = await queries.find(unit.session, wanted, cursor or None, _PAGE)
    given = {"status": status, "from": since, "to": until, "plan": plan}
    narrowed = urlencode({name: value for name, value in given.items() if value})
    context = {
        "transactions": await transaction_rows(unit, page.data),
        "filter": given,
        "problem": gettext("The period is empty or not a date: check the two days.") if problem else None,
        "statuses": [(code, words.transaction_status(code)) for code in STATUSES if code != "draft"],
        "plans": await _plans_paid_for(unit.session, caller.user_id),
        "narrows": asked.narrows,
        "query": narrowed,
        "base": f"{PATH}?{narrowed}" if narrowed else PATH,
        "next_cursor": page.next_cursor,
        "prev": (f"{PATH}?{narrowed}" if narrowed else PATH) if cursor else None,
    }
    return await pages_of(request).page(request, "billing_transactions.html", context, unit=unit)


@router.get(f"{PATH}/{{transaction_id}}", dependencies=[audited("payment.read", "payment", "transaction_id")])
async def transaction(request: Request, unit: Unit, caller: SignedInCustomer, transaction_id: str) -> Response:
    """One payment: how its amount came about, how it was paid, and which attempts failed."""
    row = await reads.transaction(unit.session, caller.user_id, transaction_id)
    attempts = await queries.attempts_of(unit.session, [row.id])
    [shown] = await transaction_rows(unit, [row])
    case = await case_of_payment(unit.session, row.id) if row.status in ("failed", "requires_action") else None
    context = {
        "payment": shown | _details(row),
        "recoverable": case is not None,
        "invoices": [invoice_row(one) for one in await _of_payment(unit.session, Invoice, row.id)],
        "refunds": await refund_rows(unit, await _of_payment(unit.session, Refund, row.id)),
        "attempts": [_attempt(attempt) for attempt in attempts[row.id]],
        "has_receipt": row.paid_at is not None,
    }
    return await pages_of(request).page(request, "billing_transaction.html", context, unit=unit)


@router.get(f"{PATH}/{{transaction_id}}/receipt", dependencies=[audited("payment.read", "payment", "transaction_id")])
async def receipt(request: Request, caller: SignedInCustomer, transaction_id: str) -> Response:
    """Leads to the payment provider's receipt. Its address is made now and kept nowhere."""
    services = services_of(request)
    async with services.units() as unit:
        row = await reads.transaction(unit.session, caller.user_id, transaction_id)
    try:
        return RedirectResponse(await receipt_url(services, row), status_code=303)
    except NoReceipt:
        response = RedirectResponse(f"{PATH}/{row.id}", status_code=303)
        set_flash(response, request, "no_receipt", "info")
        return response


async def transaction_rows(unit: UnitOfWork, rows: Sequence[PaymentTransaction]) -> list[dict[str, Any]]:
    """Payments as lists show them."""
    plans = await catalog.plans_by_id(unit.session, {row.plan_id for row in rows if row.plan_id is not None})
    return [_row(row, plans.get(row.plan_id or "")) for row in rows]


def _row(row: PaymentTransaction, plan: PlanView | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": f"{PATH}/{row.id}",
        "at": row.occurred_at,
        "description": words.transaction_description(plan.name if plan else None, row.billing_reason),
        "amount": Money(row.total_minor or 0, row.currency),
        **_state(row),
        "method_label": words.method(row.method_kind, row.method_brand, row.method_last4),
    }


def _state(row: PaymentTransaction) -> dict[str, str]:
    """A payment that the bank holds back, or took back, is not simply paid."""
    status = "disputed" if row.disputed_minor and row.status in ("paid", "partially_refunded") else row.status
    return {"status": status, "status_label": words.transaction_status(status)}


def _details(row: PaymentTransaction) -> dict[str, Any]:
    presented = None
    if row.presentment_minor is not None and row.presentment_currency not in (None, row.currency):
        presented = Money(row.presentment_minor, str(row.presentment_currency))
    return {
        "subtotal": _money(row.subtotal_minor, row.currency),
        "discount": _money(row.discount_minor or None, row.currency),
        "tax": _money(row.tax_minor or None, row.currency),
        "tax_inside": row.tax_behavior == "inclusive",
        "presented": presented,
        "refunded": _money(row.refunded_minor or None, row.currency),
        "refund_pending": row.refund_pending,
        "disputed": _money(row.disputed_minor or None, row.currency),
        "charged_back": row.dispute_status in ("lost", "prevented"),
        "expires": _expires(row),
        "paid_at": row.paid_at,
        "next_attempt_at": row.next_attempt_at if row.status in ("open", "failed") else None,
        "begins": row.billing_reason != "subscription_cycle",
    }


def _money(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency)


def _expires(row: PaymentTransaction) -> str | None:
    if not row.method_exp_month or not row.method_exp_year:
        return None
    return f"{row.method_exp_month:02d}/{row.method_exp_year % 100:02d}"


def _attempt(attempt: PaymentAttempt) -> dict[str, Any]:
    return {"number": attempt.number, "at": attempt.at, "text": decline_words(attempt.decline_class, spoken())}


async def _of_payment(session: AsyncSession, kind: type[Row], payment_id: str) -> Sequence[Row]:
    """What belongs to a payment, newest first."""
    query = select(kind).where(kind.transaction_id == payment_id).order_by(kind.created_at.desc(), kind.id.desc())
    return (await session.scalars(query)).all()


async def _plans_paid_for(session: AsyncSession, user_id: str) -> list[tuple[str, str]]:
    """The plans that a customer has ever paid for, by code and name."""
    paid = await session.scalars(
        select(PaymentTransaction.plan_id)
        .where(PaymentTransaction.user_id == user_id, PaymentTransaction.plan_id.is_not(None))
        .distinct()
    )
    plans = await catalog.plans_by_id(session, [plan_id for plan_id in paid if plan_id is not None])
    return sorted(((plan.code, plan.name) for plan in plans.values()), key=lambda plan: plan[1])
