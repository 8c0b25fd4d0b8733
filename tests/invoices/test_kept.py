"""What has been said with a number is said for good: whatever is sent to the database."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from quntedge.disputes.events import DisputeMoved
from quntedge.invoices.feature import Invoices
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.invoices.builders import refund
from tests.payments.builders import AT, USER, apply, rows, snapshot

ALLOWED = [
    "UPDATE invoice SET status = 'refunded', refunded_minor = 3161",
    "UPDATE invoice SET dispute_status = 'open'",
    "UPDATE invoice SET attempts_failed = 2, updated_at = now(), gateway_updated_at = now(), due_at = now()",
    "UPDATE invoice SET whop_invoice_id = 'inv_late'",
    "UPDATE billing_profile SET current = false",
]
REFUSED = [
    "DELETE FROM invoice",
    "TRUNCATE invoice CASCADE",
    "UPDATE invoice SET number = 'INV-2026-000099'",
    "UPDATE invoice SET number = NULL, status = 'open'",
    "UPDATE invoice SET total_minor = 1",
    "UPDATE invoice SET currency = 'eur'",
    "UPDATE invoice SET tax_minor = 1",
    "UPDATE invoice SET subtotal_minor = 1",
    "UPDATE invoice SET paid_at = now()",
    "UPDATE invoice SET issued_at = now()",
    "UPDATE invoice SET locale = 'fr'",
    "UPDATE invoice SET status = 'open'",
    "UPDATE invoice SET status = 'void'",
    "UPDATE invoice SET legal_entity_id = NULL, billing_profile_id = NULL, locale = NULL",
    "UPDATE invoice SET whop_payment_id = 'pay_other'",
    "UPDATE invoice SET transaction_id = NULL",
    "UPDATE invoice SET credited_minor = 3162",
    "UPDATE invoice SET credited_minor = -1",
    "UPDATE invoice_line SET label = 'Something else'",
    "UPDATE invoice_line SET amount_minor = 1, unit_minor = 1",
    "DELETE FROM invoice_line",
    "INSERT INTO invoice_line (invoice_id, position, kind, label, unit_minor, amount_minor)"
    " SELECT id, 9, 'adjustment', 'One more', 1, 1 FROM invoice",
    "UPDATE credit_note SET total_minor = 1",
    "DELETE FROM credit_note",
    "UPDATE credit_note_line SET label = 'x'",
    "DELETE FROM credit_note_line",
    "INSERT INTO credit_note_line (credit_note_id, position, kind, label, amount_minor)"
    " SELECT id, 9, 'adjustment', 'One more', 1 FROM credit_note",
    "UPDATE legal_entity SET name = 'Somebody else'",
    "DELETE FROM legal_entity",
    "UPDATE billing_profile SET country = 'FR'",
    "UPDATE billing_profile SET version = 7",
    "DELETE FROM billing_profile",
]


async def test_a_numbered_invoice_keeps_what_it_says(shop: UnitOfWorkFactory, billing: Invoices) -> None:
    async with shop() as unit:
        await apply(unit, snapshot())
        await unit.commit()
    ((transaction_id,),) = await rows(shop, "SELECT id FROM payment_transaction")
    async with shop() as unit:
        await refund(unit, transaction_id, "pay_1", 1000)
        await unit.commit()
    assert await rows(shop, "SELECT number, credited_minor FROM invoice") == [("INV-2026-000001", 1000)]
    for statement in REFUSED:
        async with shop() as unit:
            with pytest.raises(DBAPIError) as refusal:
                await unit.session.execute(text(statement))
            assert refusal.value.orig is not None
            assert refusal.value.orig.sqlstate in ("23001", "23514"), statement  # type: ignore[attr-defined]
    for statement in ALLOWED:
        async with shop() as unit:
            await unit.session.execute(text(statement))
    assert await rows(shop, "SELECT credited_minor FROM invoice") == [(1000,)]


async def test_what_has_no_number_yet_can_still_change(shop: UnitOfWorkFactory) -> None:
    async with shop() as unit:
        await unit.session.execute(
            text(
                "INSERT INTO invoice (id, user_id, whop_payment_id, status, currency, total_minor, issued_at,"
                " created_at, updated_at) VALUES ('inv_1', :user, 'pay_1', 'open', 'usd', 100, now(), now(), now())"
            ),
            {"user": USER},
        )
        await unit.session.execute(text("UPDATE invoice SET total_minor = 200, currency = 'eur', status = 'void'"))
        with pytest.raises(DBAPIError, match="do not make up its total"):
            # Lines belong to numbered invoices alone.
            await unit.session.execute(
                text(
                    "INSERT INTO invoice_line (invoice_id, position, kind, label, unit_minor, amount_minor)"
                    " VALUES ('inv_1', 1, 'plan', 'Pro', 200, 200)"
                )
            )


async def test_the_lines_must_make_up_the_total(shop: UnitOfWorkFactory) -> None:
    async with shop() as unit:
        await apply(unit, snapshot())
        await unit.commit()
    for delta in (-1, 1):
        async with shop() as unit:
            copy = (
                "INSERT INTO invoice (id, number, user_id, whop_payment_id, status, currency, total_minor, issued_at,"
                " paid_at, legal_entity_id, billing_profile_id, locale, created_at, updated_at)"
                " SELECT 'inv_2', 'INV-2026-000002', user_id, 'pay_2', 'paid', 'usd', 500, issued_at, paid_at,"
                " legal_entity_id, billing_profile_id, locale, created_at, updated_at FROM invoice"
            )
            await unit.session.execute(text(copy))
            with pytest.raises(DBAPIError, match="do not make up its total"):
                await unit.session.execute(
                    text(
                        "INSERT INTO invoice_line (invoice_id, position, kind, label, unit_minor, amount_minor)"
                        f" VALUES ('inv_2', 1, 'plan', 'Pro', {500 + delta}, {500 + delta})"
                    )
                )


async def test_a_dispute_leaves_a_mark_and_an_inquiry_none(shop: UnitOfWorkFactory) -> None:
    async with shop() as unit:
        await apply(unit, snapshot())
        await unit.commit()
    ((transaction_id,),) = await rows(shop, "SELECT id FROM payment_transaction")
    seen = []
    for status, inquiry in (
        ("warning_needs_response", True),
        ("needs_response", False),
        ("won", False),
        ("prevented", False),
    ):
        async with shop() as unit:
            unit.record(_dispute(transaction_id, status, inquiry))
            await unit.commit()
        seen += [mark for (mark,) in await rows(shop, "SELECT dispute_status FROM invoice")]
    assert seen == [None, "open", "won", "lost"]


def _dispute(transaction_id: str, status: str, inquiry: bool) -> DisputeMoved:
    return DisputeMoved(
        dispute_id="dsp_1",
        transaction_id=transaction_id,
        user_id=USER,
        subscription_id=None,
        whop_dispute_id="dspt_1",
        currency="usd",
        amount_minor=3161,
        withdrawn_minor=3161,
        before_withdrawn_minor=0,
        fee_minor=1500,
        fee_currency="usd",
        before_fee_minor=0,
        before_fee_currency=None,
        inquiry=inquiry,
        before_status=None,
        status=status,
        opened=False,
        lost=False,
        won=False,
        evidence_due_at=None,
        occurred_at=AT,
        cause="msg_d",
    )
