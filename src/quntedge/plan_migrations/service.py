"""PlanMigrationService: moves the subscribers of earlier versions of a plan to its current terms."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from quntedge.audit.writing import audit_done
from quntedge.kit.ids import is_id, new_id
from quntedge.plan_changes.events import PlanChangeNews
from quntedge.plan_changes.versions import VersionMoves
from quntedge.plan_migrations import errors, portions, queries
from quntedge.plan_migrations.candidates import Candidate, candidates, count, last_of
from quntedge.plan_migrations.models import OPEN, PlanMigration
from quntedge.plan_migrations.moving import Moving
from quntedge.plan_migrations.offers import Terms, terms_of
from quntedge.plan_migrations.queries import MigrationView
from quntedge.plan_migrations.rules import LONGEST_NOTICE_DAYS, NOTICE_DAYS
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

PREFIX = "mig"


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for. `to_version` None is the current one; `from_version` None are all earlier ones."""

    plan_code: str
    to_version: int | None = None
    from_version: int | None = None
    notice_days: int = NOTICE_DAYS


@dataclass(slots=True)
class Group:
    """Subscribers who have the same terms. `statuses` counts them by status; `skipped` those left out, by reason."""

    version: int
    example: Candidate
    moving: int = 0
    first_at: datetime | None = None
    statuses: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a migration would do. `groups` by version and currency; `sample` are the first who would move."""

    plan_code: str
    to_version: int
    notice_days: int
    groups: Mapping[tuple[int, str], Group]
    sample: Sequence[Candidate]

    @property
    def moving(self) -> int:
        """How many would move."""
        return sum(group.moving for group in self.groups.values())


class PlanMigrationService:
    """Migrations. Opens and commits units of work of its own, apart from the subscriber of facts."""

    def __init__(self, units: UnitOfWorkFactory, moves: VersionMoves) -> None:
        self._units = units
        self._moves = moves
        self._moving = Moving(units, moves)

    async def outlook(self, ask: Ask, sample: int = 20) -> Outlook:
        """Who would move, from which price to which, and when. Changes nothing. Raises what `start` raises."""
        groups: dict[tuple[int, str], Group] = {}
        shown: list[Candidate] = []
        async with self._units() as unit:
            terms = await _checked(unit, ask)
            after: str | None = ""
            while after is not None:
                found = await candidates(
                    unit.session, terms, ask.from_version, ask.notice_days, after, unit.clock.now()
                )
                unit.session.expunge_all()  # a million of them need not fit into memory
                for one in found:
                    _add(groups, one)
                shown += [one for one in found if one.skip is None][: sample - len(shown)]
                after = last_of(found)
        return Outlook(ask.plan_code, terms.to_version, ask.notice_days, groups, shown)

    async def start(self, ask: Ask, *, by: str) -> MigrationView:
        """Begins a migration, or goes on with the one that has been asked for like this: nobody is told twice.

        `by` is written down (`service:` and a key, or `staff:` and a name). Subscribers are told by `tell`, or by a
        worker. Raises `UnknownPlan`, `NothingRenews`, `VersionNotSold`, `InvalidMigration`, and `MigrationRunning`
        when the plan's subscribers are being moved in another way.
        """
        async with self._units() as unit:
            terms = await _checked(unit, ask)
            now = unit.clock.now()
            created = await unit.session.scalar(
                insert(PlanMigration)
                .values(
                    id=new_id(PREFIX, now),
                    plan_id=terms.plan.id,
                    to_version=terms.to_version,
                    from_version=ask.from_version,
                    notice_days=ask.notice_days,
                    state="enrolling",
                    work_at=now,
                    requested_by=by,
                    created_at=now,
                )
                .on_conflict_do_nothing(
                    index_elements=["plan_id"],
                    index_where=text("state IN ('enrolling', 'running', 'withdrawing')"),
                )
                .returning(PlanMigration.id)
            )
            migration_id = created or await _resume(unit, terms, ask, now)
            if created:
                to = terms.to_version
                audit_done(unit, "plan_migration.start", "plan_migration", created, plan=ask.plan_code, to_version=to)
            await unit.commit()
        return await self.view(migration_id)

    async def count(self, ask: Ask) -> int:
        """How many subscribers have earlier terms. Raises what `start` raises."""
        async with self._units() as unit:
            return await count(unit.session, await _checked(unit, ask), ask.from_version)

    async def tell(self, migration_id: str) -> AsyncGenerator[int, None]:
        """Does what is to be done in portions, until it is done: telling of new terms, or that they will not come.

        Gives the number of subscribers of each portion. Several may do this at once.
        """
        while True:
            async with self._units() as unit:
                migration = await unit.session.get_one(PlanMigration, migration_id, with_for_update=True)
                done = await self._portion(unit, migration)
                is_over = migration.work_at is None
                await portions.finish(unit, {migration_id})
                await unit.commit()
            yield done
            if is_over:
                return

    async def _portion(self, unit: UnitOfWork, migration: PlanMigration) -> int:
        if migration.state == "enrolling":
            return await portions.enrol(unit, migration)
        if migration.state == "withdrawing":
            return await portions.give_back(unit, migration, self._moves)
        return 0

    async def withdraw(self, migration_id: str, *, by: str) -> MigrationView:
        """Takes a migration back for everybody whose move has not begun; they are told. Again is harmless.

        Raises `MigrationUnknown`, and `MigrationOver` when everybody has moved already.
        """
        async with self._units() as unit:
            migration = None
            if is_id(migration_id, PREFIX):
                migration = await unit.session.get(PlanMigration, migration_id, with_for_update=True)
            if migration is None:
                raise errors.MigrationUnknown("There is no migration with this id.")
            if migration.state == "done":
                raise errors.MigrationOver("Everybody has been moved already. Apply a catalogue with another price.")
            if migration.state in ("enrolling", "running"):
                now = unit.clock.now()
                migration.state, migration.work_at, migration.cursor = "withdrawing", now, ""
                migration.withdrawn_by, migration.withdrawn_at = by, now
                audit_done(unit, "plan_migration.withdraw", "plan_migration", migration.id)
            await unit.commit()
        return await self.view(migration_id)

    async def running(self, plan_code: str) -> MigrationView:
        """The migration of a plan that is not over. Raises `UnknownPlan` and `MigrationUnknown`."""
        async with self._units() as unit:
            terms = await terms_of(unit.session, plan_code, None)
            found = await unit.session.scalar(
                select(PlanMigration.id).where(PlanMigration.plan_id == terms.plan.id, PlanMigration.state.in_(OPEN))
            )
        if found is None:
            raise errors.MigrationUnknown(f"No subscribers of {plan_code} are being moved.")
        return await self.view(found)

    async def view(self, migration_id: str) -> MigrationView:
        """A migration as it stands. Raises `MigrationUnknown`."""
        found = None
        if is_id(migration_id, PREFIX):
            async with self._units() as unit:
                found = await queries.migration(unit.session, migration_id)
        if found is None:
            raise errors.MigrationUnknown("There is no migration with this id.")
        return found

    async def work_due(self) -> int:
        """The sweep: goes on with what is done in portions, then plans the moves that are due."""
        done = 0
        async with self._units() as unit:
            due = select(PlanMigration.id).where(PlanMigration.work_at <= unit.clock.now()).order_by(PlanMigration.id)
            ids = (await unit.session.scalars(due)).all()
        for migration_id in ids:
            async for number in self.tell(migration_id):
                done += number
        return done + await self._moving.work_due()

    async def on_plan_change_news(self, unit: UnitOfWork, facts: Sequence[PlanChangeNews]) -> None:
        """Notes how moves went."""
        await self._moving.on_plan_change_news(unit, facts)


async def _checked(unit: UnitOfWork, ask: Ask) -> Terms:
    if not NOTICE_DAYS <= ask.notice_days <= LONGEST_NOTICE_DAYS:
        raise _invalid("notice_days", f"Notice is given {NOTICE_DAYS} to {LONGEST_NOTICE_DAYS} days ahead.")
    terms = await terms_of(unit.session, ask.plan_code, ask.to_version)
    if ask.from_version is not None and not 1 <= ask.from_version < terms.to_version:
        raise _invalid("from_version", f"Subscribers move from a version before {terms.to_version}, the current one.")
    return terms


def _invalid(name: str, message: str) -> errors.InvalidMigration:
    return errors.InvalidMigration(message, errors=[{"field": name, "message": message}])


async def _resume(unit: UnitOfWork, terms: Terms, ask: Ask, now: datetime) -> str:
    """The open migration of this plan, if it is what is asked for; it looks for subscribers from the beginning."""
    held = (
        await unit.session.scalars(
            select(PlanMigration)
            .where(PlanMigration.plan_id == terms.plan.id, PlanMigration.state.in_(OPEN))
            .with_for_update()
        )
    ).one_or_none()
    if held is None:
        raise errors.MigrationRunning("A migration of this plan has just ended. Try again.")
    asked = (terms.to_version, ask.from_version, ask.notice_days)
    if held.state == "withdrawing" or asked != (held.to_version, held.from_version, held.notice_days):
        raise errors.MigrationRunning(
            f"The subscribers of {terms.plan.name} are being moved to version {held.to_version} in another way, or this"
            " is just being taken back. Withdraw that migration, or wait until it is over.",
            extra={"migration": held.id},
        )
    if held.state == "running":
        held.state, held.work_at, held.cursor = "enrolling", now, ""
    return held.id


def _add(groups: dict[tuple[int, str], Group], one: Candidate) -> None:
    group = groups.setdefault((one.version, one.old.currency), Group(one.version, one))
    if one.skip is not None:
        group.skipped[one.skip.value] = group.skipped.get(one.skip.value, 0) + 1
        return
    group.moving += 1
    group.statuses[one.status] = group.statuses.get(one.status, 0) + 1
    group.first_at = one.expected_at if group.first_at is None else min(group.first_at, one.expected_at)
