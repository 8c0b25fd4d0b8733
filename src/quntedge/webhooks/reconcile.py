"""Compares the gateway with us and repairs what deliveries that never came have left behind.

Reads happen with no transaction open. What is found is applied through the same path as deliveries, so that either may
come first, or both; what that changed is a difference and is written down in the same transaction.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from quntedge.gateway.errors import (
    GatewayInvalidAnswer,
    GatewayNotFound,
    GatewayRateLimited,
    GatewayRejected,
    GatewayUnavailable,
)
from quntedge.gateway.port import Gateway, MembershipSnapshot, PaymentSnapshot
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import GATEWAY_DIFFERENCES
from quntedge.payments.models import PaymentTransaction
from quntedge.storage.rows import among
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.subscriptions.models import SubscriptionMembership
from quntedge.subscriptions.rules import TERMINAL_MEMBERSHIP
from quntedge.webhooks import difference
from quntedge.webhooks.apply import Applier, Evidence
from quntedge.webhooks.difference import Difference
from quntedge.webhooks.errors import ObjectOutOfReach
from quntedge.webhooks.queries import lock_lanes

RECENT = timedelta(hours=48)
LONG = timedelta(days=35)
"""How old a payment may be for the full crawl: a renewal is tried again for weeks, and lists know only its creation."""

SETTLING = timedelta(minutes=5)
"""What changed at the gateway less than this ago is left alone: its delivery is still on the way."""

BATCH = 200
CONCURRENT_READS = 8

log = get_logger(__name__)

# News that waits in the inbox is no difference; an event that failed before may be in trouble for good.
_AWAITED = text(
    """
    SELECT ordering_key FROM webhook_event
    WHERE state IN ('received', 'processing', 'retrying') AND state <> 'retrying' AND ordering_key = ANY(:keys)
    """
)
_HELD_MEMBERSHIPS = (
    select(SubscriptionMembership.whop_membership_id)
    .where(SubscriptionMembership.status.not_in(tuple(TERMINAL_MEMBERSHIP)))
    .order_by(SubscriptionMembership.whop_membership_id)
    .limit(BATCH)
)
_PAYMENTS = select(PaymentTransaction.__table__).where(among(PaymentTransaction.whop_payment_id))
_MEMBERSHIPS = select(SubscriptionMembership.__table__).where(among(SubscriptionMembership.whop_membership_id))
_BOOKKEEPING = frozenset({"gateway_updated_at", "updated_at"})
"""Columns that may change without anything being different."""


@dataclass(frozen=True, slots=True)
class _Item:
    """An object as the gateway has it now, with what has to be applied before it."""

    kind: str
    object_id: str
    lane: str
    evidence: Evidence


class Reconciler:
    """Crawls the gateway. Several may run at the same time; what one repaired the others find in order."""

    def __init__(self, units: UnitOfWorkFactory, gateway: Gateway, applier: Applier) -> None:
        self._units = units
        self._gateway = gateway
        self._applier = applier

    async def recent(self, now: datetime) -> int:
        """Compares the payments of the last 48 hours. Returns how many new differences it found."""
        return await self._run("recent", now, self._recent)

    async def full(self, now: datetime) -> int:
        """Compares every membership that has not ended, there or here, and the payments of five weeks."""
        return await self._run("full", now, self._full)

    async def payments(self, payment_ids: Sequence[str], now: datetime) -> int:
        """Reads these payments with their refunds and applies them. Returns how many new differences it found."""

        async def steps(at: datetime, found: Counter[str]) -> None:
            await self._look_at(payment_ids, self._payment, at, found)

        return await self._run("payments", now, steps)

    async def memberships(self, membership_ids: Sequence[str], now: datetime) -> set[str]:
        """Compares these memberships, whatever became of them. Returns those that are settled: what was said of the
        others is on its way, or the gateway is."""
        settled: set[str] = set()

        async def read(membership_id: str) -> _Item | Difference:
            answer = await self._membership(membership_id)
            if not isinstance(answer, _Item) or _is_settled(answer, now):
                settled.add(membership_id)
            return answer

        async def steps(at: datetime, found: Counter[str]) -> None:
            await self._look_at(membership_ids, read, at, found)

        await self._run("memberships", now, steps)
        return settled

    async def _run(self, crawl: str, now: datetime, steps: Callable[[datetime, Counter[str]], Awaitable[None]]) -> int:
        """A gateway that is away ends the crawl; what was repaired until then stays, the next crawl does the rest."""
        found: Counter[str] = Counter()
        try:
            await steps(now, found)
        except (GatewayRateLimited, GatewayUnavailable) as error:
            log.warning("reconcile.interrupted", crawl=crawl, error=error.code)
        if found:
            log.warning("reconcile.differences", crawl=crawl, **found)
        return found.total()

    async def _recent(self, now: datetime, found: Counter[str]) -> None:
        await self._payments(now, now - RECENT, found)

    async def _full(self, now: datetime, found: Counter[str]) -> None:
        listed: set[str] = set()
        async for page in self._gateway.memberships_open():
            listed.update(snapshot.membership_id for snapshot in page)
            await self._apply([_of_membership(s) for s in page if _settled(s, now)], now, found)
        async for held in self._held_memberships():
            await self._look_at([key for key in held if key not in listed], self._membership, now, found)
        await self._payments(now, now - LONG, found)

    async def _payments(self, now: datetime, since: datetime, found: Counter[str]) -> None:
        async for page in self._gateway.payments_since(since):
            suspects = await self._suspects([snapshot for snapshot in page if _settled(snapshot, now)])
            await self._look_at(suspects, self._payment, now, found)

    async def _held_memberships(self) -> AsyncIterator[Sequence[str]]:
        """What we hold as not ended, in portions; no transaction is open between them."""
        last = ""
        while True:
            async with self._units() as unit:
                statement = _HELD_MEMBERSHIPS.where(SubscriptionMembership.whop_membership_id > last)
                held = (await (await unit.connection()).execute(statement)).scalars().all()
            if not held:
                return
            yield held
            last = held[-1]

    async def _suspects(self, listed: Sequence[PaymentSnapshot]) -> list[str]:
        """Those that we do not hold as listed, apart from those whose news waits in the inbox.

        They are read one by one before they are applied, because lists leave values out.
        """
        if not listed:
            return []
        async with self._units() as unit:
            connection = await unit.connection()
            ids = [snapshot.payment_id for snapshot in listed]
            held = {row.whop_payment_id: row for row in await connection.execute(_PAYMENTS, {"values": ids})}
            still_open = await difference.open_among(connection, ids)
            awaited = await _awaited(connection, [_lane(snapshot) for snapshot in listed])
        return [
            snapshot.payment_id
            for snapshot in listed
            if _lane(snapshot) not in awaited
            and (snapshot.payment_id in still_open or _differs(held.get(snapshot.payment_id), snapshot))
        ]

    async def _look_at(
        self,
        ids: Sequence[str],
        read: Callable[[str], Awaitable[_Item | Difference]],
        now: datetime,
        found: Counter[str],
    ) -> None:
        """Reads these objects from the gateway, then applies those that have not changed just now."""
        for start in range(0, len(ids), BATCH):
            answers: list[_Item | Difference] = []
            for first in range(start, min(start + BATCH, len(ids)), CONCURRENT_READS):
                few = ids[first : min(first + CONCURRENT_READS, start + BATCH)]
                answers += await _together([read(object_id) for object_id in few])
            items = [answer for answer in answers if isinstance(answer, _Item)]
            await self._apply([item for item in items if _is_settled(item, now)], now, found)
            await self._leave_open([answer for answer in answers if isinstance(answer, Difference)], found)

    async def _membership(self, membership_id: str) -> _Item | Difference:
        try:
            return _of_membership(await self._gateway.membership(membership_id))
        except GatewayNotFound as error:
            return Difference("missing_at_gateway", membership_id, "open", error.code)
        except (GatewayRejected, GatewayInvalidAnswer) as error:
            return Difference("membership", membership_id, "open", error.code)

    async def _payment(self, payment_id: str) -> _Item | Difference:
        """With its membership, which moved with it, and its refunds."""
        memberships: tuple[MembershipSnapshot, ...] = ()
        try:
            payment = await self._gateway.payment(payment_id)
            given_back = payment.refunded or payment.refunded_elsewhere
            refunds = tuple(await self._gateway.refunds_of(payment_id)) if given_back else ()
        except GatewayNotFound as error:
            return Difference("missing_at_gateway", payment_id, "open", error.code)
        except (GatewayRejected, GatewayInvalidAnswer) as error:
            return Difference("payment", payment_id, "open", error.code)
        if payment.membership_id is not None:
            try:
                memberships = (await self._gateway.membership(payment.membership_id),)
            except (GatewayNotFound, GatewayRejected, GatewayInvalidAnswer) as error:
                # The payment can do without if we know the membership; if not, applying it says so.
                log.warning("reconcile.membership_unreadable", payment_id=payment_id, error=error.code)
        evidence = Evidence(memberships=memberships, payments=(payment,), refunds=refunds, from_gateway=True)
        return _Item("payment", payment_id, _lane(payment), evidence)

    async def _apply(self, items: Sequence[_Item], now: datetime, found: Counter[str]) -> None:
        """Applies in one transaction for each batch; a batch that fails is done again one by one."""
        cause = f"reconcile:{now:%Y-%m-%d}"
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            try:
                await self._apply_batch(batch, cause, found)
            except Exception as error:  # noqa: BLE001 (each object is tried by itself below)
                log.warning("reconcile.batch_failed", objects=len(batch), error=type(error).__name__)
                await self._apply_singly(batch, cause, found)

    async def _apply_singly(self, batch: Sequence[_Item], cause: str, found: Counter[str]) -> None:
        for item in batch:
            try:
                await self._apply_batch([item], cause, found)
            except Exception as error:
                reason = error.code if isinstance(error, QuntedgeError) else type(error).__name__
                unexpected = None if isinstance(error, QuntedgeError) else error
                log.warning("reconcile.object_failed", object_id=item.object_id, reason=reason, exc_info=unexpected)
                await self._leave_open([Difference(item.kind, item.object_id, "open", reason)], found)

    async def _apply_batch(self, items: Sequence[_Item], cause: str, found: Counter[str]) -> None:
        async with self._units() as unit:
            connection = await unit.connection()
            free = await _free_lanes(unit, [item.lane for item in items])
            items = [item for item in items if item.lane in free]
            if not items:
                return
            before = await _rows(unit, items)
            verdicts = await self._applier.apply(unit, [(cause, item.evidence) for item in items])
            if "reread" in verdicts:
                raise ObjectOutOfReach("The gateway does not give us the membership of a payment.")
            changed = _differences(before, await _rows(unit, items))
            mended = await difference.close(connection, [item.object_id for item in items], unit.clock.now())
            # Found before, and written down then.
            changed = [one for one in changed if one.object_id not in mended]
            new = await difference.record(unit, changed)
            await unit.commit()
        _count(new, "repaired", found)

    async def _leave_open(self, differences: Sequence[Difference], found: Counter[str]) -> None:
        if not differences:
            return
        async with self._units() as unit:
            new = await difference.record(unit, differences)
            await unit.commit()
        _count(new, "open", found)


def _settled(snapshot: MembershipSnapshot | PaymentSnapshot, now: datetime) -> bool:
    return snapshot.updated_at is None or snapshot.updated_at <= now - SETTLING


def _is_settled(item: _Item, now: datetime) -> bool:
    memberships, payments = item.evidence.memberships, item.evidence.payments
    return all(_settled(one, now) for one in memberships) and all(_settled(one, now) for one in payments)


def _lane(payment: PaymentSnapshot) -> str:
    """The key by which deliveries about this payment are ordered in the inbox."""
    return payment.membership_id or payment.payment_id


def _of_membership(snapshot: MembershipSnapshot) -> _Item:
    evidence = Evidence(memberships=(snapshot,), from_gateway=True)
    return _Item("membership", snapshot.membership_id, snapshot.membership_id, evidence)


def _differs(held: Any | None, listed: PaymentSnapshot) -> bool:
    """Whether a listed payment says anything that the stored one does not. Two changes may bear the same time."""
    if held is None or held.gateway_updated_at is None or listed.updated_at is None:
        return True
    if listed.updated_at != held.gateway_updated_at:
        return bool(listed.updated_at > held.gateway_updated_at)
    refunded = listed.refunded.amount_minor if listed.refunded else 0
    if listed.refunded_elsewhere:
        # Their refunds tell how much, and each of those moves the payment's own time.
        refunded = held.refunded_minor
    told = (listed.raw_status, listed.substatus, listed.payments_failed, refunded)
    return told != (held.raw_status, held.substatus, held.attempts_failed, held.refunded_minor)


async def _awaited(connection: AsyncConnection, lanes: Sequence[str]) -> set[str]:
    return set((await connection.execute(_AWAITED, {"keys": list(lanes)})).scalars())


async def _free_lanes(unit: UnitOfWork, lanes: Sequence[str]) -> set[str]:
    """Lanes that are ours until the transaction ends, and in which no delivery waits."""
    locked = await lock_lanes(unit, lanes)
    return locked - await _awaited(await unit.connection(), list(locked))


async def _rows(unit: UnitOfWork, items: Sequence[_Item]) -> dict[tuple[str, str], dict[str, Any]]:
    """What we hold of everything the items speak of, by kind and id at the gateway."""
    connection = await unit.connection()
    memberships = {snapshot.membership_id for item in items for snapshot in item.evidence.memberships}
    payments = {snapshot.payment_id for item in items for snapshot in item.evidence.payments}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in await connection.execute(_MEMBERSHIPS, {"values": list(memberships)}):
        rows["membership", row.whop_membership_id] = dict(row._mapping)
    for row in await connection.execute(_PAYMENTS, {"values": list(payments)}):
        rows["payment", row.whop_payment_id] = dict(row._mapping)
    return rows


def _differences(
    before: dict[tuple[str, str], dict[str, Any]], after: dict[tuple[str, str], dict[str, Any]]
) -> list[Difference]:
    """What applying changed, apart from bookkeeping. Names of columns only: values may be about somebody."""
    found: list[Difference] = []
    for (kind, object_id), row in after.items():
        held = before.get((kind, object_id))
        changed = [] if held is None else [name for name in row if name not in _BOOKKEEPING and row[name] != held[name]]
        if held is None or changed:
            detail = "unknown to us" if held is None else f"differed in {', '.join(changed)}"
            found.append(Difference(kind, object_id, "repaired", detail, row["user_id"]))
    return found


def _count(kinds: Sequence[str], outcome: str, found: Counter[str]) -> None:
    found[outcome] += len(kinds)
    for kind in kinds:
        GATEWAY_DIFFERENCES.labels(kind).inc()
    if not found[outcome]:
        del found[outcome]


async def _together(reads: Sequence[Awaitable[_Item | Difference]]) -> list[_Item | Difference]:
    """All answers, or the first error once no read is under way any more."""
    answers: list[_Item | Difference] = []
    for answer in await asyncio.gather(*reads, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
        answers.append(answer)
    return answers
