"""SubscriptionService: applies what Whop says about memberships, many at a time, in one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select

from quntedge.gateway.port import MembershipSnapshot
from quntedge.kit.ids import new_id
from quntedge.storage.rows import Texts, among, insert_rows, update_rows
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions import rules
from quntedge.subscriptions.errors import UnknownGatewayPlan
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.machine import Trigger
from quntedge.subscriptions.models import LIVE, Subscription, SubscriptionEvent, SubscriptionMembership
from quntedge.subscriptions.queries import plan_terms
from quntedge.subscriptions.records import (
    Holding,
    birth_certificate,
    membership_row,
    state_from_snapshot,
    subscription_values,
)
from quntedge.subscriptions.rules import MembershipState, PlanTerms, SubscriptionState, Verdict

ACCESS_CHANNEL = "access_changed"
"""Notified on commit with the ids of users whose access may be another now, separated by spaces."""


GATEWAY_ACTOR = "whop"


@dataclass(frozen=True, slots=True)
class ObservedMembership:
    """A membership as somebody told us about it. `from_gateway`: we read it ourselves just now.

    `actor` is who brought the change about: `whop`, `system`, or `customer:`/`staff:` and an id.
    """

    snapshot: MembershipSnapshot
    cause: str
    from_gateway: bool = False
    actor: str = GATEWAY_ACTOR


@dataclass(frozen=True, slots=True)
class Amendment:
    """What only we know of a membership: that it is paused (since when, until when), or that another takes its place.

    `paused` None leaves pauses as they are; `superseded` None leaves that as it is.
    """

    membership_id: str
    cause: str
    actor: str
    paused: bool | None = None
    resume_at: datetime | None = None
    superseded: bool | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose membership it is, and the checkout it came from."""

    user_id: str
    checkout_id: str | None = None


# Owners by membership id. One missing from the answer cannot be decided yet: the membership has to be read first.
FindOwners = Callable[[UnitOfWork, Sequence[ObservedMembership]], Awaitable[Mapping[str, Owner]]]


class SubscriptionService:
    """Keeps subscriptions in step with their memberships.

    One call costs a fixed number of statements, however many memberships it is given.
    """

    def __init__(self, renewal_gap: timedelta = rules.RENEWAL_GAP) -> None:
        """`renewal_gap` after the end of a period its renewal is looked for, unless it was seen."""
        self._renewal_gap = renewal_gap

    async def apply(
        self,
        unit: UnitOfWork,
        observed: Sequence[ObservedMembership],
        plans: Mapping[str, PlanTerms],
        find_owners: FindOwners,
    ) -> list[Verdict]:
        """Applies snapshots in the order given and answers what became of each.

        `plans` maps Whop's plan ids to ours. `find_owners` is asked once, about the memberships nobody knows yet.
        Raises `UnknownGatewayPlan`; nothing is written then.
        """
        if not observed:
            return []
        batch = _Batch(unit, plans, self._renewal_gap)
        await batch.load([item.snapshot.membership_id for item in observed])
        await batch.adopt(observed, find_owners)
        verdicts = [batch.apply(item) for item in observed]
        await batch.write()
        return verdicts

    async def observe(
        self, unit: UnitOfWork, snapshot: MembershipSnapshot, *, cause: str, actor: str, user_id: str | None = None
    ) -> None:
        """Applies one membership that we have just read, because of something we did to it.

        It is one we hold; `user_id` says whose it is where it may be new. Raises `UnknownGatewayPlan`.
        """

        async def owners(_unit: UnitOfWork, items: Sequence[ObservedMembership]) -> Mapping[str, Owner]:
            return {} if user_id is None else {item.snapshot.membership_id: Owner(user_id) for item in items}

        observed = ObservedMembership(snapshot, cause, from_gateway=True, actor=actor)
        await self.apply(unit, [observed], await plan_terms(unit), owners)

    async def amend(
        self, unit: UnitOfWork, amendments: Sequence[Amendment], plans: Mapping[str, PlanTerms]
    ) -> list[SubscriptionState | None]:
        """Notes what only we know, and answers the state of each subscription afterwards; None where nobody knows the
        membership."""
        batch = _Batch(unit, plans, self._renewal_gap)
        await batch.load([item.membership_id for item in amendments])
        states = [batch.amend(item) for item in amendments]
        await batch.write()
        return states


_LOCKED = select(Subscription.__table__).order_by(Subscription.id).with_for_update()
_OF_MEMBERSHIPS = _LOCKED.where(
    Subscription.id.in_(
        select(SubscriptionMembership.subscription_id).where(among(SubscriptionMembership.whop_membership_id))
    )
)
_LIVE_OF_USERS = _LOCKED.where(among(Subscription.user_id), Subscription.status.in_(LIVE))
_MEMBERSHIPS = select(SubscriptionMembership.__table__).where(among(SubscriptionMembership.subscription_id))


class _Batch:
    """The rows one call touches: loaded together, changed in memory, written together."""

    def __init__(self, unit: UnitOfWork, plans: Mapping[str, PlanTerms], renewal_gap: timedelta) -> None:
        self._unit = unit
        self._renewal_gap = renewal_gap
        self._now = unit.clock.now()
        self._plans = plans
        self._terms = {terms.plan_id: terms for terms in plans.values()}
        self._by_membership: dict[str, Holding] = {}
        self._owners: Mapping[str, Owner] = {}
        self._live_of: dict[str, Holding] = {}
        self._history: list[dict[str, Any]] = []

    async def load(self, membership_ids: Sequence[str]) -> None:
        """Locks the subscriptions of these memberships, in the order of their ids, and reads all they have."""
        await self._read(_OF_MEMBERSHIPS, set(membership_ids))

    async def _read(self, locking: Select[Any], values: set[str]) -> list[Holding]:
        rows = await self._unit.fetch(locking, {"values": Texts(values)})
        holdings = {row.id: Holding.from_row(row) for row in rows}
        if not holdings:
            return []
        for row in await self._unit.fetch(_MEMBERSHIPS, {"values": Texts(holdings)}):
            holding = holdings[row.subscription_id]
            holding.add_row(row)
            self._by_membership[row.whop_membership_id] = holding
        return list(holdings.values())

    async def adopt(self, observed: Sequence[ObservedMembership], find_owners: FindOwners) -> None:
        """Finds the owners of memberships nobody knows yet, and what all those have already who may come to have more:
        they, and customers whose ended membership comes back."""
        unknown = [
            item
            for item in observed
            if item.snapshot.membership_id not in self._by_membership
            and rules.judge(None, self._incoming(item.snapshot), from_gateway=item.from_gateway) is Verdict.APPLY
        ]
        if unknown:
            self._owners = await find_owners(self._unit, unknown)
        known = [self._by_membership.get(item.snapshot.membership_id) for item in observed]
        ended = {holding.user_id for holding in known if holding is not None and not holding.is_live}
        users = {owner.user_id for owner in self._owners.values()} | ended
        if not users:
            return
        held = {holding.user_id: holding for holding in self._by_membership.values() if holding.is_live}
        # Read after the owners are known; a row inserted by somebody else meanwhile meets the unique index instead.
        fresh = await self._read(_LIVE_OF_USERS, users - held.keys())
        self._live_of = held | {holding.user_id: holding for holding in fresh}

    def _incoming(self, snapshot: MembershipSnapshot) -> MembershipState:
        terms = self._plans.get(snapshot.plan_id)
        if terms is None:
            raise UnknownGatewayPlan(snapshot.plan_id)
        return state_from_snapshot(snapshot, terms.plan_id, terms.version)

    def apply(self, item: ObservedMembership) -> Verdict:
        """Applies one snapshot in memory."""
        incoming = self._incoming(item.snapshot)
        holding = self._by_membership.get(incoming.membership_id)
        held = holding.memberships.get(incoming.membership_id) if holding else None
        verdict = rules.judge(held, incoming, from_gateway=item.from_gateway)
        if verdict is Verdict.STALE and holding is not None and held is not None:
            learned = rules.learn(held, incoming)
            if learned != held:
                self._keep(self._home_of(holding, learned), held, learned, item.cause, item.actor)
        if verdict is not Verdict.APPLY:
            return verdict
        if holding is None and incoming.membership_id not in self._owners:
            return Verdict.REREAD
        status = rules.keep_known_status(held, incoming)
        if status != incoming.status:
            incoming = replace(incoming, status=status)
        accepted = replace(
            rules.with_own_facts(held, incoming, told_of_pause=item.snapshot.paused is not None),
            past_due_since=rules.past_due_since(held, incoming),
            needs_review=incoming.needs_review or rules.changed_hands(held, incoming),
        )
        self._keep(self._home_of(holding, accepted), held, accepted, item.cause, item.actor)
        return verdict

    def amend(self, item: Amendment) -> SubscriptionState | None:
        """Notes one amendment in memory."""
        holding = self._by_membership.get(item.membership_id)
        if holding is None:
            return None
        held = holding.memberships[item.membership_id]
        self._keep(holding, held, self._amended(held, item), item.cause, item.actor)
        return holding.state

    def _amended(self, held: MembershipState, item: Amendment) -> MembershipState:
        after = held
        if item.paused:
            after = replace(after, paused=True, paused_at=held.paused_at or self._now, resume_at=item.resume_at)
        elif item.paused is False:
            after = replace(after, paused=False, paused_at=None, resume_at=None)
        if item.superseded:
            after = replace(after, superseded_at=held.superseded_at or self._now)
        elif item.superseded is False:
            after = replace(after, superseded_at=None)
        return after

    def _keep(
        self, holding: Holding, held: MembershipState | None, after: MembershipState, cause: str, actor: str
    ) -> None:
        if after != held:
            holding.put(after)
            self._derive(holding, cause, actor)

    def _home_of(self, holding: Holding | None, accepted: MembershipState) -> Holding:
        """Where a membership belongs. One that is alive joins the user's live subscription, also when it comes back
        after its own had ended; any other stays where it is, or makes a subscription of its own."""
        user_id = holding.user_id if holding is not None else self._owners[accepted.membership_id].user_id
        alive = accepted.status in rules.MEMBERSHIP_ALIVE
        live = self._live_of.get(user_id)
        if alive and (holding is None or not holding.is_live) and live is not None and live.is_live:
            if holding is not None:
                holding.memberships.pop(accepted.membership_id, None)
            home = live
        elif holding is not None:
            home = holding
        else:
            owner = self._owners[accepted.membership_id]
            home = Holding.new(new_id("sub", self._now), owner.user_id, owner.checkout_id, self._now)
        if alive:
            self._live_of[user_id] = home
        self._by_membership[accepted.membership_id] = home
        return home

    def _derive(self, holding: Holding, cause: str, actor: str) -> None:
        memberships = list(holding.memberships.values())
        has_begun = holding.state is not None and holding.state.status is not rules.Status.INCOMPLETE
        spoke = holding.state.membership_id if holding.state is not None and has_begun else None
        speaking = rules.current_membership(memberships, spoke)
        after = rules.derive(memberships, self._terms[speaking.plan_id], spoke)
        awaited = rules.trigger_of(speaking) is Trigger.SUCCESSOR_AWAITED
        change = rules.describe(holding.state, after, successor_awaited=awaited)
        if change is None:
            return
        before, holding.state, holding.changed = holding.state, after, True
        holding.renewal_check_at = rules.renewal_check_at(after, speaking, self._renewal_gap)
        holding.version += 1
        self._remember(holding, before, after, change, cause, actor)

    def _remember(
        self,
        holding: Holding,
        before: SubscriptionState | None,
        after: SubscriptionState,
        change: rules.Change,
        cause: str,
        actor: str,
    ) -> None:
        self._history.append(
            {
                "id": new_id("sev", self._now),
                "subscription_id": holding.id,
                "version": holding.version,
                "user_id": holding.user_id,
                "kind": change.kind,
                "actor": actor,
                "cause": cause,
                "before": rules.as_json(before) if before else None,
                "after": rules.as_json(after) | ({} if before else birth_certificate(holding, self._now)),
                "at": self._now,
            }
        )
        self._unit.record(
            SubscriptionChanged(
                subscription_id=holding.id,
                user_id=holding.user_id,
                plan_id=after.plan_id,
                kind=change.kind,
                status=after.status.value,
                started=change.started,
                ended=change.ended,
                trial=after.status is rules.Status.TRIALING,
                checkout_id=holding.checkout_id,
                membership_id=after.membership_id,
                period_end=after.period_end,
                grace_until=after.grace_until,
                cause=cause,
                actor=actor,
                changed=rules.differing(before, after),
            )
        )

    async def write(self) -> None:
        """Writes what changed: at most five statements, each with a list of rows."""
        connection = await self._unit.driver_connection()
        holdings = {holding.id: holding for holding in self._by_membership.values()}
        changed = [holding for holding in holdings.values() if holding.changed and holding.state is not None]
        # Before the inserts: one that ends makes room for its successor under the "one live" index.
        updated = [{"id": h.id, **subscription_values(h, self._now, creating=False)} for h in changed if h.stored]
        await update_rows(connection, Subscription.__table__, updated)
        created = [subscription_values(holding, self._now) for holding in changed if not holding.stored]
        await insert_rows(connection, Subscription.__table__, created)
        touched = [
            membership_row(holding, membership, self._now)
            for holding in holdings.values()
            for membership in holding.touched.values()
        ]
        await insert_rows(
            connection,
            SubscriptionMembership.__table__,
            touched,
            conflict_key="whop_membership_id",
            overwrite=_MEMBERSHIP_CHANGES,
        )
        await insert_rows(connection, SubscriptionEvent.__table__, self._history)
        # Many to a notification, since each costs the commit of everybody; a payload holds 8,000 bytes.
        users = sorted({holding.user_id for holding in changed})
        for start in range(0, len(users), 200):
            self._unit.notify(ACCESS_CHANNEL, " ".join(users[start : start + 200]))


_MEMBERSHIP_CHANGES = tuple(
    column.name
    for column in SubscriptionMembership.__table__.columns
    if column.name not in {"whop_membership_id", "first_seen_at", "user_id"}
)
