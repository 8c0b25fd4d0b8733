"""What is done to thousands of subscribers: telling them of new terms, and telling them that they keep the old ones.

Portion by portion, each its own transaction: whoever dies in between is followed by somebody who goes on from there,
and nobody is told twice.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.plan_changes.versions import VersionMoves
from quntedge.plan_migrations.candidates import Candidate, candidates, last_of
from quntedge.plan_migrations.events import NewTermsAnnounced, NewTermsWithdrawn
from quntedge.plan_migrations.models import UNSETTLED, PlanMigration, PlanMigrationItem
from quntedge.plan_migrations.offers import terms_of_plan
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.models import Subscription

_WITHDRAWN_AT_ONCE = 100

OVERTAKEN = "system:newer_version"
"""Who takes a migration back when its terms are not on sale any more: nobody can be moved to them."""


async def enrol(unit: UnitOfWork, migration: PlanMigration) -> int:
    """Tells the next portion, of a migration that is held locked; how many subscribers were looked at.

    After the last portion the migration is running.
    """
    now = unit.clock.now()
    terms = await terms_of_plan(unit.session, migration.plan_id, migration.to_version)
    if terms is None:
        migration.state, migration.cursor = "withdrawing", ""
        migration.withdrawn_by, migration.withdrawn_at = OVERTAKEN, now
        return 0
    found = await candidates(unit.session, terms, migration.from_version, migration.notice_days, migration.cursor, now)
    told = await _insert(unit, migration.id, found, now)
    for one in found:
        if one.subscription_id in told and one.skip is None and one.new is not None and one.new != one.old:
            unit.record(
                NewTermsAnnounced(
                    migration_id=migration.id,
                    subscription_id=one.subscription_id,
                    user_id=one.user_id,
                    plan_id=migration.plan_id,
                    currency=one.old.currency,
                    old_price_minor=one.old.amount_minor,
                    new_price_minor=one.new.amount_minor,
                    from_at=one.expected_at,
                )
            )
    following = last_of(found)
    if following is None:
        migration.state, migration.work_at = "running", None
    else:
        migration.cursor = following
    return len(found)


async def _insert(unit: UnitOfWork, migration_id: str, found: list[Candidate], now: datetime) -> set[str]:
    """Writes a portion; the subscriptions that are new, or could not be moved when they were looked at before."""
    if not found:
        return set()
    statement = insert(PlanMigrationItem).values([_item(migration_id, one, now) for one in found])
    changed = {name: statement.excluded[name] for name in _item(migration_id, found[0], now) if name not in _KEY}
    written = await unit.session.scalars(
        statement.on_conflict_do_update(
            index_elements=list(_KEY), set_=changed, where=PlanMigrationItem.state == "skipped"
        ).returning(PlanMigrationItem.subscription_id)
    )
    return set(written.all())


_KEY = ("migration_id", "subscription_id")


def _item(migration_id: str, one: Candidate, now: datetime) -> dict[str, Any]:
    is_told = one.skip is None
    return {
        "migration_id": migration_id,
        "subscription_id": one.subscription_id,
        "user_id": one.user_id,
        "from_version": one.version,
        "currency": one.old.currency,
        "old_price_minor": one.old.amount_minor,
        "new_price_minor": None if one.new is None else one.new.amount_minor,
        "state": "waiting" if is_told else "skipped",
        "reason": None if one.skip is None else one.skip.value,
        "noticed_at": now if is_told else None,
        "not_before": one.not_before if is_told else None,
        "move_at": one.expected_at if is_told else None,
        "due_at": one.look_at if is_told else None,
        "settled_at": None if is_told else now,
    }


async def give_back(unit: UnitOfWork, migration: PlanMigration, moves: VersionMoves) -> int:
    """Tells the next portion of those not moved yet that they keep their terms; how many there were.

    The migration is held locked; after the last portion it is withdrawn. Whose move has begun moves.
    """
    now = unit.clock.now()
    ids = (
        await unit.session.scalars(
            select(PlanMigrationItem.subscription_id)
            .where(
                PlanMigrationItem.migration_id == migration.id,
                PlanMigrationItem.state.in_(UNSETTLED),
                PlanMigrationItem.subscription_id > migration.cursor,
            )
            .order_by(PlanMigrationItem.subscription_id)
            .limit(_WITHDRAWN_AT_ONCE)
        )
    ).all()
    # Subscriptions before what hangs on them, in the order of their ids: as everybody locks them.
    await unit.session.execute(
        select(Subscription.id).where(Subscription.id.in_(ids)).order_by(Subscription.id).with_for_update()
    )
    items = await unit.session.scalars(
        select(PlanMigrationItem)
        .where(
            PlanMigrationItem.migration_id == migration.id,
            PlanMigrationItem.subscription_id.in_(ids),
            PlanMigrationItem.state.in_(UNSETTLED),
        )
        .order_by(PlanMigrationItem.subscription_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for item in items:
        if item.state == "moving" and item.change_id is not None and not await moves.take_back(unit, item.change_id):
            continue
        item.state, item.due_at, item.settled_at = "withdrawn", None, now
        if item.new_price_minor is not None and item.new_price_minor != item.old_price_minor:
            unit.record(
                NewTermsWithdrawn(
                    migration_id=migration.id,
                    subscription_id=item.subscription_id,
                    user_id=item.user_id,
                    plan_id=migration.plan_id,
                    currency=item.currency,
                    price_minor=item.old_price_minor,
                )
            )
    if len(ids) < _WITHDRAWN_AT_ONCE:
        migration.state, migration.work_at, migration.ended_at = "withdrawn", None, now
    else:
        migration.cursor = ids[-1]
    return len(ids)


async def overtaken(unit: UnitOfWork, migration_id: str) -> None:
    """Has a running migration taken back because the plan has got newer terms, or was archived."""
    now = unit.clock.now()
    await unit.session.execute(
        update(PlanMigration)
        .where(PlanMigration.id == migration_id, PlanMigration.state == "running")
        .values(state="withdrawing", work_at=now, cursor="", withdrawn_by=OVERTAKEN, withdrawn_at=now)
        .execution_options(synchronize_session=False)
    )


async def finish(unit: UnitOfWork, migration_ids: set[str]) -> None:
    """Ends those of these migrations that have told everybody and wait for nobody any more."""
    if not migration_ids:
        return
    await unit.session.flush()
    waiting = select(PlanMigrationItem.migration_id).where(
        PlanMigrationItem.migration_id == PlanMigration.id, PlanMigrationItem.state.in_(UNSETTLED)
    )
    await unit.session.execute(
        update(PlanMigration)
        .where(PlanMigration.id.in_(sorted(migration_ids)), PlanMigration.state == "running", ~waiting.exists())
        .values(state="done", ended_at=unit.clock.now())
        .execution_options(synchronize_session=False)
    )
