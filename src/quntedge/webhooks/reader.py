"""Reads from the gateway what events need, each object once however many events ask for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from quntedge.gateway.port import Contested, EventKind, Gateway, GatewayEvent, RefundSnapshot
from quntedge.webhooks.apply import Evidence
from quntedge.webhooks.needs import Needs, needs_of, was_refunded

CONCURRENT_READS = 8

Object = TypeVar("Object")


class GatewayReader:
    """Gathers evidence for events that cannot be believed as they are."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def read(self, events: Mapping[str, GatewayEvent]) -> AsyncIterator[tuple[str, Evidence | Exception]]:
        """Yields for each event (by its id in the inbox) the evidence, or the error that kept it from us."""
        reading = _Reading(self._gateway)

        async def gather(event: GatewayEvent) -> Evidence | Exception:
            try:
                return await reading.evidence(event)
            except Exception as error:  # noqa: BLE001 (counted as this event's failed attempt, and no other's)
                return error

        found = await asyncio.gather(*(gather(event) for event in events.values()))
        for event_id, evidence in zip(events, found, strict=True):
            yield event_id, evidence

    async def gather(self, needs: Needs) -> Evidence:
        """Reads these objects and what they name. Raises the port's errors."""
        return await _Reading(self._gateway).gather(needs)


def _with_payments_of(needs: Needs, contested: Sequence[Contested]) -> Needs:
    """What is contested names its payment; what was given back because of it comes with it."""
    named = frozenset(one.payment_id for one in contested if one.payment_id)
    refunded = frozenset(one.payment_id for one in contested if one.payment_id and was_refunded(one))
    return replace(needs, payments=needs.payments | named, refunds_of=needs.refunds_of | refunded)


class _Reading:
    """One round of reads. Calls for the same object share one request."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._calls: dict[tuple[str, str], asyncio.Task[object]] = {}
        self._slots = asyncio.Semaphore(CONCURRENT_READS)

    async def evidence(self, event: GatewayEvent) -> Evidence:
        found = await self.gather(needs_of(event))
        return replace(
            found,
            payment_failed=event.kind is EventKind.INVOICE_PAYMENT_FAILED,
            trial_ending=event.kind is EventKind.MEMBERSHIP_TRIAL_ENDING,
        )

    async def gather(self, needs: Needs) -> Evidence:
        contested = await self._contested(needs)
        needs = _with_payments_of(needs, contested)
        payments = await self._all("payment", needs.payments, self._gateway.payment)
        refunds = await self._all("refund", needs.refunds, self._gateway.refund)
        # A refund names its payment, a payment its membership: follow the chain as far as the event did not.
        late = frozenset(r.payment_id for r in refunds if r.payment_id) - needs.payments
        payments += await self._all("payment", late, self._gateway.payment)
        invoices = await self._all("invoice", needs.invoices, self._gateway.invoice)
        late = frozenset(i.payment_id for i in invoices if i.payment_id) - needs.payments
        payments += await self._all("payment", late, self._gateway.payment)
        named = needs.memberships | {p.membership_id for p in payments if p.membership_id}
        memberships = await self._all("membership", frozenset(named), self._gateway.membership)
        refunds += await self._refunds_of(needs)
        return Evidence(
            memberships=tuple(memberships),
            payments=tuple(payments),
            refunds=tuple(refunds),
            invoices=tuple(invoices),
            contested=tuple(contested),
            from_gateway=True,
        )

    async def _contested(self, needs: Needs) -> list[Contested]:
        found: list[Contested] = []
        found += await self._all("dispute", needs.disputes, self._gateway.dispute)
        found += await self._all("dispute_alert", needs.alerts, self._gateway.dispute_alert)
        found += await self._all("resolution_case", needs.cases, self._gateway.resolution_case)
        return found

    async def _refunds_of(self, needs: Needs) -> list[RefundSnapshot]:
        lists = await self._all("refunds_of", needs.refunds_of, self._gateway.refunds_of)
        return [refund for refunds in lists for refund in refunds]

    async def _all(self, kind: str, ids: frozenset[str], call: Callable[[str], Awaitable[Object]]) -> list[Object]:
        return list(await asyncio.gather(*(self._one(kind, object_id, call) for object_id in sorted(ids))))

    async def _one(self, kind: str, object_id: str, call: Callable[[str], Awaitable[Object]]) -> Object:
        key = (kind, object_id)
        if key not in self._calls:
            self._calls[key] = asyncio.create_task(self._limited(call, object_id))
        return await self._calls[key]  # type: ignore[return-value]

    async def _limited(self, call: Callable[[str], Awaitable[Object]], object_id: str) -> Object:
        async with self._slots:
            return await call(object_id)
