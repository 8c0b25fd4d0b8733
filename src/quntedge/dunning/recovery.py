"""What a customer does about an open payment: look, confirm with the bank, pay with another card."""

from dataclasses import dataclass

from sqlalchemy import select

from quntedge.dunning.cases import Cases
from quntedge.dunning.errors import MethodNotFound, MethodRefused, NothingToConfirm, NothingToRecover, RecoveryRunning
from quntedge.dunning.gateway_steps import PAY, DunningGateway
from quntedge.dunning.models import DunningCase
from quntedge.dunning.queries import CaseView, open_case
from quntedge.dunning.rules import Actor, State
from quntedge.gateway.acts import StoredMethod
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.models import SubscriptionMembership


@dataclass(frozen=True, slots=True)
class Recovery:
    """How paying went. `state` is `paid`, `processing` (the bank has not answered yet), or `failed`."""

    state: str
    case: CaseView | None


class RecoveryService:
    """Opens and commits its own units of work, because it calls the gateway."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: DunningGateway,
        base_url: str,
        *,
        default_zone: str = "UTC",
    ) -> None:
        """`base_url` is our own address: where the page that saves a card leads back to."""
        self._units = units
        self._processes = processes
        self._gateway = gateway
        self._back = f"{base_url.rstrip('/')}/billing/recover"
        self._default_zone = default_zone

    async def case(self, user_id: str) -> CaseView:
        """The customer's open case. Raises `NothingToRecover`."""
        async with self._units() as unit:
            found = await open_case(unit.session, user_id)
        if found is None:
            raise NothingToRecover("All your payments have gone through: there is nothing to pay now.")
        return found

    async def methods(self, case: CaseView) -> list[StoredMethod]:
        """The customer's saved means of payment, newest first. Raises the gateway's errors."""
        async with self._units() as unit:
            member_id = await unit.session.scalar(
                select(SubscriptionMembership.whop_member_id).where(
                    SubscriptionMembership.whop_membership_id == case.whop_membership_id
                )
            )
        return await self._gateway.methods_of(member_id) if member_id is not None else []

    async def confirm_url(self, user_id: str) -> str:
        """Where the customer confirms the payment with their bank. Asked for each time: such addresses do not last.

        Raises `NothingToRecover`, `NothingToConfirm`, and the gateway's errors.
        """
        case = await self.case(user_id)
        payment = await self._gateway.payment(case.whop_payment_id)
        if payment.recovery_url is None:
            raise NothingToConfirm("Your bank asks nothing about this payment now. Use another card, or wait a moment.")
        return payment.recovery_url

    async def new_card_url(self, user_id: str) -> str:
        """Where the customer saves another card. They come back to choose it. Raises the gateway's errors."""
        case = await self.case(user_id)
        page = await self._gateway.start_card_setup(
            self._back, metadata={"dunning_case": case.id}, idempotency_key=f"card-{case.id}"
        )
        return page.purchase_url

    async def pay_with(self, user_id: str, method_id: str) -> Recovery:
        """Uses this saved means of payment for the subscription from now on, and pays the open amount with it at once.

        Raises `NothingToRecover`, `MethodNotFound`, `RecoveryRunning` while another attempt is under way,
        `MethodRefused`, and the gateway's errors.
        """
        case = await self.case(user_id)
        if method_id not in {method.method_id for method in await self.methods(case)}:
            raise MethodNotFound("This is not one of your saved payment methods. Add it first, then choose it.")
        process_id = await self._prepare(case.id, method_id)
        view = await self._processes.run(process_id)
        if view is not None and "refused" in view.data:
            raise MethodRefused(
                "The payment provider does not accept this payment method for your subscription. Choose another one."
            )
        return await self._outcome(user_id, case.id)

    async def _prepare(self, case_id: str, method_id: str) -> str:
        """Writes down what is meant, before anything is sent."""
        async with self._units() as unit:
            cases = Cases(unit, self._default_zone)
            await cases.load_ids([case_id])
            cases.refresh()
            for case in cases.open_cases():
                _refuse_if_busy(cases, case)
                process_id = await self._processes.start(
                    unit,
                    PAY,
                    case.id,
                    user_id=case.user_id,
                    data={
                        "payment": case.whop_payment_id,
                        "membership": case.whop_membership_id,
                        "method": method_id,
                        "failed_before": case.attempts_gateway,
                    },
                )
                # A card that nobody has tried yet: all tries begin anew.
                case.method_changes += 1
                case.attempts_own, case.retries_refused = 0, False
                case.process_id = process_id
                cases.begin_attempt(case, Actor.CUSTOMER)
                cases.plan(case)
                await unit.commit()
                return process_id
        raise NothingToRecover("This payment is settled: there is nothing to pay now.")

    async def _outcome(self, user_id: str, case_id: str) -> Recovery:
        async with self._units() as unit:
            case = await unit.session.get_one(DunningCase, case_id)
            if case.state != State.OPEN:
                return Recovery("paid" if case.state == State.RECOVERED else "failed", None)
            view = await open_case(unit.session, user_id)
        return Recovery("processing" if view is not None and view.trying else "failed", view)


def _refuse_if_busy(cases: Cases, case: DunningCase) -> None:
    if case.process_id is not None or cases.situation(case).held.trying_since is not None:
        raise RecoveryRunning("This payment is being tried at this moment. Wait a minute, then look again.")
