"""The JSON shapes of the account's balance: movements and payouts."""

from quntedge.gateway.emulator.state.finance_records import UNITS_PER_MAJOR, Line, Payout
from quntedge.gateway.emulator.state.store import Store
from quntedge.gateway.emulator.wire.values import JsonObject, iso, iso_or_none, money

_DETAILS = {"requested": "requested", "in_review": "in_review", "processing": "in_transit", "completed": "settled"}


def movement(store: Store, line: Line, *, rich: bool) -> JsonObject:
    """One movement. `rich` adds the payment it belongs to, as `include_resource` does."""
    kind, source_id = line.source
    shown: JsonObject = {
        "id": line.id,
        "object": "ledger_activity",
        "amount": str(line.units),
        "currency": {"code": line.currency, "precision": str(UNITS_PER_MAJOR)},
        "line_type": line.line_type,
        "payment_id": line.payment_id,
        "plan_id": None,
        "plan_name": None,
        "product_id": None,
        "product_name": None,
        "posted_at": iso(line.created_at),
        # Funds are there at once: payments show the same settlement time.
        "available_at": iso(line.created_at),
        "resource": None,
        "source": {"id": source_id, "object": kind},
        "usd_amount": _decimal(line.units) if line.currency == "usd" else None,
        "user_email": None,
        "user_id": None,
        "user_name": None,
        "payment": None,
    }
    payment = store.tables.payments.get(line.payment_id or "")
    if payment is None:
        return shown
    person = store.tables.people[payment.user_id]
    plan, product = store.tables.plans[payment.plan_id], store.tables.products[payment.product_id]
    shown |= {
        "plan_id": plan.id,
        "plan_name": plan.title or product.title,
        "product_id": product.id,
        "product_name": product.title,
        "user_email": person.email,
        "user_id": person.id,
        "user_name": person.name,
    }
    if rich:
        shown["payment"] = {
            "id": payment.id,
            "object": "payment",
            "amount": money(payment.total),
            "created_at": iso(payment.created_at),
            "payment_processor": "stripe",
        }
    return shown


def payout(made: Payout) -> JsonObject:
    """A payout as the API shows it."""
    net = made.amount - made.fee
    failure = None
    if made.returned_at is not None:
        failure = {
            "code": made.failure_code,
            "message": "The bank did not take the money.",
            "funds_returned_at": iso(made.returned_at),
        }
    return {
        "id": made.id,
        "object": "payout",
        "amount": made.amount.to_major_text(),
        "cancelable": made.status in ("requested", "in_review"),
        "created_at": iso(made.created_at),
        "currency": made.amount.currency,
        "destination_amount": None,
        "destination_currency": made.amount.currency,
        "estimated_arrival": iso_or_none(made.created_at),
        "exchange_rate": None,
        "failure": failure,
        "fee_amount": made.fee.to_major_text(),
        "fee_paid_by": "self",
        "markup_fee": "0.0",
        "metadata": {},
        "net_amount": net.to_major_text(),
        "notes": None,
        "payer_name": None,
        "payout_method": None,
        "payout_request_id": None,
        "source": made.source,
        "speed": "standard",
        "statement_descriptor": None,
        "status": made.status,
        "status_detail": _DETAILS.get(made.status, made.status),
        "trace_code": None,
    }


def _decimal(units: int) -> str:
    sign, size = "-" if units < 0 else "", abs(units)
    return f"{sign}{size // UNITS_PER_MAJOR}.{size % UNITS_PER_MAJOR:08d}"
