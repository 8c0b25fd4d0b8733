"""How an accepted discount reaches the next charges: a promo code of one use is made, then applied."""

from typing import Any, Protocol

from sqlalchemy import update

from quntedge.cancellations.models import SaveOfferOutcome
from quntedge.cancellations.offers import KIND
from quntedge.gateway.acts import GatewayPromo, MembershipActs, PercentOff, PromoActs, PromoRequest
from quntedge.gateway.port import MembershipSnapshot
from quntedge.kit.money import Money
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.service import SubscriptionService


class OfferGateway(MembershipActs, PromoActs, Protocol):
    """What is needed of the gateway."""


class SaveOfferSteps:
    """The steps. The code follows from the offer's id, so that it can be found again after an unclear outcome."""

    def __init__(self, gateway: OfferGateway, subscriptions: SubscriptionService) -> None:
        self._gateway = gateway
        self._subscriptions = subscriptions

    def definition(self) -> Definition:
        """The kind of process, for the runner."""
        return Definition.of(
            KIND,
            Step("promo", self._settle_promo, call=self._make, look=self._find),
            Step("apply", self._settle_apply, call=self._apply, look=self._look_applied),
            given_up=self._given_up,
        )

    async def _make(self, run: Run) -> Answer:
        found = await self._find(run)  # of an earlier acceptance that came to nothing
        if found is not None:
            return found
        promo = await self._gateway.create_promo(
            PromoRequest(
                code=_code(run),
                amount_off=_off(run),
                plan_ids=[run.data["whop_plan_id"]],
                periods=run.data["periods"],
            ),
            idempotency_key=run.key,
        )
        return Answer({"promo_id": promo.promo_id})

    async def _find(self, run: Run) -> Answer | None:
        promo = await self._promo(run)
        return None if promo is None else Answer({"promo_id": promo.promo_id})

    async def _promo(self, run: Run) -> GatewayPromo | None:
        promos = await self._gateway.promos(plan_id=run.data["whop_plan_id"])
        return next((promo for promo in promos if promo.code == _code(run)), None)

    async def _settle_promo(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        return GoTo("apply")

    async def _apply(self, run: Run) -> Answer:
        snapshot = await self._gateway.apply_promo(run.data["membership_id"], _code(run), idempotency_key=run.key)
        return Answer(object=snapshot)

    async def _look_applied(self, run: Run) -> Answer | None:
        """Nobody else knows the code: once it was used, it was used here."""
        promo = await self._promo(run)
        if promo is None or not promo.uses:
            return None
        return Answer(object=await self._gateway.membership(run.data["membership_id"]))

    async def _settle_apply(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        snapshot: MembershipSnapshot = answer.object
        await self._subscriptions.observe(unit, snapshot, cause=run.data["offer_id"], actor=run.data["actor"])
        await self._note(unit, run, state="accepted", failure=None, decided_at=unit.clock.now())
        return Finish()

    async def _given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        """Nothing was given, so the offer stands: it can be accepted once more. A code that was made and not used stays
        at the gateway for that: nobody knows it, and it has one use."""
        await self._note(unit, run, state="shown", failure=why.reason)

    @staticmethod
    async def _note(unit: UnitOfWork, run: Run, **values: Any) -> None:
        await unit.session.execute(
            update(SaveOfferOutcome).where(SaveOfferOutcome.id == run.data["offer_id"]).values(**values)
        )


def _code(run: Run) -> str:
    return f"STAY-{run.data['offer_id'].removeprefix('ofr_').upper()}"


def _off(run: Run) -> Money | PercentOff:
    if run.data["percent_bp"] is not None:
        return PercentOff(run.data["percent_bp"], run.data["currency"])
    return Money(run.data["amount_minor"], run.data["currency"])
