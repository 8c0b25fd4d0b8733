"""BookkeepingService: posts to the ledger what payments, refunds, disputes and payouts mean, as they become known.

Every posting is a step from what stands because of something to what should stand because of it, so that late, repeated
and corrected news all end at the same sums. All of it happens in the transaction of the news.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Result, Row, select, text

from quntedge.bookkeeping import positions, rules
from quntedge.bookkeeping.positions import Collected, Payout
from quntedge.disputes.events import AlertSeen, DisputeMoved
from quntedge.disputes.rules import is_lost
from quntedge.kit.money import Money
from quntedge.ledger import queries
from quntedge.ledger.queries import Held
from quntedge.ledger.rules import Account, Entry, EntryKind, Line, Position, steps
from quntedge.ledger.service import LedgerService
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.rules import is_paid
from quntedge.refunds.events import RefundMoved
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork

# Whoever is about to post about something that belongs to a payment holds the payment, so that what is added up does
# not change meanwhile.
_LOCKED = (
    select(
        PaymentTransaction.id,
        PaymentTransaction.user_id,
        PaymentTransaction.total_minor,
        PaymentTransaction.tax_minor,
        PaymentTransaction.currency,
    )
    .where(among(PaymentTransaction.id))
    .order_by(PaymentTransaction.id)
    .with_for_update()
)
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:source, 28))")
_LIVE = text(
    "SELECT id FROM ledger_entry AS entry WHERE source = :source AND kind = :kind AND reverses IS NULL"
    " AND NOT EXISTS (SELECT FROM ledger_entry AS undoing WHERE undoing.reverses = entry.id) ORDER BY id"
)


@dataclass(frozen=True, slots=True)
class Move:
    """Something whose position in the ledger is to be what `wanted` says."""

    kind: EntryKind
    source: str
    wanted: Position
    occurred_at: datetime
    cause: str
    user_id: str | None = None
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class CountedRefund:
    """A refund that counts as given back. Minor units of its payment's currency."""

    refund_id: str
    transaction_id: str
    amount_minor: int
    occurred_at: datetime
    cause: str


class BookkeepingService:
    """Works in the caller's unit of work and never commits."""

    def __init__(self, ledger: LedgerService, *, gateway_remits: bool) -> None:
        """`gateway_remits`: the gateway passes the tax on, and takes it out of the payment as it does its fees."""
        self._ledger = ledger
        self._gateway_remits = gateway_remits

    async def on_payments_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Subscriber: a payment that has just been collected costs two statements for all of them; what becomes known
        of collected ones later is compared with what was posted."""
        latest = {fact.transaction_id: fact for fact in facts if is_paid(fact.status)}
        fresh = {fact.transaction_id for fact in facts if fact.newly_paid}
        await self._ledger.post(unit, self._first(fact for key, fact in latest.items() if key in fresh))
        later = [fact for key, fact in latest.items() if key not in fresh]
        if later:
            held = await queries.by_source(await unit.connection(), [fact.transaction_id for fact in later])
            now = unit.clock.now()
            await self._step(unit, [self._later(fact, held, now) for fact in later], held)

    def _first(self, facts: Iterable[PaymentRecorded]) -> list[Entry]:
        entries = []
        for fact in facts:
            collected = Collected(fact.currency, fact.total_minor or 0, fact.tax_minor, fact.fee_minor)
            move = self.payment_move(
                fact.transaction_id, fact.user_id, collected, fact.paid_at or fact.occurred_at, fact.cause
            )
            entries += _entry(move, Held())
        return entries

    def _later(self, fact: PaymentRecorded, held: Mapping[tuple[EntryKind, str], Held], now: datetime) -> Move:
        stands = held.get((EntryKind.PAYMENT, fact.transaction_id))
        collected = Collected(fact.currency, fact.total_minor or 0, fact.tax_minor, fact.fee_minor)
        at = fact.paid_at or fact.occurred_at if stands is None else fact.gateway_updated_at or now
        told = collected.beside(held, fact.transaction_id)
        return self.payment_move(fact.transaction_id, fact.user_id, told, at, fact.cause)

    def payment_move(
        self, transaction_id: str, user_id: str, payment: Collected, occurred_at: datetime, cause: str
    ) -> Move:
        """What a payment should stand for."""
        wanted = positions.of_payment(payment, gateway_remits=self._gateway_remits)
        return Move(EntryKind.PAYMENT, transaction_id, wanted, occurred_at, cause, user_id)

    async def on_refunds_moved(self, unit: UnitOfWork, facts: Sequence[RefundMoved]) -> None:
        """Subscriber: what was given back is posted with its share of tax; what came back after all is undone."""
        moved = (fact for fact in facts if fact.counted or fact.uncounted)
        for counted, same in groupby(moved, key=lambda fact: fact.counted):
            if counted:
                await self.post_refunds(unit, [_counted(fact) for fact in same])
                continue
            for fact in same:
                await self.undo_refund(unit, fact.refund_id, fact.transaction_id, fact.occurred_at, fact.cause)

    async def post_refunds(self, unit: UnitOfWork, refunds: Sequence[CountedRefund]) -> None:
        """Posts refunds, in the order given, as far as they are not posted yet."""
        if not refunds:
            return
        payments = await self._lock(unit, [refund.transaction_id for refund in refunds])
        connection = await unit.connection()
        own = await queries.by_source(connection, [refund.refund_id for refund in refunds])
        together = await queries.by_transaction(connection, payments)
        moves = []
        for refund in refunds:
            payment = payments[refund.transaction_id]
            stands = own.get((EntryKind.REFUND, refund.refund_id), Held())
            sums = together.setdefault((EntryKind.REFUND, refund.transaction_id), Held())
            if stands.on(Account.GATEWAY_CLEARING, payment.currency) == -refund.amount_minor:
                continue
            _add(sums, stands.position, -1)
            wanted = _refund_position(payment, sums, refund.amount_minor)
            _add(sums, wanted, 1)
            moves.append(
                Move(
                    EntryKind.REFUND,
                    refund.refund_id,
                    wanted,
                    refund.occurred_at,
                    refund.cause,
                    payment.user_id,
                    refund.transaction_id,
                )
            )
        await self._step(unit, moves, own)

    async def undo_refund(
        self, unit: UnitOfWork, refund_id: str, transaction_id: str, occurred_at: datetime, cause: str
    ) -> None:
        """Undoes what was posted of a refund that turned out not to have happened, and brings the tax in the other
        refunds of its payment to what it is without that one."""
        payment = await self.locked(unit, transaction_id)
        connection = await unit.connection()
        live = await connection.scalars(_LIVE, {"source": refund_id, "kind": EntryKind.REFUND.value})
        undone = await self._ledger.reverse(unit, live.all(), occurred_at=occurred_at, cause=cause)
        if not undone:
            return
        sums = (await queries.by_transaction(connection, [transaction_id]))[EntryKind.REFUND, transaction_id]
        refunded = -sums.on(Account.GATEWAY_CLEARING, payment.currency)
        tax = rules.tax_given_back(payment.total_minor or 0, payment.tax_minor, refunded)
        more = Money(tax - sums.on(Account.TAX_PAYABLE, payment.currency), payment.currency)
        if not more:
            return
        # With a plain mirror image, refunds that were rounded together would keep what was rounded because of this one.
        entry = Entry(
            kind=EntryKind.REFUND,
            source=refund_id,
            sequence=max(posted.entry.sequence for posted in undone) + 1,
            occurred_at=occurred_at,
            cause=cause,
            lines=(Line(Account.TAX_PAYABLE, more), Line(Account.REFUNDS, -more)),
            user_id=payment.user_id,
            transaction_id=transaction_id,
        )
        await self._ledger.post(unit, [entry])

    async def on_disputes_moved(self, unit: UnitOfWork, facts: Sequence[DisputeMoved]) -> None:
        """Subscriber: what a dispute holds back, costs, and in the end takes."""
        latest = {fact.dispute_id: fact for fact in facts}
        if not latest:
            return
        await self._lock(unit, [fact.transaction_id for fact in latest.values()])
        moves = [
            Move(
                EntryKind.DISPUTE,
                fact.dispute_id,
                positions.of_dispute(
                    Money(fact.withdrawn_minor, fact.currency),
                    Money(fact.fee_minor, fact.fee_currency or fact.currency),
                    lost=is_lost(fact.status),
                ),
                fact.occurred_at,
                fact.cause,
                fact.user_id,
                fact.transaction_id,
            )
            for fact in latest.values()
        ]
        await self.move(unit, moves)

    async def on_alerts_seen(self, unit: UnitOfWork, facts: Sequence[AlertSeen]) -> None:
        """Subscriber: what the gateway charges for its warnings."""
        latest = {fact.alert_id: fact for fact in facts}
        await self._lock(unit, [fact.transaction_id for fact in latest.values()])
        await self.move(unit, [_alert(fact) for fact in latest.values()])

    async def post_payout(self, unit: UnitOfWork, payout: Payout) -> bool:
        """Posts what a payout has become: on its way, at the bank, or back. False when that stands already."""
        await (await unit.connection()).execute(_ALONE, {"source": payout.payout_id})
        wanted = positions.of_payout(payout)
        move = Move(EntryKind.PAYOUT, payout.payout_id, wanted, payout.occurred_at, payout.cause)
        return await self.move(unit, [move]) > 0

    async def post_fees(
        self,
        unit: UnitOfWork,
        transaction_id: str,
        *,
        fees: Money,
        tax_remitted: Money,
        occurred_at: datetime,
        cause: str,
    ) -> bool:
        """Makes what stands for collecting a payment what the gateway lists as its fees: `fees` without dispute fees,
        and the tax it passes on. Positive amounts. False when that stands already."""
        payments = await self._lock(unit, [transaction_id])
        held = await queries.by_source(await unit.connection(), [transaction_id])
        stands = [held.get((kind, transaction_id), Held()) for kind in (EntryKind.PAYMENT, EntryKind.FEE)]
        currency = fees.currency
        lines = []
        for account, wanted in ((Account.GATEWAY_FEES, fees), (Account.TAX_REMITTED, tax_remitted)):
            more = wanted - Money(sum(each.on(account, currency) for each in stands), currency)
            lines += [Line(account, more), Line(Account.GATEWAY_CLEARING, -more)]
        if not any(line.amount for line in lines):
            return False
        entry = Entry(
            kind=EntryKind.FEE,
            source=transaction_id,
            sequence=stands[1].last + 1,
            occurred_at=occurred_at,
            cause=cause,
            lines=tuple(lines),
            user_id=payments[transaction_id].user_id,
        )
        return (await self._ledger.post(unit, [entry]))[0].is_new

    async def post_rounding(
        self, unit: UnitOfWork, source: str, *, gain: Money, occurred_at: datetime, cause: str, sequence: int = 0
    ) -> bool:
        """Posts a fraction that a conversion gained (or, negative, lost) at the gateway. False when it is posted.

        `source` names what was converted; a second rounding of the same thing has the next `sequence`.
        """
        return await self._post_pair(
            unit, EntryKind.ROUNDING, source, sequence, Account.GATEWAY_CLEARING, Account.ROUNDING, gain,
            occurred_at, cause, {},
        )  # fmt: skip

    async def post_adjustment(
        self,
        unit: UnitOfWork,
        source: str,
        *,
        debit: Account,
        credit: Account,
        amount: Money,
        reason: str,
        requested_by: str,
        approved_by: str,
        occurred_at: datetime,
        cause: str,
        sequence: int = 0,
    ) -> bool:
        """Posts a correction that two people (or the reconciliation and one) agree on. False when it is posted.

        `source` names what is corrected, such as a difference's id. That nobody approves of their own correction is a
        constraint of the table.
        """
        people = {"reason": reason, "requested_by": requested_by, "approved_by": approved_by}
        return await self._post_pair(
            unit, EntryKind.ADJUSTMENT, source, sequence, debit, credit, amount, occurred_at, cause, people
        )

    async def _post_pair(
        self,
        unit: UnitOfWork,
        kind: EntryKind,
        source: str,
        sequence: int,
        debit: Account,
        credit: Account,
        amount: Money,
        occurred_at: datetime,
        cause: str,
        people: Mapping[str, str],
    ) -> bool:
        lines = (Line(debit, amount), Line(credit, -amount))
        entry = Entry(kind, source, sequence, occurred_at, cause, lines, **people)
        return (await self._ledger.post(unit, [entry]))[0].is_new

    async def move(self, unit: UnitOfWork, moves: Sequence[Move]) -> int:
        """Posts the steps from what stands to what should, and says how many were needed."""
        held = await queries.by_source(await unit.connection(), [move.source for move in moves])
        return await self._step(unit, moves, held)

    async def _step(self, unit: UnitOfWork, moves: Sequence[Move], held: Mapping[tuple[EntryKind, str], Held]) -> int:
        entries = [entry for move in moves for entry in _entry(move, held.get((move.kind, move.source), Held()))]
        return sum(posted.is_new for posted in await self._ledger.post(unit, entries))

    async def locked(self, unit: UnitOfWork, transaction_id: str) -> Row[Any]:
        """A payment, held until the caller's transaction ends: what stands because of it does not change meanwhile."""
        return (await self._lock(unit, [transaction_id]))[transaction_id]

    @staticmethod
    async def _lock(unit: UnitOfWork, transaction_ids: Sequence[str]) -> dict[str, Row[Any]]:
        connection = await unit.connection()
        found: Result[Any] = await connection.execute(_LOCKED, {"values": sorted(set(transaction_ids))})
        return {row.id: row for row in found.all()}


def _alert(fact: AlertSeen) -> Move:
    # A fee that is taken back leaves nothing behind, in whatever currency it was.
    wanted = positions.of_dispute_fee(Money(fact.fee_minor, fact.fee_currency)) if fact.fee_currency else {}
    return Move(
        EntryKind.DISPUTE, fact.alert_id, wanted, fact.occurred_at, fact.cause, fact.user_id, fact.transaction_id
    )


def _counted(fact: RefundMoved) -> CountedRefund:
    return CountedRefund(fact.refund_id, fact.transaction_id, fact.amount_minor, fact.occurred_at, fact.cause)


def _entry(move: Move, held: Held) -> list[Entry]:
    """The entry that leads from what stands to what should; none when it does already."""
    lines = steps(held.position, move.wanted)
    if not lines:
        return []
    return [
        Entry(
            kind=move.kind,
            source=move.source,
            sequence=held.last + 1,
            occurred_at=move.occurred_at,
            cause=move.cause,
            lines=lines,
            user_id=move.user_id,
            transaction_id=move.transaction_id,
        )
    ]


def _add(sums: Held, position: Position, sign: int) -> None:
    for key, amount in position.items():
        sums.position[key] = sums.position.get(key, 0) + sign * amount


def _refund_position(payment: Row[Any], sums: Held, amount: int) -> dict[tuple[Account, str], int]:
    """What the next refund of a payment stands for, given what its refunds sum up to so far."""
    currency = payment.currency
    refunded = amount - sums.on(Account.GATEWAY_CLEARING, currency)
    tax = rules.tax_given_back(payment.total_minor or 0, payment.tax_minor, refunded)
    return dict(positions.of_refund(currency, amount, tax - sums.on(Account.TAX_PAYABLE, currency)))
