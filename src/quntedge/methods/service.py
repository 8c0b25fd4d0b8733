"""What customers do with their saved means of payment: add one, pay with another, forget one."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, text, update

from quntedge.gateway.acts import SetupActs
from quntedge.kit.ids import is_id, new_id
from quntedge.methods import rules
from quntedge.methods.errors import (
    NothingRenews,
    PaymentMethodBusy,
    PaymentMethodExpired,
    PaymentMethodInUse,
    PaymentMethodNotFound,
    PaymentMethodRefused,
)
from quntedge.methods.events import MethodExpiring, MethodSaved
from quntedge.methods.models import MethodMember, MethodSetup, PaymentMethod
from quntedge.methods.queries import Renewal, renewals
from quntedge.methods.rules import WARNED_ABOUT, Expiry
from quntedge.methods.steps import ASKED_AT, REFUSED, REMOVE, USE, note_choice
from quntedge.methods.sync import note_members
from quntedge.payments.events import PaymentRecorded
from quntedge.processes.runner import ProcessRunner, View
from quntedge.processes.steps import State
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import SubscriptionMembership

SETUP_KEY = "method_setup"
"""Name under which our id of a page that saves a card travels in Whop's metadata."""

PATH = "/billing/methods"

SyncLater = Callable[[UnitOfWork, list[tuple[str, str]]], Awaitable[None]]
"""Defers, in the given unit of work, a look at the methods of these (user id, member id)."""
RetireLater = Callable[[UnitOfWork, list[str]], Awaitable[None]]
"""Defers, in the given unit of work, the retirement of these checkouts (gateway ids) at the gateway."""

_RENEWAL = "subscription_cycle"
_WARNINGS = 500
_SETUP_LASTS = timedelta(days=1)


class Done(StrEnum):
    """How far a wish has come. `PROCESSING`: the payment provider has not answered; we go on by ourselves."""

    DONE = "done"
    PROCESSING = "processing"


class MethodService:
    """Use cases open and commit their own units of work, because they call the gateway; subscribers never commit."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: SetupActs,
        base_url: str,
        *,
        sync_later: SyncLater,
        retire_later: RetireLater,
    ) -> None:
        """`base_url` is our own address: where the page that saves a card leads back to."""
        self._units = units
        self._processes = processes
        self._gateway = gateway
        self._back = f"{base_url.rstrip('/')}{PATH}"
        self._sync_later = sync_later
        self._retire_later = retire_later

    async def start_adding(self, user_id: str) -> str:
        """The address of a page of the payment provider on which the customer saves a card. Raises its errors."""
        async with self._units() as unit:
            setup = MethodSetup(id=new_id("mst", unit.clock.now()), user_id=user_id, created_at=unit.clock.now())
            unit.session.add(setup)
            setup_id = setup.id
            await unit.commit()
        page = await self._gateway.start_card_setup(
            self._back, metadata={SETUP_KEY: setup_id}, idempotency_key=setup_id
        )
        async with self._units() as unit:
            (await unit.session.get_one(MethodSetup, setup_id)).whop_checkout_id = page.checkout_id
            await unit.commit()
        return page.purchase_url

    async def make_default(self, user_id: str, method_id: str) -> Done:
        """Has the customer's subscription charged this way from now on.

        Raises `PaymentMethodNotFound`, `PaymentMethodExpired`, `NothingRenews`, `PaymentMethodBusy`, and
        `PaymentMethodRefused` when the provider does not take it.
        """
        async with self._units() as unit:
            method = await _own(unit, user_id, method_id)
            renewal = (await renewals(unit.session, [user_id])).get(user_id)
            if renewal is None:
                raise NothingRenews("You have no subscription that is going to be charged. Choose when you subscribe.")
            _refuse_unusable(method, renewal, unit.clock.now())
            if await self._processes.running(unit, REMOVE, method.id):
                raise PaymentMethodBusy("This payment method is being removed. Look again in a moment.")
            if await self._processes.running(unit, USE, renewal.whop_membership_id):
                raise PaymentMethodBusy("Your payment method is being changed already. Look again in a moment.")
            process_id = await self._processes.start(
                unit,
                USE,
                renewal.whop_membership_id,
                user_id=user_id,
                data={
                    "whop_method": method.whop_method_id,
                    "method": method.id,
                    ASKED_AT: unit.clock.now().isoformat(),
                },
            )
            await unit.commit()
        view = await self._processes.run(process_id)
        if view is not None and REFUSED in view.data:
            raise PaymentMethodRefused(
                "The payment provider does not accept this payment method for your subscription. Choose another one."
            )
        return _done(view)

    async def own_method(self, user_id: str, method_id: str) -> str:
        """The gateway's id of a customer's method. Raises `PaymentMethodNotFound`, `PaymentMethodExpired`."""
        async with self._units() as unit:
            method = await _own(unit, user_id, method_id)
            _refuse_expired(method, unit.clock.now())
            return method.whop_method_id

    async def note_choice(self, user_id: str, whop_method_id: str) -> None:
        """The gateway was told by another feature to charge this method from now on."""
        async with self._units() as unit:
            await note_choice(unit, user_id, whop_method_id)
            await unit.commit()

    async def remove(self, user_id: str, method_id: str) -> Done:
        """Forgets a saved means of payment, at the provider as well.

        Raises `PaymentMethodNotFound`, `PaymentMethodBusy`, and `PaymentMethodInUse` while a subscription is charged
        with it: then nothing has changed.
        """
        async with self._units() as unit:
            method = await _own(unit, user_id, method_id)
            renewal = (await renewals(unit.session, [user_id])).get(user_id)
            if renewal is not None and method.is_default:
                raise PaymentMethodInUse(_in_use(renewal))
            if renewal is not None and await self._processes.running(unit, USE, renewal.whop_membership_id):
                raise PaymentMethodBusy("Your payment method is being changed at this moment. Look again in a moment.")
            if await self._processes.running(unit, REMOVE, method.id):
                raise PaymentMethodBusy("This payment method is being removed already. Look again in a moment.")
            process_id = await self._processes.start(
                unit,
                REMOVE,
                method.id,
                user_id=user_id,
                data={"whop_method": method.whop_method_id, "member": method.whop_member_id},
            )
            await unit.commit()
        view = await self._processes.run(process_id)
        if view is not None and REFUSED in view.data:
            # Only the provider knows everything that is paid with it, subscriptions elsewhere included.
            raise PaymentMethodInUse(
                "The payment provider keeps this payment method, because a running subscription is paid with it."
                " Choose another one for the subscription first."
            )
        return _done(view)

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """A trial begins without a payment, and yet with a card."""
        begun = [fact.membership_id for fact in facts if fact.started and fact.trial]
        if not begun:
            return
        rows = await unit.session.execute(
            select(SubscriptionMembership.user_id, SubscriptionMembership.whop_member_id).where(
                SubscriptionMembership.whop_membership_id.in_(begun),
                SubscriptionMembership.whop_member_id.is_not(None),
            )
        )
        await self._look_at(unit, {(row.user_id, row.whop_member_id) for row in rows})

    async def on_payments_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Money came another way than a plain renewal does: perhaps with a card that we have not seen."""
        await self._look_at(
            unit,
            {
                (fact.user_id, fact.whop_member_id)
                for fact in facts
                if fact.newly_paid
                and fact.whop_member_id is not None
                and fact.whop_method_id is not None
                and (fact.billing_reason != _RENEWAL or fact.attempts_failed)
            },
        )

    async def on_method_saved(self, unit: UnitOfWork, facts: Sequence[MethodSaved]) -> None:
        """A card was saved on a page that one of ours was sent to, or by somebody we know."""
        found: set[tuple[str, str]] = set()
        for fact in facts:
            row = await self._setup_of(unit, fact.setup_id or "")
            if row is None:
                found |= {(user_id, fact.member_id) for user_id in await _known_as(unit, fact.member_id)}
                continue
            found.add((row.user_id, fact.member_id))
            if row.whop_method_id is None:
                row.whop_member_id, row.whop_method_id = fact.member_id, fact.method_id
                row.ended_at = unit.clock.now()
                if row.whop_checkout_id is not None:
                    await self._retire_later(unit, [row.whop_checkout_id])
        await self._look_at(unit, found)

    async def end_setups(self, unit: UnitOfWork, now: datetime) -> int:
        """Ends the pages on which nobody saved anything for a day; a sweep's transaction. Returns how many.

        They never expire at Whop. What is saved on one at the last moment counts all the same.
        """
        ended = await unit.session.scalars(
            update(MethodSetup)
            .where(MethodSetup.ended_at.is_(None), MethodSetup.created_at <= now - _SETUP_LASTS)
            .values(ended_at=now)
            .returning(MethodSetup.whop_checkout_id)
            .execution_options(synchronize_session=False)
        )
        pages = ended.all()
        await self._retire_later(unit, [page for page in pages if page is not None])
        return len(pages)

    async def warn(self, unit: UnitOfWork, now: datetime) -> int:
        """Announces cards that expire soon; a sweep's transaction. Returns how many were looked at."""
        due = (
            await unit.session.scalars(
                select(PaymentMethod)
                .where(PaymentMethod.warn_at <= now)
                .order_by(PaymentMethod.warn_at, PaymentMethod.id)
                .limit(_WARNINGS)
                .with_for_update(skip_locked=True)
            )
        ).all()
        live = await renewals(unit.session, [method.user_id for method in due])
        for method in due:
            renewal, expiry = live.get(method.user_id), Expiry.of(method.exp_month, method.exp_year)
            method.warn_at = None
            if renewal is None or renewal.ends or renewal.status not in WARNED_ABOUT:
                continue  # should it be charged again after all, the nightly look plans the warning anew
            if expiry is None or rules.warn_at(expiry, method.warned_for, now) is None:
                continue
            method.warned_for = expiry.name
            unit.record(
                MethodExpiring(
                    method_id=method.id,
                    user_id=method.user_id,
                    subscription_id=renewal.subscription_id,
                    plan_id=renewal.plan_id,
                    kind=method.kind,
                    brand=method.brand,
                    last4=method.last4,
                    exp_month=expiry.month,
                    exp_year=expiry.year,
                    expires_at=expiry.ends_at,
                )
            )
        return len(due)

    async def _look_at(self, unit: UnitOfWork, members: set[tuple[str, str]]) -> None:
        """Has the methods of these members read soon. Should that fail for good, the nightly look does it."""
        if not members:
            return
        ordered = sorted(members)
        await note_members(unit, ordered)
        await unit.session.execute(
            _DUE_SOON,
            {
                "now": unit.clock.now(),
                "users": Texts(user for user, _ in ordered),
                "members": Texts(member for _, member in ordered),
            },
        )
        await self._sync_later(unit, ordered)

    @staticmethod
    async def _setup_of(unit: UnitOfWork, setup_id: str) -> MethodSetup | None:
        return await unit.session.get(MethodSetup, setup_id) if is_id(setup_id, "mst") else None


_DUE_SOON = text(
    """
    UPDATE method_member AS m SET sync_at = :now
      FROM unnest(CAST(:users AS text[]), CAST(:members AS text[])) AS due (user_id, whop_member_id)
     WHERE m.user_id = due.user_id AND m.whop_member_id = due.whop_member_id
    """
)


async def _own(unit: UnitOfWork, user_id: str, method_id: str) -> PaymentMethod:
    """One of the customer's methods, held until the unit ends. Raises `PaymentMethodNotFound`."""
    method: PaymentMethod | None = None
    if is_id(method_id, "pm"):
        mine = (PaymentMethod.id == method_id, PaymentMethod.user_id == user_id, PaymentMethod.removed_at.is_(None))
        method = await unit.session.scalar(select(PaymentMethod).where(*mine).with_for_update())
    if method is None:
        raise PaymentMethodNotFound("This is not one of your saved payment methods. Add it first, then choose it.")
    return method


async def _known_as(unit: UnitOfWork, member_id: str) -> set[str]:
    """The customers that are this member."""
    known = await unit.session.scalars(select(MethodMember.user_id).where(MethodMember.whop_member_id == member_id))
    bought = await unit.session.scalars(
        select(SubscriptionMembership.user_id).where(SubscriptionMembership.whop_member_id == member_id)
    )
    return {*known, *bought}


def _refuse_expired(method: PaymentMethod, now: datetime) -> None:
    expiry = Expiry.of(method.exp_month, method.exp_year)
    if expiry is not None and expiry.ends_at <= now:
        raise PaymentMethodExpired("This card has expired. Choose another one, or add a new one.")


def _refuse_unusable(method: PaymentMethod, renewal: Renewal, now: datetime) -> None:
    _refuse_expired(method, now)
    if renewal.whop_member_id not in (None, method.whop_member_id):
        raise PaymentMethodRefused(
            "This payment method was saved under another account at the payment provider than the one your"
            " subscription belongs to. Add it again, signed in there as you were when you subscribed."
        )


def _in_use(renewal: Renewal) -> str:
    if renewal.ends:
        return f"Your subscription to {renewal.plan_name} is paid with it until it ends. Remove it afterwards."
    return (
        f"Your subscription to {renewal.plan_name} is paid with it."
        " Choose another payment method for it first, or cancel it."
    )


def _done(view: View | None) -> Done:
    return Done.DONE if view is not None and view.state is State.DONE else Done.PROCESSING
