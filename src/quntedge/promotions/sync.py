"""Codes that stand at the gateway under their own name, for those who buy there without our pages.

A promo code cannot be edited there: when its terms change it is archived and made again. Each step is written down
before the next, so an interrupted synchronisation goes on where it stopped, and makes nothing twice.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import or_, select

from quntedge.catalog.models import Plan, PlanPrice
from quntedge.gateway.acts import PercentOff, PromoActs, PromoRequest
from quntedge.kit.money import Money
from quntedge.processes.runner import ProcessRunner, ProcessRunning
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, State, Step
from quntedge.promotions.models import Promotion, PromotionAmount, PromotionCode, PromotionPlan
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

KIND = "promotion_sync"
"""Kind of the process that brings one code to the gateway, or takes it away; its subject is the code."""

OnCode = Callable[[str, int, int], None]
"""Hears of a code that has been dealt with, with its number from 1 and how many there are."""


@dataclass(frozen=True, slots=True)
class PromoSyncReport:
    """What was done: codes that stand at the gateway now, that were taken away, and that it refused (with why)."""

    made: tuple[str, ...] = ()
    archived: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pending:
    """A code whose place at the gateway is not what it should be. `make` tells whether it should stand there."""

    code_id: str
    code: str
    make: bool


class PromotionSync:
    """Finds what is to be done and does it, one process for each code."""

    def __init__(self, units: UnitOfWorkFactory, processes: ProcessRunner, gateway: PromoActs) -> None:
        """Makes the kind of process known to the runner."""
        self._units = units
        self._processes = processes
        self._gateway = gateway
        processes.add(
            Definition.of(
                KIND,
                Step("begin", self._begun),
                Step("archive", self._archived, call=self._archive),
                Step("create", self._created, call=self._create, look=self._find),
                given_up=self._given_up,
            )
        )

    async def pending(self) -> list[Pending]:
        """What a synchronisation would do. The gateway is not asked."""
        async with self._units() as unit:
            rows = await unit.session.execute(
                select(PromotionCode, Promotion)
                .join(Promotion, Promotion.id == PromotionCode.promotion_id)
                .where(or_(Promotion.at_whop, PromotionCode.whop_promo_id.is_not(None)))
                .order_by(PromotionCode.id)
            )
            found = []
            for code, promotion in rows.all():
                wanted = await _wanted(unit, code, promotion)
                terms = None if wanted is None else _digest(wanted)
                if terms != code.whop_terms or (wanted is None) != (code.whop_promo_id is None):
                    found.append(Pending(code.id, code.code, wanted is not None))
            return found

    async def run(self, on_code: OnCode | None = None) -> PromoSyncReport:
        """Does what is pending, code by code. Raises the gateway's errors when it does not answer."""
        pending = await self.pending()
        made, archived, refused = [], [], {}
        for number, one in enumerate(pending, start=1):
            failure = await self._one(one)
            if failure is not None:
                refused[one.code] = failure
            elif one.make:
                made.append(one.code)
            else:
                archived.append(one.code)
            if on_code is not None:
                on_code(one.code, number, len(pending))
        return PromoSyncReport(tuple(made), tuple(archived), refused)

    async def _one(self, one: Pending) -> str | None:
        async with self._units() as unit:
            try:
                process_id = await self._processes.start(unit, KIND, one.code_id)
            except ProcessRunning:
                running = await self._processes.running(unit, KIND, one.code_id)
                if running is None:
                    return None
                process_id = running
            await unit.commit()
        view = await self._processes.run(process_id)
        if view is None or view.state is State.DONE:
            return None
        return view.reason or "not finished; a worker goes on with it"

    async def _begun(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        code, promotion = await _locked(unit, run.subject_id)
        wanted = await _wanted(unit, code, promotion)
        if code.whop_promo_id is not None and (wanted is None or _digest(wanted) != code.whop_terms):
            return GoTo("archive", {"promo_id": code.whop_promo_id})
        return GoTo("create") if wanted is not None and code.whop_promo_id is None else Finish()

    async def _archive(self, run: Run) -> Answer:
        await self._gateway.archive_promo(run.data["promo_id"])
        return Answer()

    async def _archived(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        code, promotion = await _locked(unit, run.subject_id)
        code.whop_promo_id = code.whop_terms = None
        return GoTo("create") if await _wanted(unit, code, promotion) is not None else Finish()

    async def _create(self, run: Run) -> Answer:
        request = await self._request(run)
        if request is None:
            return Answer({"promo_id": None})
        promo = await self._gateway.create_promo(request, idempotency_key=run.key)
        return Answer({"promo_id": promo.promo_id, "terms": _digest(request)})

    async def _find(self, run: Run) -> Answer | None:
        request = await self._request(run)
        if request is None:
            return None
        promos = await self._gateway.promos(plan_id=request.plan_ids[0])
        found = next((promo for promo in promos if promo.code == request.code and not promo.archived), None)
        return None if found is None else Answer({"promo_id": found.promo_id, "terms": _digest(request)})

    async def _created(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        code, _ = await _locked(unit, run.subject_id)
        if answer.data["promo_id"] is not None:
            code.whop_promo_id, code.whop_terms = answer.data["promo_id"], answer.data["terms"]
        return Finish()

    @staticmethod
    async def _given_up(unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        """The code goes on being pending: the next synchronisation tries again, and says why it failed."""

    async def _request(self, run: Run) -> PromoRequest | None:
        async with self._units() as unit:
            code, promotion = await _locked(unit, run.subject_id)
            return await _wanted(unit, code, promotion)


async def _locked(unit: UnitOfWork, code_id: str) -> tuple[PromotionCode, Promotion]:
    code = await unit.session.get_one(PromotionCode, code_id, with_for_update=True, populate_existing=True)
    return code, await unit.session.get_one(Promotion, code.promotion_id, populate_existing=True)


async def _wanted(unit: UnitOfWork, code: PromotionCode, promotion: Promotion) -> PromoRequest | None:
    """The promo code that should stand at the gateway; None where none should, or no plan of it is sold there yet."""
    if not promotion.at_whop or _is_over(code, promotion, unit.clock.now()):
        return None
    amount = await unit.session.scalar(select(PromotionAmount).where(PromotionAmount.promotion_id == promotion.id))
    plans = await _gateway_plans(unit, promotion, None if amount is None else amount.currency)
    if not plans:
        return None
    if amount is not None:
        off: Money | PercentOff = Money(amount.amount_minor, amount.currency)
    else:
        # Whop wants a currency with a share, too; it applies to prices in any.
        off = PercentOff(promotion.percent_bp or 0, plans[0][1])
    return PromoRequest(
        code=code.code,
        amount_off=off,
        plan_ids=[plan_id for plan_id, _ in plans],
        uses=None,
        expires_at=promotion.ends_at,
        periods=promotion.periods,
    )


def _is_over(code: PromotionCode, promotion: Promotion, now: datetime) -> bool:
    if code.archived_at is not None or promotion.archived_at is not None:
        return True
    return promotion.ends_at is not None and promotion.ends_at <= now


async def _gateway_plans(unit: UnitOfWork, promotion: Promotion, currency: str | None) -> list[tuple[str, str]]:
    """The gateway's plans for what is sold now (id and currency), in an order that does not change by itself."""
    statement = (
        select(PlanPrice.whop_plan_id, PlanPrice.currency)
        .join(Plan, Plan.id == PlanPrice.plan_id)
        .where(PlanPrice.whop_plan_id.is_not(None), PlanPrice.retired_at.is_(None), Plan.archived_at.is_(None))
        .order_by(PlanPrice.whop_plan_id)
    )
    if not promotion.every_plan:
        named = select(PromotionPlan.plan_id).where(PromotionPlan.promotion_id == promotion.id)
        statement = statement.where(PlanPrice.plan_id.in_(named))
    if currency is not None:
        statement = statement.where(PlanPrice.currency == currency)
    return [(str(plan_id), code) for plan_id, code in await unit.session.execute(statement)]


def _digest(request: PromoRequest) -> str:
    return hashlib.sha256(repr(request).encode()).hexdigest()[:32]
