"""Any sequence of what customers do, what the gateway says and how time passes: what must hold, holds after each step.

Deliveries come twice, in the wrong order and late throughout. More lives: `make test-lives`.
"""

import asyncio
import os
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from quntedge.access.rules import Reason
from quntedge.cancellations.service import new_cancellation_id
from quntedge.checkout.models import CheckoutIntent
from quntedge.gateway.errors import GatewayRejected
from quntedge.kit.errors import QuntedgeError
from quntedge.settings import Settings
from quntedge.subscriptions.rebuild import Rebuild
from tests.conftest import cloned_database
from tests.journeys.world import PASSWORD, Product, running_product

EMAIL = "kim@customers.test"
GOOD, FAILS_LATER = "4242424242424242", "4000000000000341"
PLANS = ("monthly", "quarterly", "yearly")
PAID_FEATURE = "advanced_analytics"
"""Every plan but the free one has it."""
BY_SUBSCRIPTION = {Reason.SUBSCRIPTION_ACTIVE, Reason.TRIAL, Reason.GRACE_PERIOD, Reason.LIFETIME}
ALIVE = ("trialing", "active", "past_due")
LONG = "QUNTEDGE_TEST_LIVES" in os.environ
_numbers = count(1)


class Life(RuleBasedStateMachine):
    """One customer, and the product around them. Whatever is refused politely is refused; anything else is a fault."""

    server: str
    template: str
    plain: Settings
    folder: Path

    @initialize(plan=st.sampled_from(PLANS), card=st.sampled_from((GOOD, GOOD, FAILS_LATER)))
    def begins_with_a_purchase(self, plan: str, card: str) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.live: str | None = None
        """Status of the live subscription, as it was after the last step."""
        self.link: str | None = None
        """Where a change of plan waits to be paid."""
        self.runner.run(self._begin())
        self.buys(plan, card)

    async def _begin(self) -> None:
        url = self.stack.enter_context(cloned_database(self.server, self.template))
        changes = {"database_url": url, "data_dir": self.folder / str(next(_numbers))}
        self.product: Product = await self.stack.enter_async_context(
            running_product(self.plain.model_copy(update=changes), url)
        )
        for fault in (
            {"fault": "duplicate", "probability": 0.3, "seed": 1},
            {"fault": "reorder", "seed": 2},
            {"fault": "delay", "delay_ms": 5, "jitter_ms": 40, "probability": 0.3, "seed": 3},
        ):
            await self.product.emulator.faults(**fault)
        services = self.product.runtime.services
        async with services.units() as unit:
            signed_in = await services.accounts.sign_up(unit, EMAIL, PASSWORD, "Kim Rivers", "en", True, None)
            await unit.commit()
        self.user = signed_in.user_id

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.stack.aclose())
            self.runner.close()

    # What customers do, mostly where it can be done.

    @precondition(lambda self: self.live is None)
    @rule(plan=st.sampled_from((*PLANS, "lifetime")), card=st.sampled_from((GOOD, GOOD, FAILS_LATER)))
    def buys(self, plan: str, card: str) -> None:
        async def act() -> None:
            checkout = await self._services.checkout.start(self.user, plan, f"life-{next(_numbers)}")
            async with self._services.units() as unit:
                intent = await unit.session.get_one(CheckoutIntent, checkout.id)
            if intent.whop_checkout_id is not None:
                await self.product.emulator.pay(intent.whop_checkout_id, card, email=EMAIL)

        self._try(act())

    @precondition(lambda self: self.live in ("trialing", "active", "past_due"))
    @rule(plan=st.sampled_from((*PLANS, *PLANS, "lifetime", "free")))
    def changes_the_plan(self, plan: str) -> None:
        async def act() -> None:
            changes = self._services.plan_changes.service
            preview = await changes.preview(self.user, plan)
            await changes.confirm(self.user, plan, preview.quote)

        self._try(act())

    @precondition(lambda self: self.live in ("trialing", "active") and self.link is None)
    @rule(plan=st.sampled_from((*PLANS, "lifetime")))
    def asks_for_a_link(self, plan: str) -> None:
        """To pay another plan on the gateway's page, now or in some hours."""

        async def act() -> None:
            changes = self._services.plan_changes.service
            preview = await changes.preview(self.user, plan, by_checkout=True)
            view = await changes.confirm(self.user, plan, preview.quote)
            self.link = view.pay_url

        self._try(act())

    @precondition(lambda self: self.link is not None)
    @rule()
    def pays_the_link(self) -> None:
        checkout_id = str(self.link).partition("session=")[2].partition("&")[0]
        self.link = None
        checkout = self._tables.checkouts.get(checkout_id)
        if checkout is not None:
            self.runner.run(self.product.emulator.pay(checkout_id, GOOD, email=EMAIL))

    @precondition(lambda self: self.live == "active")
    @rule()
    def takes_a_change_back(self) -> None:
        self._try(self._services.plan_changes.service.withdraw(self.user))

    @precondition(lambda self: self.live is not None)
    @rule(now=st.sampled_from((False, False, True)))
    def cancels(self, now: bool) -> None:
        service = self._services.cancellations.service
        key = new_cancellation_id(self.product.runtime.clock.now())
        self._try(service.cancel(self.user, key=key, when="now" if now else "period_end"))

    @precondition(lambda self: self.live is not None)
    @rule()
    def takes_the_cancellation_back(self) -> None:
        self._try(self._services.cancellations.service.resume(self.user))

    @precondition(lambda self: self.live in ("active", "past_due"))
    @rule(days=st.sampled_from((7, 45)))
    def pauses(self, days: int) -> None:
        self._try(self._services.pauses.pause(self.user, days=days))

    @precondition(lambda self: self.live in ("active", "paused"))
    @rule()
    def resumes(self) -> None:
        self._try(self._services.pauses.resume(self.user))

    # What the gateway and time do.

    @rule()
    def the_card_begins_to_fail(self) -> None:
        self._spoil("declines:insufficient_funds")

    @rule()
    def the_card_works_again(self) -> None:
        self._spoil("succeeds")

    @precondition(lambda self: self.live is not None)
    @rule(at_period_end=st.booleans())
    def cancels_at_the_gateway(self, at_period_end: bool) -> None:
        """In Whop's own portal, of which we only hear."""
        newest = list(self._tables.memberships.values())[-1]
        gateway = self.product.runtime.gateway
        self._try(
            gateway.cancel_membership(
                newest.id, at_period_end=at_period_end, idempotency_key=f"portal-{next(_numbers)}"
            )
        )

    @rule(
        step=st.sampled_from(
            (timedelta(seconds=1), timedelta(hours=2), timedelta(hours=30), timedelta(days=8), timedelta(days=31))
        )
    )
    def time_passes(self, step: timedelta) -> None:
        self.runner.run(self.product.emulator.advance(seconds=step.total_seconds()))

    @precondition(lambda self: self.live in ("trialing", "active"))
    @rule()
    def the_period_nearly_ends(self) -> None:
        """What is begun in its last hour is overtaken by the renewal."""
        ends = [m.current_period_end for m in self._tables.memberships.values() if m.status in ("trialing", "active")]
        left = max(ends) - self.product.runtime.clock.now() - timedelta(hours=1)
        if left > timedelta(0):
            self.runner.run(self.product.emulator.advance(seconds=left.total_seconds()))

    # What must hold.

    @invariant()
    def everything_holds(self) -> None:
        if hasattr(self, "user"):
            self.runner.run(self._everything_holds())

    async def _everything_holds(self) -> None:
        await self.product.settled()
        # Whatever the customer has bought is charged once, and one thing at a time.
        renewing = [m.id for m in self._tables.memberships.values() if m.status in ALIVE and not m.cancel_at_period_end]
        assert len(renewing) <= 1, renewing
        live = await self._rows(
            "SELECT status FROM subscription WHERE status IN ('trialing', 'active', 'past_due', 'paused', 'completed')"
        )
        assert len(live) <= 1, live
        self.live = live[0]["status"] if live else None
        await self._nothing_is_charged_twice()
        await self._lines_are_what_is_charged()
        await self._access_is_what_is_paid_for()
        await self._history_is_complete()
        left = await self._rows(
            "SELECT kind, step, error, stuck FROM process WHERE state = 'running' AND (stuck OR due_at <= :now)",
            now=self.product.runtime.clock.now(),
        )
        assert left == []
        assert await self._rows("SELECT * FROM gateway_difference") == []
        unusable = await self._rows("SELECT * FROM webhook_event WHERE state IN ('dead', 'quarantined')")
        assert unusable == []

    async def _nothing_is_charged_twice(self) -> None:
        """A membership is paid for once for each of its periods, a change of plan once."""
        paid: dict[str, int] = {}
        changes: dict[str, int] = {}
        now = self.product.runtime.clock.now()
        for payment in self._tables.payments.values():
            if payment.status != "paid" or not payment.total:
                continue
            paid[str(payment.membership_id)] = paid.get(str(payment.membership_id), 0) + 1
            change = payment.metadata.get("change_id")
            if change is not None:
                changes[change] = changes.get(change, 0) + 1
        for membership_id, times in paid.items():
            membership = self._tables.memberships[membership_id]
            days = self._tables.plans[membership.plan_id].billing_period
            periods = 1 if days is None else 1 + (now - membership.created_at) // timedelta(days=days)
            assert times <= periods, (membership_id, times, periods)
        assert all(times == 1 for times in changes.values()), changes

    async def _lines_are_what_is_charged(self) -> None:
        rows = await self._rows("SELECT * FROM plan_change")
        for row in rows:
            if row["moment"] == "now":
                assert sum(line["amount"]["amount_minor"] for line in row["lines"]) == row["charge_minor"]
            assert row["review"] is None, row["review"]
            if row["state"] == "done" and row["moment"] == "now":
                self._nothing_unused_is_kept(row)
            if row["state"] == "done" and row["pay_by"] == "method":
                payment = self._tables.payments[row["whop_payment_id"]]
                expected = row["charge_minor"] if row["moment"] == "now" else row["price_minor"]
                assert payment.total.amount_minor == expected

    def _nothing_unused_is_kept(self, change: dict[str, Any]) -> None:
        """A renewal of the old plan that overtook the change was given back, but for the time until the change."""
        old = self._tables.memberships[change["old_membership_id"]]
        for payment in self._tables.payments.values():
            if payment.membership_id != old.id or payment.status != "paid" or not payment.total:
                continue
            if payment.paid_at < change["created_at"]:
                continue
            unused = old.current_period_end - max(change["effective_at"], payment.paid_at)
            owed = payment.total.amount_minor * (unused / (old.current_period_end - payment.paid_at))
            assert abs(payment.refunded.amount_minor - owed) <= 1, (payment.id, owed)

    async def _access_is_what_is_paid_for(self) -> None:
        """No free time, and none that was paid for and is withheld."""
        decision = await self._services.access.decide(self.user, PAID_FEATURE)
        now = self.product.runtime.clock.now()
        memberships = list(self._tables.memberships.values())
        begun = any(m.status in (*ALIVE, "completed") for m in memberships)
        paid_for = any(
            m.status == "completed"
            or (m.status in ("trialing", "active") and m.current_period_end > now and m.paused_at is None)
            for m in memberships
        )
        if paid_for:
            assert decision.allowed, (decision, [(m.id, m.status) for m in memberships])
        if decision.allowed and not begun:
            # Only a successor that is being collected bridges the time after the end.
            open_ = await self._rows("SELECT state FROM plan_change WHERE state IN ('collecting', 'scheduled')")
            assert open_, decision
        assert not decision.allowed or decision.reason in BY_SUBSCRIPTION

    async def _history_is_complete(self) -> None:
        runtime = self.product.runtime
        async for checked in Rebuild(runtime.engine, runtime.units).verify():
            assert checked.findings == ()

    # How.

    @property
    def _services(self) -> Any:
        return self.product.runtime.services

    @property
    def _tables(self) -> Any:
        return self.product.emulator.runtime.world.store.tables

    async def _rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        return await self.product.rows(sql, **parameters)

    def _try(self, act: Any) -> None:
        """Does it, or is told politely why not."""
        try:
            self.runner.run(act)
        except QuntedgeError as refusal:
            if refusal.status >= 500 and not isinstance(refusal, GatewayRejected):
                raise

    def _spoil(self, behaviour: str) -> None:
        async def spoil() -> None:
            for method in list(self._tables.methods):
                await self.product.emulator.change_card(method, behaviour)

        self.runner.run(spoil())


@pytest.mark.long
def test_any_life(database_server: str, template_database: str, settings: Settings, tmp_path: Path) -> None:
    class ThisLife(Life):
        server, template, plain, folder = database_server, template_database, settings, tmp_path

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        ThisLife,
        settings=profile(
            max_examples=60 if LONG else 6,
            stateful_step_count=25 if LONG else 12,
            derandomize=not LONG,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
