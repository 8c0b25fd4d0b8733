"""The gateway's statement: what it lists of money, kept page by page as it was read."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import FromClause, select

from quntedge.gateway.finance import Movement, PayoutSnapshot, PayoutStatus
from quntedge.gateway.port import PaymentSnapshot, PaymentStatus, RefundSnapshot, RefundStatus
from quntedge.payments.models import PaymentTransaction
from quntedge.reconciliation.models import GatewayMovement, GatewayRecord
from quntedge.storage.rows import among, insert_rows
from quntedge.storage.unit_of_work import UnitOfWork

_LEFT: Final = frozenset(
    {PayoutStatus.REQUESTED, PayoutStatus.IN_REVIEW, PayoutStatus.PROCESSING, PayoutStatus.COMPLETED}
)
"""Payouts whose money has left the balance: it is under way, or there."""

_RECORD_CHANGES: Final = ("status", "counted", "currency", "amount_minor", "tax_minor", "fee_minor", "settled_at")
_CURRENCIES: Final = select(PaymentTransaction.whop_payment_id, PaymentTransaction.currency).where(
    among(PaymentTransaction.whop_payment_id)
)
Rows = dict[str, dict[str, Any]]


async def keep_payments(unit: UnitOfWork, page: Iterable[PaymentSnapshot]) -> int:
    """Keeps a page of payments; how many there were. What was never given an amount came to nothing."""
    now = unit.clock.now()
    rows: Rows = {}
    for payment in page:
        collected = payment.status is PaymentStatus.PAID
        rows[payment.payment_id] = {
            "id": payment.payment_id,
            "kind": "payment",
            "payment_id": None,
            "status": payment.raw_status,
            "counted": collected,
            "currency": payment.currency,
            "amount_minor": payment.total.amount_minor if payment.total else 0,
            "tax_minor": payment.tax.amount_minor if payment.tax else 0,
            "fee_minor": 0,
            "occurred_at": payment.created_at or payment.paid_at or now,
            "settled_at": payment.paid_at if collected else None,
            "gateway_updated_at": payment.updated_at,
            "seen_at": now,
        }
    return await _keep_records(unit, rows)


async def keep_refunds(unit: UnitOfWork, page: Iterable[RefundSnapshot]) -> int:
    """Keeps a page of refunds, in the currencies of their payments; how many there were."""
    now = unit.clock.now()
    refunds = list(page)
    named = [refund.payment_id for refund in refunds if refund.payment_id is not None]
    currencies = {
        row.whop_payment_id: row.currency
        for row in await (await unit.connection()).execute(_CURRENCIES, {"values": named})
    }
    rows: Rows = {}
    for refund in refunds:
        amount = refund.in_currency(currencies.get(refund.payment_id, refund.amount.currency))
        counted = refund.status is RefundStatus.SUCCEEDED
        rows[refund.refund_id] = {
            "id": refund.refund_id,
            "kind": "refund",
            "payment_id": refund.payment_id,
            "status": refund.raw_status,
            "counted": counted,
            "currency": amount.currency,
            "amount_minor": amount.amount_minor,
            "tax_minor": 0,
            "fee_minor": 0,
            "occurred_at": refund.created_at or now,
            "settled_at": refund.updated_at if counted else None,
            "gateway_updated_at": refund.updated_at,
            "seen_at": now,
        }
    return await _keep_records(unit, rows)


async def keep_payouts(unit: UnitOfWork, page: Iterable[PayoutSnapshot]) -> int:
    """Keeps a page of payouts; how many there were. `amount_minor` is what is to reach the bank."""
    now = unit.clock.now()
    rows: Rows = {}
    for payout in page:
        net = payout.amount - payout.fee
        rows[payout.payout_id] = {
            "id": payout.payout_id,
            "kind": "payout",
            "payment_id": None,
            "status": payout.raw_status,
            "counted": payout.status in _LEFT,
            "currency": net.currency,
            "amount_minor": net.amount_minor,
            "tax_minor": 0,
            "fee_minor": payout.fee.amount_minor,
            "occurred_at": payout.created_at,
            "settled_at": payout.returned_at or payout.arrives_at,
            "gateway_updated_at": None,
            "seen_at": now,
        }
    return await _keep_records(unit, rows)


async def keep_movements(unit: UnitOfWork, page: Iterable[Movement]) -> int:
    """Keeps a page of movements; how many there were. When each was read first stays."""
    now = unit.clock.now()
    rows: Rows = {
        movement.movement_id: {
            "id": movement.movement_id,
            "line_type": movement.line_type,
            "kind": movement.kind.value,
            "payment_id": movement.payment_id,
            "source_id": movement.source_id,
            "currency": movement.amount.currency,
            "amount_minor": movement.amount.amount_minor,
            "residue": movement.residue,
            "posted_at": movement.posted_at,
            "seen_at": now,
        }
        for movement in page
    }
    changes = ("kind", "currency", "amount_minor", "residue", "payment_id", "source_id")
    await _keep(unit, GatewayMovement.__table__, rows, changes)
    return len(rows)


async def _keep_records(unit: UnitOfWork, rows: Mapping[str, dict[str, Any]]) -> int:
    await _keep(unit, GatewayRecord.__table__, rows, (*_RECORD_CHANGES, "gateway_updated_at", "seen_at"))
    return len(rows)


async def _keep(
    unit: UnitOfWork, table: FromClause, rows: Mapping[str, dict[str, Any]], changes: tuple[str, ...]
) -> None:
    connection = await unit.driver_connection()
    await insert_rows(connection, table, list(rows.values()), conflict_key="id", overwrite=changes)
