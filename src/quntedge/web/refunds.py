"""What customers see of money that goes back to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from quntedge.edge import reads
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.transactions import Unit
from quntedge.kit.money import Money
from quntedge.payments.models import PaymentTransaction
from quntedge.refunds.models import Refund
from quntedge.refunds.rules import for_customers
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web import words
from quntedge.web.i18n import gettext
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

RECENT = 3
_PAGE = 20


@router.get("/billing/refunds")
async def refunds(request: Request, unit: Unit, caller: SignedInCustomer, cursor: str | None = None) -> Response:
    """All refunds, a page at a time."""
    page = await reads.refunds(unit.session, caller.user_id, cursor or None, _PAGE)
    context = {
        "refunds": await refund_rows(unit, page.data),
        "next_cursor": page.next_cursor,
        "prev": "/billing/refunds" if cursor else None,
    }
    return await pages_of(request).page(request, "billing_refunds.html", context, unit=unit)


async def recent(unit: UnitOfWork, user_id: str) -> dict[str, Any]:
    """The newest refunds of a customer, for the billing page; `more_refunds` says that there are others."""
    page = await reads.refunds(unit.session, user_id, None, RECENT)
    return {"refunds": await refund_rows(unit, page.data), "more_refunds": page.next_cursor is not None}


async def refund_rows(unit: UnitOfWork, rows: Sequence[Refund]) -> list[dict[str, Any]]:
    """Refunds as the pages show them."""
    labels, notes = _labels(), _notes()
    found = []
    for row in rows:
        payment = await unit.session.get_one(PaymentTransaction, row.transaction_id)
        status = for_customers(row.status)
        found.append(
            {
                "id": row.id,
                "at": row.occurred_at,
                "amount": Money(row.amount_minor, row.currency),
                "status": status,
                "status_label": labels.get(status, status),
                "note": notes.get(status),
                "paid_at": payment.paid_at or payment.occurred_at,
                "method_label": words.method(payment.method_kind, payment.method_brand, payment.method_last4),
            }
        )
    return found


def _labels() -> Mapping[str, str]:
    return {
        "pending": gettext("On its way"),
        "requires_action": gettext("On its way"),
        "succeeded": gettext("Given back"),
        "failed": gettext("Not possible"),
        "canceled": gettext("Called off"),
        "rejected": gettext("Not given back"),
    }


def _notes() -> Mapping[str, str]:
    return {
        "pending": gettext("Your bank may need five to ten days until it shows."),
        "requires_action": gettext("Your bank may need five to ten days until it shows."),
        "failed": gettext("Your bank did not take it. We get in touch with you about another way."),
    }
