"""Reads from the gateway what events need, each object once however many events ask for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

from quntedge.gateway.port import EventKind, Gateway, GatewayEvent, RefundSnapshot
from quntedge.webhooks.apply import Evidence
from quntedge.webhooks.needs import Needs, needs_of

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


class _Reading:
    """One round of reads. Calls for the same object share one request."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._calls: dict[tuple[str, str], asyncio.Task[object]] = {}
        self._slots = asyncio.Semaphore(CONCURRENT_READS)

    async def evidence(self, event: GatewayEvent) -> Evidence:
        needs = needs_of(event)
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
            from_gateway=True,
            payment_failed=event.kind is EventKind.INVOICE_PAYMENT_FAILED,
            trial_ending=event.kind is EventKind.MEMBERSHIP_TRIAL_ENDING,
        )

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
