"""TrialService: keeps an eye on trials. The gateway starts and converts them; we see to it that nobody is surprised.

A reminder goes out once for each end of a trial, when the gateway announces the end or by a sweep of ours, whichever
comes first.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, text

from quntedge.payments.events import PaymentRecorded
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import Subscription
from quntedge.trials import rules
from quntedge.trials.events import TrialEndAnnounced, TrialEnding
from quntedge.trials.models import Trial

_BATCH = 200
_CONVERSION = "subscription_cycle"
_UNMOVED = frozenset({"subscription.renewed", "subscription.paid"})
"""Changes that begin and end no trial: by far the most there are."""

_TRIALING = (
    select(
        Subscription.id,
        Subscription.user_id,
        Subscription.plan_id,
        Subscription.whop_membership_id,
        Subscription.period_start,
        Subscription.started_at,
        Subscription.trial_end,
        Subscription.cancel_at_period_end,
    )
    .where(among(Subscription.id), Subscription.status == "trialing")
    .order_by(Subscription.id)
)
# A trial is over when its subscription is something else, or goes on with another membership.
_OVER = text(
    """
    UPDATE trial SET state = CASE WHEN f.ended OR f.membership_id <> trial.whop_membership_id
                                  THEN 'ended' ELSE 'converted' END,
                     ended_at = :now, remind_at = NULL
      FROM unnest(CAST(:ids AS text[]), CAST(:memberships AS text[]), CAST(:trialing AS boolean[]),
                  CAST(:ended AS boolean[])) AS f (subscription_id, membership_id, trialing, ended)
     WHERE trial.subscription_id = f.subscription_id AND trial.state = 'running'
       AND (NOT f.trialing OR f.membership_id <> trial.whop_membership_id)
    """
)
_CONVERTED = text(
    """
    UPDATE trial SET transaction_id = p.transaction_id
      FROM unnest(CAST(:memberships AS text[]), CAST(:transactions AS text[])) AS p (membership_id, transaction_id)
     WHERE trial.whop_membership_id = p.membership_id AND trial.transaction_id IS NULL AND trial.state <> 'ended'
    """
)
_DUE = (
    select(Trial, Subscription)
    .join(Subscription, Subscription.id == Trial.subscription_id)
    .order_by(Trial.remind_at)
    .limit(_BATCH)
    .with_for_update(of=Trial, skip_locked=True)
)
_ANNOUNCED = (
    select(Trial, Subscription)
    .join(Subscription, Subscription.id == Trial.subscription_id)
    .where(among(Trial.whop_membership_id), Trial.state == "running")
    .order_by(Trial.whop_membership_id)
    .with_for_update(of=Trial)
)


class TrialService:
    """Subscribers of facts and a sweep. They work in the caller's unit of work and never commit."""

    async def on_subscription_changed(self, unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
        """Notes trials that began, moved their end, were converted or ended."""
        moved = {f.subscription_id: f for f in facts if f.kind not in _UNMOVED or f.trial}
        if not moved:
            return
        latest = list(moved.values())
        await unit.session.execute(
            _OVER,
            {
                "now": unit.clock.now(),
                "ids": Texts(f.subscription_id for f in latest),
                "memberships": Texts(f.membership_id for f in latest),
                "trialing": [f.trial for f in latest],
                "ended": [f.status in ("canceled", "expired") for f in latest],
            },
        )
        trialing = [f.subscription_id for f in latest if f.trial]
        if trialing:
            await self._keep(unit, trialing)

    async def on_payment_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Notes the payments that made subscriptions of trials."""
        paid = [
            (f.whop_membership_id, f.transaction_id)
            for f in facts
            if f.newly_paid and f.total_minor and f.billing_reason == _CONVERSION and f.whop_membership_id
        ]
        if paid:
            # The first of a membership counts, should there be two in one batch.
            first = dict(reversed(paid))
            await unit.run(_CONVERTED, {"memberships": Texts(first.keys()), "transactions": Texts(first.values())})

    async def on_end_announced(self, unit: UnitOfWork, facts: Sequence[TrialEndAnnounced]) -> None:
        """The gateway announces ends of trials."""
        named = {"values": [fact.membership_id for fact in facts]}
        for trial, subscription in await unit.session.execute(_ANNOUNCED, named):
            _announce(unit, trial, subscription)

    async def remind(self, unit: UnitOfWork, now: datetime) -> int:
        """Announces the ends that come soon and that nobody has announced; returns how many trials were due."""
        rows = (await unit.session.execute(_DUE.where(Trial.remind_at <= now))).all()
        for trial, subscription in rows:
            _announce(unit, trial, subscription)
        return len(rows)

    @staticmethod
    async def _keep(unit: UnitOfWork, subscription_ids: Sequence[str]) -> None:
        rows = (await unit.session.execute(_TRIALING, {"values": list(subscription_ids)})).all()
        held = await unit.session.scalars(
            select(Trial).where(among(Trial.whop_membership_id)).with_for_update(),
            {"values": [row.whop_membership_id for row in rows]},
        )
        trials = {trial.whop_membership_id: trial for trial in held}
        for row in rows:
            trial = trials.get(row.whop_membership_id)
            if trial is None:
                trial = Trial(
                    whop_membership_id=row.whop_membership_id,
                    subscription_id=row.id,
                    user_id=row.user_id,
                    plan_id=row.plan_id,
                    started_at=row.period_start or row.started_at,
                )
                unit.session.add(trial)
            trial.state, trial.ended_at, trial.trial_end = "running", None, row.trial_end
            trial.remind_at = rules.reminder_at(
                trial.started_at, row.trial_end, trial.announced_end, will_convert=not row.cancel_at_period_end
            )


def _announce(unit: UnitOfWork, trial: Trial, subscription: Subscription) -> None:
    """Tells of an end once. Of one that will not be followed by a charge there is nothing to tell."""
    trial.remind_at = None
    end = trial.trial_end
    stands = subscription.status == "trialing" and subscription.whop_membership_id == trial.whop_membership_id
    if end is None or not stands or subscription.cancel_at_period_end or not rules.is_news(end, trial.announced_end):
        return
    trial.announced_end = end
    unit.record(
        TrialEnding(
            membership_id=trial.whop_membership_id,
            subscription_id=trial.subscription_id,
            user_id=trial.user_id,
            plan_id=trial.plan_id,
            trial_end=end,
        )
    )
