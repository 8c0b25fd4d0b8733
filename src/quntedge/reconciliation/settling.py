"""What people say about differences, and the closing of months."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.audit.writing import audit_done
from quntedge.bookkeeping.feature import Bookkeeping
from quntedge.kit.money import Money
from quntedge.ledger.rules import Account
from quntedge.reconciliation import queries
from quntedge.reconciliation.errors import (
    AlreadyResolved,
    ApprovalByProposer,
    CannotBeAdjusted,
    DifferenceNotFound,
    InvalidResolution,
    InvalidWindow,
    NothingProposed,
    PeriodClosed,
    PeriodNotReady,
)
from quntedge.reconciliation.exchanged import exchange_of
from quntedge.reconciliation.models import MoneyDifference, MoneyPeriod
from quntedge.reconciliation.queries import Filter
from quntedge.reconciliation.rules import BY_HAND, Measure, Resolution, at_gateway, bounds_of, gain_of
from quntedge.storage.unit_of_work import UnitOfWork

_NOTE_LENGTH: Final = range(3, 1001)
_LISTED: Final = 20
_NOT_EXCHANGED: Final = (
    "This is not one payment exchanged into one other currency: ask Whop what was moved, and explain it."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody says about a difference."""

    resolution: str
    note: str
    by: str


class Settling:
    """Works in the caller's unit of work and never commits."""

    def __init__(self, bookkeeping: Bookkeeping) -> None:
        self._bookkeeping = bookkeeping

    async def resolve(self, unit: UnitOfWork, difference_id: str, verdict: Verdict) -> Row[Any]:
        """Writes down what became of a difference; the row then.

        `adjusted` only proposes it, because it posts to the ledger: the difference stays open until somebody else
        agrees. Of what was exchanged it posts both currencies as the gateway has moved them. Raises
        `InvalidResolution`, `DifferenceNotFound`, `AlreadyResolved`, `CannotBeAdjusted`.
        """
        note = verdict.note.strip()
        if verdict.resolution not in BY_HAND or len(note) not in _NOTE_LENGTH:
            words = ", ".join(BY_HAND)
            raise InvalidResolution(f"Say one of {words}, with a note of 3 to 1,000 characters.")
        found = await self._locked(unit, difference_id)
        if found.resolution is not None:
            raise AlreadyResolved(f"This difference was resolved as {found.resolution} by {found.resolved_by}.")
        now = unit.clock.now()
        if verdict.resolution == Resolution.ADJUSTED:
            await self._check_adjustable(unit, found)
            values = {"proposed_by": verdict.by, "proposed_at": now, "note": note}
        else:
            values = {"resolution": verdict.resolution, "resolved_at": now, "resolved_by": verdict.by, "note": note}
            values |= {"proposed_by": None, "proposed_at": None}
        await self._write_down(unit, difference_id, values)
        audit_done(
            unit, "reconciliation.resolve", "money_difference", difference_id, resolution=str(verdict.resolution)
        )
        return await queries.difference(unit, difference_id)

    async def approve(self, unit: UnitOfWork, difference_id: str, by: str) -> Row[Any]:
        """Agrees that a difference is adjusted; the row then. What the gateway has more than the ledger is posted in
        the names of whoever proposed it and of `by`.

        Raises `DifferenceNotFound`, `AlreadyResolved`, `NothingProposed`, `ApprovalByProposer`, `CannotBeAdjusted`.
        """
        found = await self._proposed(unit, difference_id)
        if found.proposed_by == by:
            raise ApprovalByProposer("You proposed this yourself. Have somebody else approve it, or reject it.")
        now = unit.clock.now()
        await self._post(unit, found, by, now)
        await self._write_down(
            unit, difference_id, {"resolution": Resolution.ADJUSTED, "resolved_at": now, "resolved_by": by}
        )
        audit_done(unit, "reconciliation.approve", "money_difference", difference_id, proposed_by=found.proposed_by)
        return await queries.difference(unit, difference_id)

    async def _post(self, unit: UnitOfWork, found: Row[Any], by: str, now: datetime) -> None:
        cause = f"reconciliation:{found.id}"
        if found.measure == Measure.CONVERSION:
            exchange = await exchange_of(unit, found.object_id, cause)
            if exchange is None:
                raise CannotBeAdjusted(_NOT_EXCHANGED)
            await self._bookkeeping.conversions.post(unit, exchange, agreed=True)
            return
        gain = _gain(found)
        clearing, written_off = Account.GATEWAY_CLEARING, Account.ADJUSTMENTS
        await self._bookkeeping.service.post_adjustment(
            unit,
            found.id,
            debit=clearing if gain > 0 else written_off,
            credit=written_off if gain > 0 else clearing,
            amount=Money(abs(gain), found.currency),
            reason=found.note,
            requested_by=found.proposed_by,
            approved_by=by,
            occurred_at=now,
            cause=cause,
        )

    async def reject(self, unit: UnitOfWork, difference_id: str, by: str) -> Row[Any]:
        """Turns a proposed adjustment down; whoever proposed it may, too. The difference stays open. The row then.

        Raises `DifferenceNotFound`, `AlreadyResolved`, `NothingProposed`.
        """
        found = await self._proposed(unit, difference_id)
        await self._write_down(unit, difference_id, {"proposed_by": None, "proposed_at": None, "note": None})
        audit_done(
            unit, "reconciliation.reject", "money_difference", difference_id, proposed_by=found.proposed_by, by=by
        )
        return await queries.difference(unit, difference_id)

    async def _proposed(self, unit: UnitOfWork, difference_id: str) -> Row[Any]:
        found = await self._locked(unit, difference_id)
        if found.resolution is not None:
            raise AlreadyResolved(f"This difference was resolved as {found.resolution} by {found.resolved_by}.")
        if found.proposed_by is None:
            raise NothingProposed(
                "Nobody has proposed to adjust this difference, or its amounts have changed since; propose it anew."
            )
        return found

    @staticmethod
    async def _check_adjustable(unit: UnitOfWork, found: Row[Any]) -> None:
        if found.measure != Measure.CONVERSION:
            _gain(found)
        elif found.transaction_id is None or await exchange_of(unit, found.object_id, "") is None:
            raise CannotBeAdjusted(_NOT_EXCHANGED)

    @staticmethod
    async def _write_down(unit: UnitOfWork, difference_id: str, values: dict[str, Any]) -> None:
        statement = update(MoneyDifference).where(MoneyDifference.id == difference_id).values(**values)
        await (await unit.connection()).execute(statement)

    async def assign(self, unit: UnitOfWork, difference_id: str, owner: str) -> Row[Any]:
        """Says who looks at a difference. Raises `InvalidResolution`, `DifferenceNotFound`, `AlreadyResolved`."""
        name = owner.strip()
        if not 1 <= len(name) <= 100:
            raise InvalidResolution("An owner is a name of at most 100 characters.")
        found = await self._locked(unit, difference_id)
        if found.resolution is not None:
            raise AlreadyResolved(f"This difference was resolved as {found.resolution} by {found.resolved_by}.")
        await self._write_down(unit, difference_id, {"owner": name})
        audit_done(unit, "reconciliation.assign", "money_difference", difference_id)
        return await queries.difference(unit, difference_id)

    @staticmethod
    async def _locked(unit: UnitOfWork, difference_id: str) -> Row[Any]:
        query = select(MoneyDifference.__table__).where(MoneyDifference.id == difference_id).with_for_update()
        found = (await (await unit.connection()).execute(query)).one_or_none()
        if found is None:
            raise DifferenceNotFound(f"There is no difference {difference_id}.")
        return found

    async def close(self, unit: UnitOfWork, period: str, by: str) -> Row[Any]:
        """Closes a month; its row. Raises `InvalidWindow`, `PeriodClosed`, and `PeriodNotReady` saying what is in the
        way: no run that compared it all after it had ended, sums that do not agree, or differences nobody explained."""
        try:
            since, until = bounds_of(period)
        except ValueError as error:
            raise InvalidWindow("A period is a month such as 2026-10.") from error
        run = await queries.covering(unit, since, until)
        if run is None:
            raise PeriodNotReady(
                f"Nothing has compared all of {period} since three days after its end, when all its fees are known;"
                f" run `quntedge reconcile --since {since:%Y-%m-%d} --until {until:%Y-%m-%d}`."
            )
        if not run.feed_read:
            raise PeriodNotReady("The gateway does not let this key read its movements, so fees were not compared.")
        unexplained = [row for row in await queries.sums(unit, run.id) if row.unexplained_minor]
        if unexplained:
            shown = ", ".join(
                f"{row.measure} {Money(row.unexplained_minor, row.currency)}" for row in unexplained[:_LISTED]
            )
            raise PeriodNotReady(
                f"The sums of {run.id} do not agree although no difference says why: {shown}. Compare the month again;"
                " should that not help, the comparison itself is wrong, and its report is what its makers need."
            )
        await self._refuse_open(unit, period)
        return await self._write(unit, period, run.id, by, unit.clock.now())

    @staticmethod
    async def _refuse_open(unit: UnitOfWork, period: str) -> None:
        page = await queries.differences(unit, Filter(period=period), None, _LISTED)
        if not page.data:
            return
        listed = [
            {
                "id": row.id,
                "cause": row.cause,
                "object_id": row.object_id,
                "amount": Money(row.amount_minor, row.currency).to_json(),
            }
            for row in page.data
        ]
        number = f"more than {_LISTED}" if page.next_cursor else str(len(listed))
        shown = "; ".join(
            f"{row.id} {row.cause} {row.object_id} {Money(row.amount_minor, row.currency)}" for row in page.data
        )
        raise PeriodNotReady(
            f"{number} difference{'s' if len(listed) > 1 else ''} of {period} not explained: {shown}."
            " `quntedge reconcile show ID` shows one, `quntedge reconcile resolve ID` says what became of it.",
            extra={"differences": listed},
        )

    @staticmethod
    async def _write(unit: UnitOfWork, period: str, run_id: str, by: str, at: datetime) -> Row[Any]:
        statement = (
            insert(MoneyPeriod)
            .values(period=period, run_id=run_id, closed_at=at, closed_by=by)
            .on_conflict_do_nothing()
            .returning(*MoneyPeriod.__table__.c)
        )
        made = (await (await unit.connection()).execute(statement)).one_or_none()
        if made is None:
            raise PeriodClosed(f"{period} is closed already.")
        audit_done(unit, "reconciliation.close_period", "period", period, run=run_id)
        return made


def _gain(found: Row[Any]) -> int:
    """What is to be posted on our balance at the gateway, in minor units. Raises `CannotBeAdjusted`."""
    there = at_gateway(found.gateway_minor, found.moved_minor, found.ledger_minor)
    if there is None or found.ledger_minor is None or there == found.ledger_minor:
        raise CannotBeAdjusted("The gateway and the ledger agree here, or one of them tells nothing.")
    if found.measure in (Measure.TAX, Measure.PAYOUT):
        raise CannotBeAdjusted(
            "Tax and payouts are not written off: mend the record, or post an entry of your own and explain it."
        )
    return gain_of(Measure(found.measure), there, found.ledger_minor)
