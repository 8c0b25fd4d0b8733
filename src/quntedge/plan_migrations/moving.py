"""What falls due by itself: planning the moves of those whose period ends soon, and noting what became of them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.kit.logging import get_logger
from quntedge.plan_changes.events import PlanChangeNews, Stage
from quntedge.plan_changes.models import OPEN as OPEN_CHANGES
from quntedge.plan_changes.models import PlanChange
from quntedge.plan_changes.versions import VersionMoves, is_changing
from quntedge.plan_migrations import rules
from quntedge.plan_migrations.candidates import standing_of
from quntedge.plan_migrations.models import PlanMigration, PlanMigrationItem
from quntedge.plan_migrations.offers import terms_of_plan
from quntedge.plan_migrations.portions import finish, overtaken
from quntedge.plan_migrations.rules import Begin, Leave, Left, Look
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import Subscription

_BATCH = 100

log = get_logger(__name__)

Key = tuple[str, str]
"""Migration and subscription."""


class Moving:
    """The sweep of those who are due, and the subscriber that hears how their moves went."""

    def __init__(self, units: UnitOfWorkFactory, moves: VersionMoves) -> None:
        self._units = units
        self._moves = moves

    async def work_due(self) -> int:
        """Looks at everybody who is due, each in a transaction of their own; how many there were."""
        done = 0
        while due := await self._due():
            for key in due:
                await self._look(key)
            done += len(due)
        return done

    async def _due(self) -> list[Key]:
        async with self._units() as unit:
            rows = await unit.session.execute(
                select(PlanMigrationItem.migration_id, PlanMigrationItem.subscription_id)
                .where(PlanMigrationItem.due_at <= unit.clock.now())
                .order_by(PlanMigrationItem.due_at, PlanMigrationItem.subscription_id)
                .limit(_BATCH)
            )
            return [(row.migration_id, row.subscription_id) for row in rows]

    async def _look(self, key: Key) -> None:
        try:
            async with self._units() as unit:
                await self._settle(unit, key)
                await unit.commit()
        except Exception:
            # Put off and kept, so that the others do not wait for somebody to mend this one.
            log.exception("plan_migration.failed_unexpectedly", migration_id=key[0], subscription_id=key[1])
            async with self._units() as unit:
                item = await unit.session.get_one(PlanMigrationItem, key, with_for_update=True)
                if item.due_at is not None:
                    item.due_at = unit.clock.now() + rules.LOOK_AGAIN
                await unit.commit()

    async def _settle(self, unit: UnitOfWork, key: Key) -> None:
        now = unit.clock.now()
        row = await unit.session.get_one(Subscription, key[1], with_for_update=True, populate_existing=True)
        item = await unit.session.get_one(PlanMigrationItem, key, with_for_update=True, populate_existing=True)
        if item.due_at is None or item.due_at > now:
            return  # somebody else has looked
        if item.state == "moving":
            change = await unit.session.get_one(PlanChange, item.change_id)
            if change.state in OPEN_CHANGES:
                item.due_at = max(change.effective_at or now, now) + rules.LOOK_AGAIN
                return
            if change.state == "done":
                await _close(unit, item, "moved")
                return
            # It came to nothing: the buyer kept the old membership, cancelled, or chose another plan.
            item.state = "waiting"
        migration = await unit.session.get_one(PlanMigration, item.migration_id)
        if migration.state in ("withdrawing", "withdrawn"):
            await _close(unit, item, "withdrawn")
            return
        await self._advance(unit, migration, item, row)

    async def _advance(
        self, unit: UnitOfWork, migration: PlanMigration, item: PlanMigrationItem, row: Subscription
    ) -> None:
        now = unit.clock.now()
        standing = standing_of(row, is_changing=await is_changing(unit.session, row.id))
        following = rules.next_step(standing, migration.plan_id, migration.to_version, item.not_before or now, now)
        match following:
            case Look(at):
                item.due_at = at
                item.move_at = rules.expected_at(row.period_end, item.not_before or now)
            case Leave(reason):
                item.reason = reason.value
                await _close(unit, item, "left")
            case Begin(at):
                terms = await terms_of_plan(unit.session, migration.plan_id, migration.to_version)
                if terms is None:
                    await overtaken(unit, migration.id)
                    item.due_at = now + rules.MARGIN
                    return
                item.change_id = await self._begin(unit, migration, terms.plan, item, row)
                item.state, item.move_at, item.due_at = "moving", at, at + rules.LOOK_AGAIN

    async def _begin(
        self, unit: UnitOfWork, migration: PlanMigration, plan: PlanView, item: PlanMigrationItem, row: Subscription
    ) -> str:
        bought = await catalog.terms_of(unit.session, plan.id, item.from_version, item.currency)
        offer = await catalog.terms_of(unit.session, plan.id, migration.to_version, item.currency)
        if bought is None or offer is None:
            raise LookupError(f"the terms of {plan.code} in {item.currency} have disappeared")
        return await self._moves.begin(unit, row, plan, bought, offer, actor=migration.requested_by)

    async def on_plan_change_news(self, unit: UnitOfWork, facts: Sequence[PlanChangeNews]) -> None:
        """Notes moves that are done, and those that could not be paid. Other changes cost nothing."""
        ended = {
            fact.change_id: fact
            for fact in facts
            if fact.new_version and fact.stage in (Stage.DONE_LATER, Stage.FAILED)
        }
        if not ended:
            return
        items = await unit.session.scalars(
            select(PlanMigrationItem)
            .where(PlanMigrationItem.change_id.in_(sorted(ended)), PlanMigrationItem.state == "moving")
            .order_by(PlanMigrationItem.migration_id, PlanMigrationItem.subscription_id)
            .with_for_update()
        )
        for item in items:
            fact = ended[str(item.change_id)]
            if fact.stage is Stage.DONE_LATER:
                await _close(unit, item, "moved")
            elif fact.ended:
                item.reason = Left.NOT_PAID.value
                await _close(unit, item, "left")
            else:
                item.due_at = unit.clock.now() + rules.MARGIN


async def _close(unit: UnitOfWork, item: PlanMigrationItem, state: str) -> None:
    item.state, item.due_at, item.settled_at = state, None, unit.clock.now()
    await finish(unit, {item.migration_id})


async def open_item(session: AsyncSession, subscription_id: str) -> PlanMigrationItem | None:
    """What a subscriber has been told of new terms that have not begun."""
    found: PlanMigrationItem | None = await session.scalar(
        select(PlanMigrationItem)
        .where(
            PlanMigrationItem.subscription_id == subscription_id,
            PlanMigrationItem.state.in_(("waiting", "moving")),
            PlanMigrationItem.new_price_minor != PlanMigrationItem.old_price_minor,
        )
        .order_by(PlanMigrationItem.noticed_at.desc())
        .limit(1)
    )
    return found


def moves_at(item: PlanMigrationItem, now: datetime) -> datetime:
    """When a subscriber moves, as far as is known."""
    return item.move_at or item.not_before or now
