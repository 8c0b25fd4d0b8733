"""Payments as Whop describes them and as the rules see them, and a customer who makes them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, text

from quntedge.accounts.models import AppUser
from quntedge.gateway.port import PaymentSnapshot, PaymentStatus
from quntedge.kit.money import Money
from quntedge.payments.rules import PaymentState
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

USER = "usr_0000000000000000000000test"
AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


def state(status: str = "paid", at: datetime | None = AT, **over: Any) -> PaymentState:
    """A payment of $31.61 as the rules see it."""
    plain = PaymentState(
        status=status,
        raw_status=status,
        substatus=None,
        billing_reason="subscription_cycle",
        currency="usd",
        subtotal_minor=2900,
        tax_minor=261,
        tax_behavior="exclusive",
        total_minor=3161,
        net_minor=3000,
        refunded_minor=0,
        whop_member_id="mber_1",
        whop_promo_code_id=None,
        discount_minor=0,
        presentment_minor=3161,
        presentment_currency="usd",
        fee_minor=None,
        disputed_minor=0,
        dispute_status=None,
        whop_method_id="payt_1",
        method_kind="card",
        method_brand="visa",
        method_last4="4242",
        method_exp_month=4,
        method_exp_year=2030,
        attempts_failed=0,
        decline_code=None,
        recovery_url=None,
        next_attempt_at=None,
        paid_at=AT if status in ("paid", "partially_refunded", "refunded") else None,
        updated_at=at,
    )
    return replace(plain, **over)


def snapshot(payment_id: str = "pay_1", at: datetime = AT, total_minor: int = 3161, **over: Any) -> PaymentSnapshot:
    """A collected payment as Whop describes it."""
    plain = PaymentSnapshot(
        payment_id=payment_id,
        status=PaymentStatus.PAID,
        raw_status="paid",
        currency="usd",
        total=Money(total_minor, "usd"),
        paid_at=at,
        created_at=at,
        updated_at=at,
    )
    return replace(plain, **over)


async def seed(units: UnitOfWorkFactory) -> None:
    """One customer, whose payments these are."""
    async with units() as unit:
        connection = await unit.connection()
        await connection.execute(insert(AppUser).values(id=USER, locale="en", created_at=AT))
        await unit.commit()


async def apply(unit: UnitOfWork, *snapshots: PaymentSnapshot) -> None:
    """Applies snapshots as read from Whop just now; commits nothing."""
    observed = [ObservedPayment(snapshot, "msg_1", from_gateway=True) for snapshot in snapshots]
    await PaymentService().apply(unit, observed, _links)


async def _links(unit: UnitOfWork, observed: Sequence[ObservedPayment]) -> dict[str, PaymentLink]:
    return {item.snapshot.payment_id: PaymentLink(USER) for item in observed}


async def rows(units: UnitOfWorkFactory, sql: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    async with units() as unit:
        return [tuple(row) for row in await unit.session.execute(text(sql))]
