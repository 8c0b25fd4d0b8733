"""Deliveries may come in any order, late and twice: a case is what payment and subscription are, not what was told."""

import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from quntedge.gateway.port import MembershipSnapshot, MembershipStatus, PaymentSnapshot, PaymentStatus
from quntedge.invoices.parties import Seller
from quntedge.invoices.service import InvoiceService
from quntedge.kit.clock import FrozenClock
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.payments.service import PaymentService
from quntedge.refunds.service import RefundService
from quntedge.settings import Settings
from quntedge.subscriptions.service import SubscriptionService
from quntedge.webhooks.apply import Applier, Evidence
from quntedge.wiring import Runtime, build
from tests.catalog.rows import insert_plan

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

ACTIVE = MembershipSnapshot(
    "mem_1",
    MembershipStatus.ACTIVE,
    "active",
    "plan_1",
    user_id="user_1",
    member_id="mber_1",
    period_start=NOW - timedelta(days=30),
    period_end=NOW,
    created_at=NOW - timedelta(days=30),
    updated_at=NOW - timedelta(days=30),
)
PAST_DUE = replace(ACTIVE, status=MembershipStatus.PAST_DUE, raw_status="past_due", updated_at=NOW + MINUTE)
RENEWED = replace(ACTIVE, period_end=NOW + timedelta(days=30), updated_at=NOW + 3 * MINUTE)
CANCELED = replace(ACTIVE, status=MembershipStatus.CANCELED, raw_status="canceled", updated_at=NOW + 4 * MINUTE)

FAILED = PaymentSnapshot(
    "pay_1",
    PaymentStatus.OPEN,
    "open",
    "usd",
    substatus="past_due",
    membership_id="mem_1",
    member_id="mber_1",
    user_id="user_1",
    plan_id="plan_1",
    billing_reason="subscription_cycle",
    total=Money(2900, "usd"),
    subtotal=Money(2900, "usd"),
    attempt_failed=True,
    payments_failed=1,
    retryable=True,
    decline_code="insufficient_funds",
    next_attempt_at=NOW + timedelta(days=1),
    created_at=NOW,
    updated_at=NOW + MINUTE,
)
FAILED_AGAIN = replace(FAILED, payments_failed=2, next_attempt_at=None, updated_at=NOW + 2 * MINUTE)
PAID = replace(
    FAILED_AGAIN,
    status=PaymentStatus.PAID,
    raw_status="paid",
    substatus="succeeded",
    attempt_failed=False,
    decline_code=None,
    paid_at=NOW + 3 * MINUTE,
    updated_at=NOW + 3 * MINUTE,
)
GIVEN_UP = replace(
    FAILED_AGAIN,
    status=PaymentStatus.UNCOLLECTIBLE,
    raw_status="uncollectible",
    attempt_failed=False,
    updated_at=NOW + 4 * MINUTE,
)

Told = MembershipSnapshot | PaymentSnapshot


class Book:
    """Our side, told of one customer after the other."""

    def __init__(self, runtime: Runtime) -> None:
        payments, invoices = PaymentService(), InvoiceService(runtime.vault, Seller.from_settings(runtime.settings))
        self.runtime = runtime
        self._applier = Applier(SubscriptionService(), payments, RefundService(payments), invoices, runtime.vault)
        self._customers = itertools.count(1)

    async def tell(self, story: tuple[Told, ...]) -> dict[str, Any]:
        """A new customer has a subscription, and this is delivered. How it stands then."""
        number = next(self._customers)
        await self._deliver(number, ACTIVE, from_gateway=True)
        for told in story:
            await self._deliver(number, told, from_gateway=False)
        return await self._standing(number)

    async def _deliver(self, number: int, told: Told, *, from_gateway: bool) -> None:
        whose: dict[str, Any] = {
            "membership_id": f"mem_{number}",
            "member_id": f"mber_{number}",
            "user_id": f"user_{number}",
        }
        if isinstance(told, PaymentSnapshot):
            payment = replace(told, payment_id=f"pay_{number}", **whose)
            evidence = Evidence(payments=(payment,), from_gateway=from_gateway)
        else:
            evidence = Evidence(memberships=(replace(told, **whose),), from_gateway=from_gateway)
        async with self.runtime.units() as unit:
            await self._applier.apply(unit, [("test", evidence)])
            await unit.commit()

    async def _standing(self, number: int) -> dict[str, Any]:
        async with self.runtime.units() as unit:
            rows = await unit.session.execute(
                text("SELECT * FROM dunning_case WHERE whop_payment_id = :id"), {"id": f"pay_{number}"}
            )
            cases = [dict(row._mapping) for row in rows]
            kinds = await unit.session.scalars(
                text(
                    "SELECT kind FROM notification JOIN app_user ON app_user.id = user_id"
                    " WHERE whop_user_id = :id ORDER BY notification.id"
                ),
                {"id": f"user_{number}"},
            )
            mails = [kind for kind in kinds if kind != "subscription_confirmed"]
            attempts = await unit.session.scalar(
                text("SELECT count(*) FROM dunning_attempt WHERE case_id = ANY(:ids)"),
                {"ids": [case["id"] for case in cases]},
            )
        assert len(cases) <= 1
        return {"case": cases[0] if cases else None, "mails": mails, "attempts": attempts}


@pytest.fixture
async def book(settings: Settings, database_url: str) -> AsyncIterator[Book]:
    runtime = build(settings, database_url, FrozenClock(NOW + timedelta(hours=1)))
    async with runtime.units() as unit:
        await insert_plan(unit.session, id=new_id("pln", NOW), created_at=NOW, whop_plan_id="plan_1")
        await unit.commit()
    yield Book(runtime)
    await runtime.close()


async def test_a_payment_that_came_in_the_end_is_never_run_after(book: Book) -> None:
    stories = list(itertools.permutations((FAILED, PAST_DUE, FAILED_AGAIN, PAID, RENEWED)))
    for story in random.Random(41).sample(stories, 30):
        found = await book.tell(story)
        case, mails = found["case"], found["mails"]
        # Whoever hears of the money first hears of no failure.
        assert case is None or (case["state"], case["next_due_at"]) == ("recovered", None)
        assert mails[-1 if case else 0] == ("payment_recovered" if case else "renewal_paid")
        assert len(set(mails) & {"payment_recovered", "renewal_paid"}) == 1
        assert mails.count("payment_failed") <= 2


async def test_a_subscription_that_ended_unpaid_ends_once(book: Book) -> None:
    for story in itertools.permutations((FAILED, PAST_DUE, GIVEN_UP, CANCELED)):
        found = await book.tell(story)
        case, mails = found["case"], found["mails"]
        assert case is None or (case["state"], case["outcome"], case["next_due_at"]) == ("exhausted", "unpaid", None)
        assert len([kind for kind in mails if kind in ("subscription_ended", "ended_unpaid")]) == 1
        if story.index(FAILED) < story.index(CANCELED) and case is not None:
            assert "ended_unpaid" in mails


async def test_everything_twice_and_late_changes_nothing(book: Book) -> None:
    once = await book.tell((FAILED, PAST_DUE, FAILED_AGAIN))
    again = await book.tell((FAILED, FAILED, PAST_DUE, FAILED, FAILED_AGAIN, PAST_DUE, FAILED, FAILED_AGAIN, ACTIVE))
    for found in (once, again):
        assert found["case"]["state"] == "open"
        assert (found["case"]["attempts_gateway"], found["attempts"]) == (2, 2)
        assert found["case"]["grace_until"] == PAST_DUE.updated_at + timedelta(days=7)  # type: ignore[operator]
        assert found["mails"] == ["payment_failed"] * 2
    late = await book.tell((FAILED, PAST_DUE, PAID, RENEWED, FAILED_AGAIN, PAST_DUE, FAILED))
    assert late["case"]["state"] == "recovered"
    assert late["mails"] == ["payment_failed", "payment_recovered"]


async def test_a_failure_heard_of_before_its_membership_waits_for_it(book: Book) -> None:
    found = await book.tell((FAILED,))
    case = found["case"]
    assert (case["state"], case["grace_until"]) == ("open", None)
    assert case["next_due_at"] == case["look_at"] == case["opened_at"] + timedelta(hours=1)


async def test_a_first_payment_that_fails_is_no_case(book: Book) -> None:
    found = await book.tell((replace(FAILED, billing_reason="subscription_create"), PAST_DUE))
    assert found == {"case": None, "mails": [], "attempts": 0}


async def test_a_newer_unpaid_renewal_takes_the_place_of_an_older_one(book: Book) -> None:
    before = (await book.tell((FAILED, PAST_DUE)))["case"]
    assert isinstance(book.runtime.clock, FrozenClock)
    book.runtime.clock.advance(timedelta(days=30))
    newer = replace(
        FAILED,
        payment_id="pay_newer",
        membership_id="mem_1",
        created_at=NOW + timedelta(days=30),
        updated_at=NOW + timedelta(minutes=50),
    )
    for payment in (newer, replace(newer, payment_id="pay_older", created_at=NOW - timedelta(days=30))):
        async with book.runtime.units() as unit:
            await book._applier.apply(unit, [("test", Evidence(payments=(payment,), from_gateway=True))])
            await unit.commit()
    async with book.runtime.units() as unit:
        rows = await unit.session.execute(
            text("SELECT whop_payment_id, state, opened_at FROM dunning_case ORDER BY id")
        )
        # Another bill is no more time for the first: the subscription is unpaid since then.
        since = before["opened_at"]
        assert [tuple(row) for row in rows] == [("pay_1", "superseded", since), ("pay_newer", "open", since)]
