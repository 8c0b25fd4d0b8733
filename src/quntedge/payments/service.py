"""PaymentService: applies what Whop says about payments, many at a time, in one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update

from quntedge.gateway.port import PaymentSnapshot
from quntedge.kit.ids import new_id
from quntedge.payments import rules
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.models import PaymentAttempt, PaymentTransaction
from quntedge.payments.records import occurred_at, state_from_row, state_from_snapshot, state_values
from quntedge.payments.rules import PaymentState, Verdict
from quntedge.storage.rows import Texts, among, insert_rows, update_rows
from quntedge.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class ObservedPayment:
    """A payment as somebody told us about it. `from_gateway`: we read it ourselves just now."""

    snapshot: PaymentSnapshot
    cause: str
    from_gateway: bool = False


@dataclass(frozen=True, slots=True)
class PaymentLink:
    """Whose payment it is, and what it belongs to."""

    user_id: str
    subscription_id: str | None = None
    plan_id: str | None = None
    checkout_id: str | None = None


@dataclass(frozen=True, slots=True)
class RefundTotal:
    """What went back of one payment, as its refund records say."""

    transaction_id: str
    succeeded_minor: int
    pending: bool
    cause: str


@dataclass(frozen=True, slots=True)
class DisputeTotal:
    """What the buyer's bank holds back of one payment or has taken, as its dispute records say.

    `disputed_minor` is in minor units of the payment's currency and 0 once everything came back; `status` is that of
    the dispute that matters most, None when there is none (any more).
    """

    transaction_id: str
    disputed_minor: int
    status: str | None
    cause: str


# Links by payment id. A payment missing from the answer belongs to a membership we have not heard of yet.
FindLinks = Callable[[UnitOfWork, Sequence[ObservedPayment]], Awaitable[Mapping[str, PaymentLink]]]


@dataclass(slots=True)
class _Record:
    id: str
    link: PaymentLink
    whop_payment_id: str
    whop_membership_id: str | None
    occurred_at: datetime
    stored: bool
    state: PaymentState | None = None
    refund_pending: bool = False
    changed: bool = False


class PaymentService:
    """Keeps payment_transaction in step with Whop's payments."""

    async def apply(
        self, unit: UnitOfWork, observed: Sequence[ObservedPayment], find_links: FindLinks
    ) -> list[Verdict]:
        """Applies snapshots in the order given and answers what became of each.

        A payment whose membership is unknown answers `REREAD`: its membership has to be read first.
        """
        if not observed:
            return []
        batch = _Batch(unit)
        await batch.load([item.snapshot.payment_id for item in observed])
        links = await find_links(unit, batch.unlinked(observed))
        verdicts = [batch.apply(item, links) for item in observed]
        await batch.write()
        return verdicts

    async def lock(self, unit: UnitOfWork, transaction_ids: Sequence[str]) -> None:
        """Keeps everybody else from these payments until the unit ends; for whoever changes what belongs to them."""
        connection = await unit.connection()
        await connection.execute(_BY_ID, {"values": list(set(transaction_ids))})

    async def apply_refund_totals(self, unit: UnitOfWork, totals: Sequence[RefundTotal]) -> None:
        """Sets what went back of payments, as summed up from their refund records."""
        batch = _Batch(unit)
        await batch.load_ids([total.transaction_id for total in totals])
        for total in totals:
            batch.apply_refund_total(total)
        await batch.write()

    async def apply_dispute_totals(self, unit: UnitOfWork, totals: Sequence[DisputeTotal]) -> None:
        """Sets what is disputed of payments, as summed up from their dispute records. Their status stays as it is."""
        batch = _Batch(unit)
        await batch.load_ids([total.transaction_id for total in totals])
        for total in totals:
            batch.apply_dispute_total(total)
        await batch.write()

    async def complete_links(self, unit: UnitOfWork, links: Mapping[str, PaymentLink], cause: str) -> None:
        """Links payments to the subscriptions of their memberships (`links` by membership) that were not known when the
        payments were: deliveries come in any order. Whoever keeps something by subscription is told."""
        batch = _Batch(unit)
        await batch.load_unlinked(list(links))
        batch.complete_links(links, cause)
        await batch.write()

    async def note_fee(self, unit: UnitOfWork, transaction_id: str, fee_minor: int) -> None:
        """Notes what collecting a payment cost, as the gateway lists it, where its amounts did not tell.

        Nobody is told: whoever learned it has posted it. Minor units of the payment's currency.
        """
        unknown = update(PaymentTransaction).where(
            PaymentTransaction.id == transaction_id, PaymentTransaction.fee_minor.is_(None)
        )
        await (await unit.connection()).execute(unknown.values(fee_minor=fee_minor, updated_at=unit.clock.now()))


_LOCKED = select(PaymentTransaction.__table__).order_by(PaymentTransaction.id).with_for_update()
_BY_PAYMENT = _LOCKED.where(among(PaymentTransaction.whop_payment_id))
_BY_ID = _LOCKED.where(among(PaymentTransaction.id))
_UNLINKED = _LOCKED.where(among(PaymentTransaction.whop_membership_id), PaymentTransaction.subscription_id.is_(None))


class _Batch:
    """The payments one call touches: loaded together, changed in memory, written together."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._now = unit.clock.now()
        self._records: dict[str, _Record] = {}
        self._attempts: list[dict[str, Any]] = []

    async def load(self, payment_ids: Sequence[str]) -> None:
        """Locks these payments, in the order of their ids."""
        await self._read(_BY_PAYMENT, set(payment_ids))

    async def load_ids(self, transaction_ids: Sequence[str]) -> None:
        """The same, by our own ids."""
        await self._read(_BY_ID, set(transaction_ids))

    async def load_unlinked(self, membership_ids: Sequence[str]) -> None:
        """The same: those of these memberships of which nobody knew whose they are."""
        await self._read(_UNLINKED, set(membership_ids))

    async def _read(self, locking: Select[Any], values: set[str]) -> None:
        for row in await self._unit.fetch(locking, {"values": Texts(values)}):
            self._records[row.whop_payment_id] = _Record(
                id=row.id,
                link=PaymentLink(row.user_id, row.subscription_id, row.plan_id),
                whop_payment_id=row.whop_payment_id,
                whop_membership_id=row.whop_membership_id,
                occurred_at=row.occurred_at,
                stored=True,
                state=state_from_row(row),
                refund_pending=row.refund_pending,
            )

    def unlinked(self, observed: Sequence[ObservedPayment]) -> list[ObservedPayment]:
        """Those that are new, or whose subscription was not known when they were first seen."""
        return [
            item
            for item in observed
            if item.snapshot.payment_id not in self._records
            or self._records[item.snapshot.payment_id].link.subscription_id is None
        ]

    def apply(self, item: ObservedPayment, links: Mapping[str, PaymentLink]) -> Verdict:
        """Applies one snapshot in memory."""
        snapshot = item.snapshot
        record = self._records.get(snapshot.payment_id)
        held = record.state if record else None
        incoming = state_from_snapshot(snapshot)
        verdict = rules.judge(held, incoming, from_gateway=item.from_gateway)
        link = links.get(snapshot.payment_id)
        if record is None:
            if link is None or verdict is Verdict.REREAD:
                return Verdict.REREAD
            record = self._new_record(snapshot, link)
        relinked = self._relink(record, link, snapshot)
        attempt = self._note_attempt(record, snapshot, held) if verdict is not Verdict.REREAD else None
        if verdict is not Verdict.APPLY:
            if relinked:
                self._announce(record, held, None, item.cause)
            return verdict
        record.state = rules.merge(held, incoming)
        record.changed = True
        self._announce(record, held, attempt, item.cause)
        return verdict

    def _new_record(self, snapshot: PaymentSnapshot, link: PaymentLink) -> _Record:
        record = _Record(
            id=new_id("txn", self._now),
            link=link,
            whop_payment_id=snapshot.payment_id,
            whop_membership_id=snapshot.membership_id,
            occurred_at=occurred_at(snapshot, self._now),
            stored=False,
        )
        self._records[snapshot.payment_id] = record
        return record

    @staticmethod
    def _relink(record: _Record, link: PaymentLink | None, snapshot: PaymentSnapshot) -> bool:
        """A first payment may be seen before its membership: the link is completed when both are known, and with it
        the membership, which only later snapshots name.

        Until then the checkout is taken from the snapshot each time: it is not part of the stored record.
        """
        if record.whop_membership_id is None and snapshot.membership_id is not None:
            record.whop_membership_id, record.changed = snapshot.membership_id, True
        if link is not None and record.link.checkout_id is None:
            record.link = replace(record.link, checkout_id=link.checkout_id)
        if link is None or record.link.subscription_id is not None or link.subscription_id is None:
            return False
        record.link, record.changed = link, True
        return True

    def _note_attempt(self, record: _Record, snapshot: PaymentSnapshot, held: PaymentState | None) -> int | None:
        """Remembers a failed attempt; its number if it is one we have not counted. A late report of one that
        failed before the payment was collected is history, too."""
        if not snapshot.attempt_failed or snapshot.payments_failed < 1:
            return None
        number = snapshot.payments_failed
        self._attempts.append(
            {
                "transaction_id": record.id,
                "number": number,
                "user_id": record.link.user_id,
                "decline_code": snapshot.decline_code,
                "decline_class": rules.decline_class(snapshot.decline_code).value,
                "message": snapshot.failure_message[:500] if snapshot.failure_message else None,
                "at": snapshot.last_attempt_at or snapshot.updated_at or self._now,
            }
        )
        return number if held is None or number > held.attempts_failed else None

    def apply_refund_total(self, total: RefundTotal) -> None:
        """Applies what went back of one payment."""
        record, held = self._stored(total.transaction_id)
        status = rules.with_refunds(held.status, held.total_minor, total.succeeded_minor)
        after = replace(held, refunded_minor=total.succeeded_minor, status=status)
        if after == held and record.refund_pending == total.pending:
            return
        record.state, record.refund_pending, record.changed = after, total.pending, True
        self._announce(record, held, None, total.cause)

    def complete_links(self, links: Mapping[str, PaymentLink], cause: str) -> None:
        """Links what was loaded, and tells of it."""
        for record in self._records.values():
            link = links.get(record.whop_membership_id or "")
            if link is not None and record.state is not None:
                record.link, record.changed = replace(link, plan_id=record.link.plan_id or link.plan_id), True
                self._announce(record, record.state, None, cause)

    def apply_dispute_total(self, total: DisputeTotal) -> None:
        """Applies what is disputed of one payment."""
        record, held = self._stored(total.transaction_id)
        after = replace(held, disputed_minor=total.disputed_minor, dispute_status=total.status)
        if after == held:
            return
        record.state, record.changed = after, True
        self._announce(record, held, None, total.cause)

    def _stored(self, transaction_id: str) -> tuple[_Record, PaymentState]:
        record = next(r for r in self._records.values() if r.id == transaction_id)
        if record.state is None:
            raise ValueError("a stored payment always has a state")
        return record, record.state

    def _announce(self, record: _Record, held: PaymentState | None, attempt: int | None, cause: str) -> None:
        state = record.state
        if state is None:
            raise ValueError("a payment is announced with a state")
        self._unit.record(
            PaymentRecorded(
                transaction_id=record.id,
                user_id=record.link.user_id,
                subscription_id=record.link.subscription_id,
                plan_id=record.link.plan_id,
                whop_payment_id=record.whop_payment_id,
                whop_membership_id=record.whop_membership_id,
                before_status=held.status if held else None,
                status=state.status,
                billing_reason=state.billing_reason,
                currency=state.currency,
                subtotal_minor=state.subtotal_minor,
                tax_minor=state.tax_minor,
                total_minor=state.total_minor,
                net_minor=state.net_minor,
                refunded_minor=state.refunded_minor,
                attempts_failed=state.attempts_failed,
                newly_paid=rules.is_paid(state.status) and (held is None or not rules.is_paid(held.status)),
                newly_failed=attempt is not None and not rules.is_paid(state.status),
                failed_attempt=attempt,
                decline_class=rules.decline_class(state.decline_code).value if attempt is not None else None,
                paid_at=state.paid_at,
                occurred_at=record.occurred_at,
                gateway_updated_at=state.updated_at,
                checkout_id=record.link.checkout_id,
                cause=cause,
                discount_minor=state.discount_minor,
                fee_minor=state.fee_minor,
                disputed_minor=state.disputed_minor,
                tax_behavior=state.tax_behavior,
                whop_promo_code_id=state.whop_promo_code_id,
                whop_member_id=state.whop_member_id,
                whop_method_id=state.whop_method_id,
                method_kind=state.method_kind,
                method_brand=state.method_brand,
                method_last4=state.method_last4,
                method_exp_month=state.method_exp_month,
                method_exp_year=state.method_exp_year,
            )
        )

    async def write(self) -> None:
        """Writes what changed: at most three statements, each with a list of rows."""
        connection = await self._unit.driver_connection()
        changed = [record for record in self._records.values() if record.changed]
        created = [self._values(record) for record in changed if not record.stored]
        updated = [self._values(record) for record in changed if record.stored]
        await insert_rows(connection, PaymentTransaction.__table__, created)
        await update_rows(connection, PaymentTransaction.__table__, updated)
        await insert_rows(connection, PaymentAttempt.__table__, self._attempts, conflict_key="transaction_id, number")

    def _values(self, record: _Record) -> dict[str, Any]:
        if record.state is None:
            raise ValueError("a payment without a state cannot be written")
        values: dict[str, Any] = {
            "id": record.id,
            "subscription_id": record.link.subscription_id,
            "plan_id": record.link.plan_id,
            "whop_membership_id": record.whop_membership_id,
            "refund_pending": record.refund_pending,
            "updated_at": self._now,
            **state_values(record.state),
        }
        if not record.stored:
            values |= {
                "user_id": record.link.user_id,
                "whop_payment_id": record.whop_payment_id,
                "occurred_at": record.occurred_at,
                "created_at": self._now,
            }
        return values
