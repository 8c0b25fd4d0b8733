"""/api/admin/plan-migrations…: moving subscribers to their plan's current terms."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.api.models import In, MoneyOut, Out
from quntedge.api.paging import PagingParams
from quntedge.audit.log import about
from quntedge.edge.audited import audited
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.ids import is_id
from quntedge.kit.paging import InvalidCursor
from quntedge.plan_migrations import queries
from quntedge.plan_migrations.candidates import Candidate
from quntedge.plan_migrations.queries import MigrationView, SubscriberView
from quntedge.plan_migrations.rules import LONGEST_NOTICE_DAYS, NOTICE_DAYS
from quntedge.plan_migrations.service import Ask, Group, Outlook

router = APIRouter(prefix="/api/admin/plan-migrations", tags=["plan-migrations"])

READ, WRITE = "migrations:read", "migrations:write"
_reader = service(READ)
_writer = service(WRITE)
Mover = Annotated[ApiKeyCaller, Depends(_writer)]

_EXAMPLE = "mig_01k4a2f0e8f9xa3s6m1q2r7v5z"


class MigrationIn(In):
    """Whom to move, and to what. Without `to_version` the current one, without `from_version` all earlier ones."""

    plan: str = Field(max_length=64, examples=["monthly"])
    to_version: int | None = Field(None, ge=1, le=1_000_000)
    from_version: int | None = Field(None, ge=1, le=1_000_000)
    notice_days: int = Field(
        NOTICE_DAYS,
        ge=NOTICE_DAYS,
        le=LONGEST_NOTICE_DAYS,
        description="How many days before a higher price its subscribers are told.",
    )

    def ask(self) -> Ask:
        """The request as the service knows it."""
        return Ask(self.plan, self.to_version, self.from_version, self.notice_days)


class MigrationGroupOut(Out):
    """Subscribers with the same terms. `skipped` counts those who stay, by reason."""

    from_version: int
    old_price: MoneyOut
    new_price: MoneyOut | None
    rises: bool
    subscribers: int
    first_move_at: datetime | None
    statuses: Mapping[str, int]
    skipped: Mapping[str, int]

    @classmethod
    def of(cls, group: Group) -> "MigrationGroupOut":
        """The group as it is sent."""
        new = group.example.new
        return cls(
            from_version=group.version,
            old_price=MoneyOut.of(group.example.old),
            new_price=None if new is None else MoneyOut.of(new),
            rises=group.example.rises,
            subscribers=group.moving,
            first_move_at=group.first_at,
            statuses=group.statuses,
            skipped=group.skipped,
        )


class MigrationCandidateOut(Out):
    """Somebody who would move, at the first end of a period at `move_at` or later."""

    subscription: str
    user: str
    status: str
    old_price: MoneyOut
    new_price: MoneyOut | None
    move_at: datetime

    @classmethod
    def of(cls, one: Candidate) -> "MigrationCandidateOut":
        """The subscriber as they are sent."""
        return cls(
            subscription=one.subscription_id,
            user=one.user_id,
            status=one.status,
            old_price=MoneyOut.of(one.old),
            new_price=None if one.new is None else MoneyOut.of(one.new),
            move_at=one.expected_at,
        )


class MigrationOutlookOut(Out):
    """What a migration would do. `sample` are the first of those who would move."""

    plan: str
    to_version: int
    notice_days: int
    subscribers: int
    groups: list[MigrationGroupOut]
    sample: list[MigrationCandidateOut]

    @classmethod
    def of(cls, found: Outlook) -> "MigrationOutlookOut":
        """The outlook as it is sent."""
        return cls(
            plan=found.plan_code,
            to_version=found.to_version,
            notice_days=found.notice_days,
            subscribers=found.moving,
            groups=[MigrationGroupOut.of(found.groups[key]) for key in sorted(found.groups)],
            sample=[MigrationCandidateOut.of(one) for one in found.sample],
        )


class MigrationOut(Out):
    """A migration. `state`: enrolling, running, done, withdrawing or withdrawn.

    `subscribers` counts them by state: waiting, moving, moved, left, withdrawn, skipped; `reasons` says why some do
    not move.
    """

    id: str = Field(examples=[_EXAMPLE])
    plan: str
    to_version: int
    from_version: int | None
    notice_days: int
    state: str = Field(examples=["running"])
    subscribers: Mapping[str, int]
    reasons: Mapping[str, int]
    next_move_at: datetime | None
    requested_by: str
    created_at: datetime
    withdrawn_by: str | None
    ended_at: datetime | None

    @classmethod
    def of(cls, view: MigrationView) -> "MigrationOut":
        """The migration as it is sent."""
        return cls(
            id=view.id,
            plan=view.plan_code,
            to_version=view.to_version,
            from_version=view.from_version,
            notice_days=view.notice_days,
            state=view.state,
            subscribers=view.counts,
            reasons=view.reasons,
            next_move_at=view.next_move_at,
            requested_by=view.requested_by,
            created_at=view.created_at,
            withdrawn_by=view.withdrawn_by,
            ended_at=view.ended_at,
        )


class MigrationListOut(Out):
    """Migrations, newest first."""

    data: list[MigrationOut]
    next_cursor: str | None


class MigrationSubscriberOut(Out):
    """A subscriber of a migration. `move_at` is when they move, as far as is known; `reason` why they do not."""

    subscription: str
    user: str
    state: str
    reason: str | None
    from_version: int
    old_price: MoneyOut
    new_price: MoneyOut | None
    noticed_at: datetime | None
    move_at: datetime | None
    settled_at: datetime | None

    @classmethod
    def of(cls, view: SubscriberView) -> "MigrationSubscriberOut":
        """The subscriber as they are sent."""
        return cls(
            subscription=view.subscription_id,
            user=view.user_id,
            state=view.state,
            reason=view.reason,
            from_version=view.from_version,
            old_price=MoneyOut.of(view.old),
            new_price=None if view.new is None else MoneyOut.of(view.new),
            noticed_at=view.noticed_at,
            move_at=view.move_at,
            settled_at=view.settled_at,
        )


class MigrationSubscriberListOut(Out):
    """Subscribers in the order of their ids."""

    data: list[MigrationSubscriberOut]
    next_cursor: str | None


@router.get("", dependencies=[Depends(_reader)], responses=problems(400, 401, 403, 503), summary="All migrations")
async def list_migrations(unit: Unit, paging: PagingParams) -> MigrationListOut:
    """Newest first, with how many subscribers are in which state."""
    page = await queries.migrations(unit.session, paging.cursor, paging.limit)
    return MigrationListOut(data=[MigrationOut.of(view) for view in page.data], next_cursor=page.next_cursor)


@router.post(
    "/preview",
    dependencies=[Depends(_reader)],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Who would move",
)
async def preview_migration(request: Request, body: MigrationIn) -> MigrationOutlookOut:
    """Who would move, from which price to which, and when. Changes nothing, and tells nobody."""
    return MigrationOutlookOut.of(await services_of(request).plan_migrations.outlook(body.ask()))


@router.post(
    "",
    status_code=202,
    dependencies=[audited("plan_migration.start")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Move subscribers",
)
async def start_migration(request: Request, caller: Mover, body: MigrationIn) -> MigrationOut:
    """Subscribers are told at once, and move when their period ends.

    The same request again goes on with the same migration, and tells those who have come since: nobody is told twice.
    """
    about("plan", body.plan)
    view = await services_of(request).plan_migrations.start(body.ask(), by=_actor(caller))
    return MigrationOut.of(view)


@router.get(
    "/{migration}", dependencies=[Depends(_reader)], responses=problems(401, 403, 404, 503), summary="One migration"
)
async def get_migration(request: Request, migration: str) -> MigrationOut:
    """How far it is."""
    return MigrationOut.of(await services_of(request).plan_migrations.view(migration))


@router.get(
    "/{migration}/subscribers",
    dependencies=[Depends(_reader)],
    responses=problems(400, 401, 403, 404, 422, 503),
    summary="The subscribers of a migration",
)
async def list_migration_subscribers(
    request: Request,
    unit: Unit,
    paging: PagingParams,
    migration: str,
    state: Annotated[
        str | None, Query(pattern=f"^({'|'.join(queries.ITEM_STATES)})$", description="Only those in this state.")
    ] = None,
) -> MigrationSubscriberListOut:
    """Each with prices, date and state. `next_cursor` is the last subscription's id."""
    await services_of(request).plan_migrations.view(migration)
    after = paging.cursor or ""
    if after and not is_id(after, "sub"):
        raise InvalidCursor("The cursor is not one that this list has given.")
    found = await queries.subscribers(unit.session, migration, state, after, paging.limit + 1)
    shown = found[: paging.limit]
    return MigrationSubscriberListOut(
        data=[MigrationSubscriberOut.of(view) for view in shown],
        next_cursor=shown[-1].subscription_id if len(found) > len(shown) else None,
    )


@router.post(
    "/{migration}/withdraw",
    status_code=202,
    dependencies=[audited("plan_migration.withdraw", "plan_migration", "migration")],
    responses=problems(401, 403, 404, 409, 503),
    summary="Take a migration back",
)
async def withdraw_migration(request: Request, caller: Mover, migration: str) -> MigrationOut:
    """Everybody whose move has not begun keeps their terms, and is told so. Again is harmless."""
    view = await services_of(request).plan_migrations.withdraw(migration, by=_actor(caller))
    return MigrationOut.of(view)


def _actor(caller: ApiKeyCaller) -> str:
    return f"service:{caller.key_id}"
