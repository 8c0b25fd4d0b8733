"""Signs that somebody who begins something with a trial has had one before, as somebody else.

They are recorded and counted. Nothing is refused because of them: the gateway decides who gets a trial.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert

from quntedge.accounts.models import AppUser
from quntedge.catalog import queries as catalog
from quntedge.gateway.acts import MethodActs, StoredMethod
from quntedge.gateway.errors import GatewayNotFound, GatewayRejected
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import TRIAL_SIGNALS
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import SubscriptionMembership
from quntedge.trials.models import CardFingerprint, Trial, TrialSignal

INSPECT = "trials.inspect"
"""Name of the job that looks at who has begun something."""

InspectLater = Callable[[UnitOfWork, list[str]], Awaitable[None]]
"""Defers, in the given unit of work, a look at each of these memberships."""

SAME_EMAIL = "same_email_normalised"
SAME_CARD = "same_card"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Buyer:
    user_id: str
    member_id: str | None
    offers_trial: bool
    mailbox: bytes | None


class TrialSignals:
    """Looks for signs after a beginning has been committed: reading cards takes a call to the gateway."""

    def __init__(
        self, units: UnitOfWorkFactory, vault: Vault, gateway: MethodActs, inspect_later: InspectLater
    ) -> None:
        self._units = units
        self._vault = vault
        self._gateway = gateway
        self._inspect_later = inspect_later

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Has each beginning looked at."""
        started = sorted({fact.membership_id for fact in facts if fact.started})
        if started:
            await self._inspect_later(unit, started)

    async def inspect(self, membership_id: str) -> int:
        """Remembers the buyer's cards and records what signs there are; how many new ones. Harmless to repeat.

        Raises `GatewayError` when the gateway cannot be asked now.
        """
        async with self._units() as unit:
            buyer = await self._buyer(unit, membership_id)
        if buyer is None:
            return 0
        methods = await self._methods(buyer)
        cards = sorted({self._vault.card_index(m.fingerprint) for m in methods if m.fingerprint is not None})
        async with self._units() as unit:
            await self._remember(unit, buyer, cards)
            recorded = await self._record(unit, buyer, membership_id, cards) if buyer.offers_trial else []
            await unit.commit()
        for kind in recorded:
            TRIAL_SIGNALS.labels(kind).inc()
        return len(recorded)

    async def _buyer(self, unit: UnitOfWork, membership_id: str) -> _Buyer | None:
        row = (
            await unit.session.execute(
                select(
                    SubscriptionMembership.user_id,
                    SubscriptionMembership.plan_id,
                    SubscriptionMembership.whop_member_id,
                    AppUser.mailbox_index,
                )
                .join(AppUser, AppUser.id == SubscriptionMembership.user_id)
                .where(SubscriptionMembership.whop_membership_id == membership_id)
            )
        ).one_or_none()
        if row is None:
            return None
        plan = (await catalog.plans_by_id(unit.session, [row.plan_id]))[row.plan_id]
        return _Buyer(row.user_id, row.whop_member_id, bool(plan.trial_days), row.mailbox_index)

    async def _methods(self, buyer: _Buyer) -> list[StoredMethod]:
        if buyer.member_id is None:
            return []
        try:
            return await self._gateway.methods_of(buyer.member_id)
        except (GatewayRejected, GatewayNotFound) as error:
            # A key without the permission never gets an answer; the other signs do without.
            log.warning("trial.cards_unreadable", user_id=buyer.user_id, reason=error.code)
            return []

    @staticmethod
    async def _remember(unit: UnitOfWork, buyer: _Buyer, cards: Sequence[bytes]) -> None:
        if cards:
            now = unit.clock.now()
            await unit.session.execute(
                insert(CardFingerprint)
                .values([{"digest": card, "user_id": buyer.user_id, "first_seen_at": now} for card in cards])
                .on_conflict_do_nothing()
            )

    @staticmethod
    async def _record(unit: UnitOfWork, buyer: _Buyer, membership_id: str, cards: Sequence[bytes]) -> list[str]:
        """Others with the same mailbox or card who have had a trial, each noted once for this beginning."""
        had_trial = exists().where(Trial.user_id == AppUser.id)
        others: dict[tuple[str, str], None] = {}
        if buyer.mailbox is not None:
            same = select(AppUser.id).where(
                AppUser.mailbox_index == buyer.mailbox, AppUser.id != buyer.user_id, had_trial
            )
            others |= dict.fromkeys((SAME_EMAIL, user_id) for user_id in await unit.session.scalars(same))
        if cards:
            same = (
                select(AppUser.id)
                .join(CardFingerprint, CardFingerprint.user_id == AppUser.id)
                .where(CardFingerprint.digest.in_(cards), AppUser.id != buyer.user_id, had_trial)
            )
            others |= dict.fromkeys((SAME_CARD, user_id) for user_id in await unit.session.scalars(same))
        if not others:
            return []
        now = unit.clock.now()
        made = await unit.session.scalars(
            insert(TrialSignal)
            .values(
                [
                    {
                        "id": new_id("tsg", now),
                        "user_id": buyer.user_id,
                        "kind": kind,
                        "other_user_id": other,
                        "whop_membership_id": membership_id,
                        "at": now,
                    }
                    for kind, other in sorted(others)
                ]
            )
            .on_conflict_do_nothing()
            .returning(TrialSignal.kind)
        )
        return list(made)
