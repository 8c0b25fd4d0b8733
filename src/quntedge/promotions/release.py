"""Giving a held use back: only once the gateway has said that the code was not used, and cannot be any more."""

from datetime import timedelta

from quntedge.gateway.acts import GatewayPromo, PromoActs
from quntedge.gateway.errors import GatewayNotFound
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step, WaitFor
from quntedge.promotions.models import RELEASED, RELEASING, USED, PromotionReservation
from quntedge.promotions.reserving import KIND, give_back, locked
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

WAIT = timedelta(days=1)
MOST_WAITS = 14
"""How often a code is looked at that was used at the gateway without a payment that we know of: a transfer takes
days, and one that bounces gives the use back."""


class Release:
    """The steps: look (used already?), archive, confirm (used meanwhile?).

    A code that was used is never archived: nobody says what that would do to the charges it still has to lower.
    """

    def __init__(self, units: UnitOfWorkFactory, gateway: PromoActs) -> None:
        self._units = units
        self._gateway = gateway

    def definition(self) -> Definition:
        """The kind of process, for the runner."""
        return Definition.of(
            KIND,
            Step("look", self._looked, call=self._look),
            Step("archive", self._archived, call=self._archive),
            Step("confirm", self._confirmed, call=self._look),
            given_up=self._given_up,
        )

    async def _look(self, run: Run) -> Answer:
        async with self._units() as unit:
            held = await unit.session.get_one(PromotionReservation, run.subject_id)
            promo_id, code, plan_id = held.whop_promo_id, held.whop_code, held.whop_plan_id
        promo = await self._find(promo_id, code, plan_id)
        return Answer({"promo_id": promo and promo.promo_id, "uses": promo.uses if promo else 0})

    async def _find(self, promo_id: str | None, code: str, plan_id: str) -> GatewayPromo | None:
        """The code at the gateway. One whose creation we never heard the end of is found by its text."""
        if promo_id is None:
            return next((promo for promo in await self._gateway.promos(plan_id=plan_id) if promo.code == code), None)
        try:
            return await self._gateway.promo(promo_id)
        except GatewayNotFound:
            return None

    async def _looked(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        held = await locked(unit, run.subject_id)
        if held.state != RELEASING:
            return Finish()  # a payment with it has arrived meanwhile
        promo_id = answer.data["promo_id"]
        if promo_id is None:
            return await self._give_back(unit, held, run)
        if held.whop_promo_id is None:
            held.whop_promo_id = promo_id
        if not answer.data["uses"]:
            return GoTo("archive", {"promo_id": promo_id})
        waits = int(run.data.get("waits", 0)) + 1
        if waits <= MOST_WAITS:
            return WaitFor("look", run.now + WAIT, {"waits": waits})
        held.state, held.ended_at = USED, run.now
        return Finish()

    async def _archive(self, run: Run) -> Answer:
        await self._gateway.archive_promo(run.data["promo_id"])
        return Answer()

    async def _archived(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        return GoTo("confirm")

    async def _confirmed(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        if answer.data["uses"]:
            return WaitFor("look", run.now + WAIT)
        held = await locked(unit, run.subject_id)
        return await self._give_back(unit, held, run) if held.state == RELEASING else Finish()

    @staticmethod
    async def _give_back(unit: UnitOfWork, held: PromotionReservation, run: Run) -> Next:
        held.state, held.ended_at = RELEASED, run.now
        await unit.session.flush()
        await give_back(unit.session, held)
        return Finish()

    @staticmethod
    async def _given_up(unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        """The gateway refuses to tell. The use stays counted: a limit is never passed by not knowing."""
