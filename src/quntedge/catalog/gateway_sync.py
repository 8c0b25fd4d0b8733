"""Making the gateway sell exactly what we sell: one plan there for each price of a current version here."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Update, select, update

from quntedge.catalog.models import Plan, PlanPrice
from quntedge.catalog.rules import GatewayPlanDiffers
from quntedge.catalog.versions import GatewayStep, PriceRef
from quntedge.gateway.acts import AccountActs
from quntedge.gateway.port import Gateway, GatewayPlan, PlanRequest
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWorkFactory

PLAN_KEY = "quntedge_plan"
VERSION_KEY = "quntedge_version"
CURRENCY_KEY = "quntedge_currency"
PRODUCT_KEY = "quntedge_product"
_PRODUCT = "main"


class CatalogGateway(Gateway, AccountActs, Protocol):
    """What of the gateway the catalogue needs."""


OnStep = Callable[[GatewayStep, int, int], None]
"""Hears of a step that has been done, with its number from 1 and how many there are in all."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation did.

    `created` were made at the gateway, `adopted` were there with our mark and are now linked, `archived` are off sale
    now, `missing` are linked to a plan that the gateway does not sell any more: nobody can buy them until somebody has
    looked.
    """

    created: tuple[PriceRef, ...] = ()
    adopted: tuple[PriceRef, ...] = ()
    archived: tuple[PriceRef, ...] = ()
    missing: tuple[PriceRef, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A price of ours, as far as the gateway is concerned."""

    ref: PriceRef
    plan_id: str
    name: str
    tagline: str
    offered: bool
    price: Money
    period_days: int | None
    trial_days: int
    whop_plan_id: str | None
    gateway_archived: bool


class GatewaySync:
    """Brings the gateway to what the database says."""

    def __init__(self, units: UnitOfWorkFactory, gateway: CatalogGateway, product_title: str) -> None:
        self._units = units
        self._gateway = gateway
        self._product_title = product_title

    async def run(self, on_step: OnStep | None = None) -> SyncReport:
        """Makes every plan for sale that the gateway lacks and remembers its id, then archives what is sold no longer.

        It looks before it creates, by the mark in the metadata, each creation has its own idempotency key, and each
        step is kept before the next: a crash at any point never leads to a second product or plan, and the next run
        goes on where this one ended. Raises `GatewayPlanDiffers` when a marked plan has other terms than ours, and the
        gateway's errors.
        """
        prices = await self._prices()
        there = await self._gateway.plans()
        marked = {ref: plan for plan in there if not plan.archived and (ref := mark_of(plan)) is not None}
        sold = {plan.plan_id for plan in there if not plan.archived}
        lacking = [held for held in prices if held.offered and held.whop_plan_id is None]
        leftover = [
            (held, plan_id)
            for held in prices
            if not held.offered and (plan_id := _to_archive(held, marked)) is not None
        ]
        total = len(lacking) + len(leftover)
        created, adopted, archived = [], [], []
        product_id: str | None = None
        for number, held in enumerate(lacking, start=1):
            found = marked.get(held.ref)
            if found is None:
                product_id = product_id or await self._product()
                found = await self._create(held, product_id)
                created.append(held.ref)
            else:
                _refuse_other_terms(held, found)
                adopted.append(held.ref)
            await self._link(held, found)
            _tell(on_step, GatewayStep("create", held.ref, held.price), number, total)
        for number, (held, whop_plan_id) in enumerate(leftover, start=len(lacking) + 1):
            await self._gateway.archive_plan(whop_plan_id)
            await self._archived(held, whop_plan_id)
            archived.append(held.ref)
            _tell(on_step, GatewayStep("archive", held.ref, held.price), number, total)
        return SyncReport(tuple(created), tuple(adopted), tuple(archived), tuple(_missing(prices, sold)))

    async def _prices(self) -> list[_Held]:
        async with self._units() as unit:
            rows = await unit.session.execute(
                select(Plan, PlanPrice)
                .join(PlanPrice, PlanPrice.plan_id == Plan.id)
                .where(Plan.kind != "free")
                .order_by(Plan.position, Plan.code, PlanPrice.version, PlanPrice.currency != Plan.currency)
                .order_by(PlanPrice.currency)
            )
            return [_held(plan, price) for plan, price in rows]

    async def _product(self) -> str:
        for product in await self._gateway.products():
            if product.metadata.get(PRODUCT_KEY) == _PRODUCT:
                return product.product_id
        product = await self._gateway.create_product(
            self._product_title,
            metadata={PRODUCT_KEY: _PRODUCT},
            idempotency_key=_idempotency_key("product", _PRODUCT, self._product_title),
        )
        return product.product_id

    async def _create(self, held: _Held, product_id: str) -> GatewayPlan:
        request = PlanRequest(
            product_id=product_id,
            title=held.name,
            price=held.price,
            period_days=held.period_days,
            trial_days=held.trial_days or None,
            description=held.tagline or None,
            metadata=metadata_of(held.ref),
        )
        # The key covers the content too: after a correction the gateway must not answer with the old refusal.
        return await self._gateway.create_plan(
            request, idempotency_key=_idempotency_key("plan", held.plan_id, repr(request))
        )

    async def _link(self, held: _Held, found: GatewayPlan) -> None:
        async with self._units() as unit:
            now = unit.clock.now()
            await unit.session.execute(_row(held).values(whop_plan_id=found.plan_id))
            await unit.session.execute(
                update(Plan).where(Plan.id == held.plan_id).values(whop_product_id=found.product_id, updated_at=now)
            )
            await unit.commit()

    async def _archived(self, held: _Held, whop_plan_id: str) -> None:
        async with self._units() as unit:
            await unit.session.execute(_row(held).values(whop_plan_id=whop_plan_id, whop_archived_at=unit.clock.now()))
            await unit.commit()


def metadata_of(ref: PriceRef) -> Mapping[str, str]:
    """The mark by which a plan at the gateway is known to be ours."""
    return {PLAN_KEY: ref.plan_code, VERSION_KEY: str(ref.version), CURRENCY_KEY: ref.currency}


def mark_of(plan: GatewayPlan) -> PriceRef | None:
    """What a plan at the gateway is to us; None for a foreign one.

    Plans that were made before there were versions carry their code only: they are the first version.
    """
    code = plan.metadata.get(PLAN_KEY)
    version = plan.metadata.get(VERSION_KEY, "1")
    currency = plan.metadata.get(CURRENCY_KEY) or (plan.price.currency if plan.price is not None else None)
    if code is None or currency is None or not version.isdecimal():
        return None
    return PriceRef(code, int(version), currency)


def _held(plan: Plan, price: PlanPrice) -> _Held:
    return _Held(
        ref=PriceRef(plan.code, price.version, price.currency),
        plan_id=plan.id,
        name=plan.name,
        tagline=plan.tagline,
        offered=plan.archived_at is None and price.retired_at is None,
        price=Money(price.price_minor, price.currency),
        period_days=price.period_days,
        trial_days=price.trial_days,
        whop_plan_id=price.whop_plan_id,
        gateway_archived=price.whop_archived_at is not None,
    )


def _to_archive(held: _Held, marked: Mapping[PriceRef, GatewayPlan]) -> str | None:
    """The gateway's plan for a price we do not offer; also one whose creation we never heard the end of."""
    if held.gateway_archived:
        return None
    if held.whop_plan_id is not None:
        return held.whop_plan_id
    unlinked = marked.get(held.ref)
    return unlinked.plan_id if unlinked is not None else None


def _missing(prices: Iterable[_Held], sold: set[str]) -> list[PriceRef]:
    return [held.ref for held in prices if held.offered and held.whop_plan_id and held.whop_plan_id not in sold]


def _row(held: _Held) -> Update:
    return update(PlanPrice).where(
        PlanPrice.plan_id == held.plan_id,
        PlanPrice.version == held.ref.version,
        PlanPrice.currency == held.ref.currency,
    )


def _tell(on_step: OnStep | None, step: GatewayStep, number: int, total: int) -> None:
    if on_step is not None:
        on_step(step, number, total)


def _refuse_other_terms(held: _Held, found: GatewayPlan) -> None:
    """What the gateway did not tell is not compared; a trial of nothing is no trial."""
    ours = {"price": held.price, "period_days": held.period_days, "trial_days": held.trial_days or None}
    theirs = {"price": found.price, "period_days": found.period_days, "trial_days": found.trial_days or None}
    for name, value in ours.items():
        told = name != "price" or found.price is not None
        if told and theirs[name] != value:
            raise GatewayPlanDiffers(
                f"Whop's plan {found.plan_id} carries our mark for {held.ref} but its {name} is {theirs[name]}, ours "
                f"is {value}. Archive that plan at Whop, or give ours a new code."
            )


def _idempotency_key(kind: str, name: str, content: str) -> str:
    return f"quntedge-{kind}-{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
