"""How checkouts end: paid, declined, or left alone. Subscribers of facts and a schedule; they never commit."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Text, cast, func, update

from quntedge.checkout.models import CheckoutIntent
from quntedge.checkout.rules import UNDECIDED
from quntedge.payments.events import PaymentRecorded
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import SubscriptionChanged

RetireLater = Callable[[UnitOfWork, list[str]], Awaitable[None]]
"""Defers, in the given unit of work, the retirement of these checkouts (gateway ids) at the gateway."""

Release = Callable[[UnitOfWork, list[str]], Awaitable[None]]
"""Begins, in the given unit of work, to give back what these checkouts (our ids) hold of promotions."""


class CheckoutOutcomes:
    """Applies what the gateway's events say to the checkouts they came from."""

    def __init__(self, retire_later: RetireLater, release: Release | None = None) -> None:
        """Without `release` nothing is held for checkouts, so nothing is given back."""
        self._retire_later = retire_later
        self._release = release

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Completes the checkouts whose subscription began, and ends the buyer's other open ones.

        A link at the gateway never expires and can be paid many times, so all of them are retired there: nobody pays
        twice by accident. A second membership of a completed checkout changes nothing here.
        """
        started = [fact for fact in facts if fact.started]
        if not started:
            return
        completed = await self._complete(unit, [fact for fact in started if fact.checkout_id is not None])
        ended = await unit.session.execute(
            update(CheckoutIntent)
            .where(
                CheckoutIntent.user_id.in_(sorted({fact.user_id for fact in started})),
                CheckoutIntent.state.in_(UNDECIDED),
            )
            .values(state="expired")
            .returning(CheckoutIntent.whop_checkout_id, CheckoutIntent.id, CheckoutIntent.reservation_id)
            .execution_options(synchronize_session=False)
        )
        links = await self._ended(unit, ended.all())
        await self._retire(unit, [*completed, *links])

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Notes why a first payment failed. The checkout stays open: the buyer may try again, with another card."""
        declined = {fact.checkout_id: fact for fact in facts if fact.newly_failed and fact.checkout_id is not None}
        if not declined:
            return
        given = _table(
            checkout_id=list(declined),
            user_id=[fact.user_id for fact in declined.values()],
            failure=[fact.decline_class or "unclear" for fact in declined.values()],
        )
        await unit.session.execute(
            update(CheckoutIntent)
            .where(
                CheckoutIntent.id == given.c.checkout_id,
                CheckoutIntent.user_id == given.c.user_id,
                CheckoutIntent.state.in_(UNDECIDED),
            )
            .values(failure=given.c.failure)
            .execution_options(synchronize_session=False)
        )

    async def expire(self, unit: UnitOfWork, now: datetime) -> int:
        """Ends the checkouts that were not paid in their time and retires their links; says how many there were.

        Should somebody have paid at the last moment, the membership that follows still completes the checkout.
        """
        ended = await unit.session.execute(
            update(CheckoutIntent)
            .where(CheckoutIntent.state.in_(UNDECIDED), CheckoutIntent.expires_at <= now)
            .values(state="expired")
            .returning(CheckoutIntent.whop_checkout_id, CheckoutIntent.id, CheckoutIntent.reservation_id)
            .execution_options(synchronize_session=False)
        )
        links = await self._ended(unit, ended.all())
        await self._retire(unit, links)
        return len(links)

    async def _ended(self, unit: UnitOfWork, rows: Sequence[Any]) -> list[str | None]:
        """Gives back what checkouts held that have just ended; their links."""
        held = [row.id for row in rows if row.reservation_id is not None]
        if held and self._release is not None:
            await self._release(unit, held)
        return [row.whop_checkout_id for row in rows]

    async def _complete(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> list[str | None]:
        by_checkout: dict[str | None, SubscriptionChanged] = {}
        for fact in facts:
            by_checkout.setdefault(fact.checkout_id, fact)
        if not by_checkout:
            return []
        first = list(by_checkout.values())
        given = _table(
            checkout_id=[fact.checkout_id for fact in first],
            user_id=[fact.user_id for fact in first],
            subscription_id=[fact.subscription_id for fact in first],
            membership_id=[fact.membership_id for fact in first],
        )
        done = await unit.session.execute(
            update(CheckoutIntent)
            .where(
                CheckoutIntent.id == given.c.checkout_id,
                # The id came back through the gateway; a checkout is only ever completed for its own customer.
                CheckoutIntent.user_id == given.c.user_id,
                CheckoutIntent.state != "completed",
            )
            .values(
                state="completed",
                subscription_id=given.c.subscription_id,
                whop_membership_id=given.c.membership_id,
                completed_at=unit.clock.now(),
                failure=None,
            )
            .returning(CheckoutIntent.whop_checkout_id)
            .execution_options(synchronize_session=False)
        )
        return list(done.scalars())

    async def _retire(self, unit: UnitOfWork, links: Sequence[str | None]) -> None:
        known = sorted({link for link in links if link is not None})
        if known:
            await self._retire_later(unit, known)


def _table(**columns: Sequence[str | None]) -> Any:
    """Rows for one statement, as arrays: the SQL text is the same for one row and for five hundred."""
    arrays = [cast(list(values), ARRAY(Text)) for values in columns.values()]
    return func.unnest(*arrays).table_valued(*columns, name="given").render_derived()
