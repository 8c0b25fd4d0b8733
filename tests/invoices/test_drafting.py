"""What newly numbered invoices say, and how few statements that takes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from quntedge.invoices.feature import Invoices
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.plan_changes.lines import Line, LineKind
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from tests.catalog.rows import insert_plan
from tests.invoices.builders import BUYER
from tests.payments.builders import AT, USER, rows, snapshot

PLAN, SUBSCRIPTION = "pln_1", "sub_1"
LINES = (
    "SELECT kind, label, amount_minor, period_start, period_end, tax_basis_points FROM invoice_line"
    " ORDER BY invoice_id, position"
)


@pytest.fixture
async def subscribed(shop: UnitOfWorkFactory) -> UnitOfWorkFactory:
    """The customer has a monthly subscription."""
    async with shop() as unit:
        await insert_plan(unit.session, id=PLAN, created_at=AT)
        await unit.session.execute(
            text(
                "INSERT INTO subscription (id, user_id, plan_id, status, whop_membership_id, started_at, period_start,"
                " period_end, created_at, updated_at) VALUES (:s, :u, :p, 'active', 'mem_1', :at, :at, :end, :at, :at)"
            ),
            {"s": SUBSCRIPTION, "u": USER, "p": PLAN, "at": AT, "end": AT + timedelta(days=30)},
        )
        await unit.commit()
    return shop


async def _pay(units: UnitOfWorkFactory, *payments: Any) -> None:
    async with units() as unit:
        observed = [ObservedPayment(one, "msg_1", from_gateway=True) for one in payments]
        await PaymentService().apply(unit, observed, _links)
        await unit.commit()


async def _links(unit: UnitOfWork, observed: Any) -> dict[str, PaymentLink]:
    return {item.snapshot.payment_id: PaymentLink(USER, SUBSCRIPTION, PLAN) for item in observed}


async def test_a_renewal_names_plan_period_and_tax(subscribed: UnitOfWorkFactory) -> None:
    await _pay(
        subscribed,
        snapshot(subtotal=Money(2900, "usd"), tax=Money(261, "usd"), tax_behavior="exclusive"),
    )
    assert await rows(subscribed, LINES) == [
        ("plan", "Monthly", 2900, AT, AT + timedelta(days=30), None),
        ("tax", "VAT", 261, None, None, 900),
    ]


async def test_a_payment_knows_better_what_it_was_for_than_the_invoice_it_belongs_to(
    subscribed: UnitOfWorkFactory,
) -> None:
    """An explicit invoice names a customer and a plan at Whop; what that comes to here may have been a guess."""
    async with subscribed() as unit:
        await insert_plan(unit.session, id="pln_other", code="other", name="Other", created_at=AT)
        await unit.session.execute(
            text(
                "INSERT INTO invoice (id, user_id, plan_id, whop_invoice_id, whop_payment_id, status, currency,"
                " total_minor, issued_at, created_at, updated_at)"
                " VALUES ('inv_1', :user, 'pln_other', 'inv_W', 'pay_1', 'open', 'usd', 2900, :at, :at, :at)"
            ),
            {"user": USER, "at": AT},
        )
        await unit.commit()
    await _pay(subscribed, snapshot(subtotal=Money(2900, "usd"), tax=Money(261, "usd"), tax_behavior="exclusive"))
    told = await rows(subscribed, "SELECT number, plan_id, subscription_id FROM invoice")
    assert told == [("INV-2026-000001", PLAN, SUBSCRIPTION)]
    assert (await rows(subscribed, LINES))[0][:3] == ("plan", "Monthly", 2900)


async def test_the_language_is_the_customers(subscribed: UnitOfWorkFactory) -> None:
    async with subscribed() as unit:
        await unit.session.execute(text("UPDATE app_user SET locale = 'fr'"))
        await unit.commit()
    await _pay(subscribed, snapshot(total_minor=2529, subtotal=Money(2900, "usd"), total=Money(2500, "usd")))
    assert [row[:3] for row in await rows(subscribed, LINES)] == [
        ("plan", "Monthly", 2900),
        ("discount", "Remise", -400),
    ]
    assert await rows(subscribed, "SELECT locale FROM invoice") == [("fr",)]


@pytest.mark.parametrize("known_by", ["payment", "membership"])
async def test_what_a_change_of_plan_takes_off_is_unused_time(subscribed: UnitOfWorkFactory, known_by: str) -> None:
    unused = Line(
        LineKind.UNUSED_TIME,
        Money(-400, "usd"),
        plan="Basic",
        period_start=AT - timedelta(days=20),
        period_end=AT + timedelta(days=10),
        days_used=20,
        days_left=10,
        price=Money(1200, "usd"),
    )
    payment = "pay_1" if known_by == "payment" else None
    membership = None if known_by == "payment" else "mem_new"
    async with subscribed() as unit:
        await unit.session.execute(
            text(
                "INSERT INTO process (id, kind, subject_id, state, step, data, created_at, updated_at, due_at)"
                " VALUES ('prc_1', 'plan_change', :s, 'done', 'end', '{}', :at, :at, :at)"
            ),
            {"s": SUBSCRIPTION, "at": AT},
        )
        await unit.session.execute(
            text(
                "INSERT INTO plan_change (id, user_id, subscription_id, process_id, direction, moment, pay_by, state,"
                " from_plan_id, to_plan_id, to_version, old_membership_id, new_membership_id, whop_payment_id,"
                " currency, price_minor, charge_minor, credit_minor, refund_minor, extension_days, lines, actor,"
                " created_at)"
                " VALUES ('chg_1', :u, :s, 'prc_1', 'upgrade', 'now', 'method', 'done', :p, :p, 1, 'mem_1', :m, :pay,"
                " 'usd', 2900, 2500, 400, 0, 0, CAST(:lines AS jsonb), 'customer', :at)"
            ),
            {
                "u": USER,
                "s": SUBSCRIPTION,
                "p": PLAN,
                "m": membership,
                "pay": payment,
                "lines": json.dumps([unused.to_json()]),
                "at": AT,
            },
        )
        await unit.commit()
    await _pay(
        subscribed,
        snapshot(
            total=Money(2500, "usd"),
            subtotal=Money(2900, "usd"),
            membership_id="mem_new" if membership else "mem_1",
            billing_reason="subscription_create",
        ),
    )
    found = await rows(subscribed, LINES)
    assert [row[0] for row in found] == ["plan", "proration"]
    assert found[1][1] == "Unused time on Basic: 10 of 30 days (12 Aug 2026 to 11 Sep 2026, paid $12.00)"
    assert found[1][2] == -400


async def test_older_invoices_get_what_newer_ones_have(subscribed: UnitOfWorkFactory, billing: Invoices) -> None:
    """As they stand after the upgrade: numbered, without lines and parties."""
    async with subscribed() as unit:
        for number in (1, 2):
            await unit.session.execute(
                text(
                    "INSERT INTO invoice (id, number, user_id, subscription_id, plan_id, whop_payment_id, status,"
                    " currency, subtotal_minor, tax_minor, total_minor, issued_at, paid_at, created_at, updated_at)"
                    " VALUES (:id, :number, :u, :s, :p, :pay, 'paid', 'usd', 2900, 261, 3161, :at, :at, :at, :at)"
                ),
                {
                    "id": new_id("inv", AT),
                    "number": f"INV-2026-{number:06d}",
                    "u": USER,
                    "s": SUBSCRIPTION,
                    "p": PLAN,
                    "pay": f"pay_{number}",
                    "at": AT,
                },
            )
        await unit.commit()
    ((first, _), (second, _)) = await rows(subscribed, "SELECT id, number FROM invoice ORDER BY number")
    file = await billing.documents.invoice(first, USER)
    assert (file.name, file.content[:5]) == ("INV-2026-000001.pdf", b"%PDF-")
    async with subscribed() as unit:
        assert await billing.complete_older(unit, AT) == 1
        assert await billing.complete_older(unit, AT) == 0
        await unit.commit()
    sums = await rows(subscribed, "SELECT invoice_id, sum(amount_minor) FROM invoice_line GROUP BY 1 ORDER BY 1")
    assert sums == sorted([(first, 3161), (second, 3161)])
    assert await billing.documents.invoice(first, USER) == file


@contextmanager
def _counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that are sent meanwhile, by whatever way."""
    sent: list[str] = []
    send = psycopg.AsyncCursor.execute

    async def note(cursor: Any, query: Any, *rest: Any, **options: Any) -> Any:
        sent.append(str(query))
        return await send(cursor, query, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncCursor, "execute", note)
        yield sent


async def test_renewals_take_as_many_statements_however_many_they_are(
    subscribed: UnitOfWorkFactory, billing: Invoices, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with subscribed() as unit:
        await billing.profiles.save(unit, USER, BUYER)
        await unit.commit()
    for warm in range(2):
        await _pay(subscribed, snapshot(f"pay_warm_{warm}"))
    counts = []
    for size in (1, 60):
        with _counted(monkeypatch) as sent:
            await _pay(subscribed, *(snapshot(f"pay_{size}_{number}") for number in range(size)))
        counts.append(len(sent))
    # Payments held and written; invoices held, what stands on new ones, the counter, invoices and lines written.
    assert counts == [7, 7]
