"""What dunning has the gateway do, as processes: cut off anywhere, they end right, and nothing is charged twice."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from quntedge.dunning.cases import Cases, Situation
from quntedge.dunning.models import DunningCase
from quntedge.dunning.rules import LOOK_AGAIN, Actor, State
from quntedge.dunning.service import END, RETRY
from quntedge.gateway.acts import MembershipActs, MethodActs, PaymentActs, SetupActs
from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import MembershipSnapshot, MembershipStatus, PaymentSnapshot, PaymentStatus
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.service import SubscriptionService

PAY = "dunning_pay"
"""Kind of the process by which a customer pays an open amount with a card of their choice."""

REASON = "The renewal was not paid."
"""Told to the gateway when we end a subscription."""

_ENDED = (MembershipStatus.CANCELED, MembershipStatus.EXPIRED)


class DunningGateway(PaymentActs, MembershipActs, MethodActs, SetupActs, Protocol):
    """What dunning needs of the gateway."""


class DunningProcesses:
    """The three processes. They share how the gateway's word is taken over into our tables."""

    def __init__(
        self,
        gateway: DunningGateway,
        subscriptions: SubscriptionService,
        payments: PaymentService,
        *,
        default_zone: str = "UTC",
    ) -> None:
        self._gateway = gateway
        self._subscriptions = subscriptions
        self._payments = payments
        self._default_zone = default_zone

    def definitions(self) -> list[Definition]:
        """To be made known to the runner."""
        return [
            Definition.of(
                RETRY,
                Step("look", self._looked, call=self._look),
                Step("retry", self._tried, call=self._retry, look=self._find_attempt, refused=_check_refusal),
                Step("check", self._checked, call=self._look),
                given_up=self._given_up,
            ),
            Definition.of(
                END,
                Step("look", self._looked_at_end, call=self._look),
                Step("cancel", self._canceled, call=self._cancel, look=self._find_end, refused=_verify_refusal),
                Step("verify", self._verified, call=self._look),
                given_up=self._given_up,
            ),
            Definition.of(
                PAY,
                Step("use", self._used, call=self._use, look=self._find_attempt, refused=self._method_refused),
                Step("see", self._seen, call=self._look),
                given_up=self._given_up,
            ),
        ]

    async def _look(self, run: Run) -> Answer:
        """Payment and membership as they are now."""
        payment = await self._gateway.payment(run.data["payment"])
        membership = await self._gateway.membership(run.data["membership"])
        said = {"status": payment.raw_status, "failed": payment.payments_failed, "retryable": payment.retryable}
        return Answer(said | {"membership": membership.raw_status}, object=(payment, membership))

    async def _looked(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """Tries again if it is time to, and nothing has happened meanwhile that makes it wrong."""
        payment, membership = answer.object
        cases, found = await self._take_over(unit, run, payment, membership)
        if found is None:
            return Finish({"outcome": "closed"})
        due = found.timetable.next_attempt_at
        if due is None or due > unit.clock.now():
            _release(cases, found.case)
            return Finish({"outcome": "not_now"})
        if not payment.retryable:
            found.case.retries_refused = True
            _release(cases, found.case)
            return Finish({"outcome": "not_retryable"})
        found.case.attempts_own += 1
        cases.begin_attempt(found.case, Actor.US)
        return GoTo("retry", {"failed_before": payment.payments_failed})

    async def _retry(self, run: Run) -> Answer:
        payment = await self._gateway.retry_payment(run.data["payment"], idempotency_key=run.key)
        return Answer({"status": payment.raw_status}, object=(payment, None))

    async def _find_attempt(self, run: Run) -> Answer | None:
        """Whether the payment was tried since we meant to: by us or by anybody, it is not to be tried again."""
        payment = await self._gateway.payment(run.data["payment"])
        tried = payment.payments_failed > run.data["failed_before"] or payment.status is not PaymentStatus.OPEN
        return Answer({"status": payment.raw_status, "found": True}, object=(payment, None)) if tried else None

    async def _tried(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        cases, found = await self._take_over(unit, run, *answer.object)
        if found is not None:
            _release(cases, found.case)
        return Finish({"outcome": "tried"})

    async def _checked(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """The gateway has refused. If the payment was not tried after all, it does not want us to try any more."""
        cases, found = await self._take_over(unit, run, *answer.object)
        if found is not None:
            if found.held.trying_since is not None:
                cases.refuse_attempt(found.case)
                found.case.retries_refused = True
            _release(cases, found.case)
        return Finish({"outcome": "refused"})

    async def _looked_at_end(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """Ends it, unless it was paid, or something else was planned, since that was decided."""
        cases, found = await self._take_over(unit, run, *answer.object)
        if found is None:
            return Finish({"outcome": "closed"})
        due = found.timetable.end_at
        if due is None or due > unit.clock.now():
            _release(cases, found.case)
            return Finish({"outcome": "not_now"})
        found.case.ending = True
        return GoTo("cancel")

    async def _cancel(self, run: Run) -> Answer:
        membership = await self._gateway.cancel_membership(
            run.data["membership"], at_period_end=False, reason=REASON, idempotency_key=run.key
        )
        return Answer({"membership": membership.raw_status}, object=membership)

    async def _find_end(self, run: Run) -> Answer | None:
        membership = await self._gateway.membership(run.data["membership"])
        ended = membership.status in _ENDED
        return Answer({"membership": membership.raw_status, "found": True}, object=membership) if ended else None

    async def _canceled(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._take_over(unit, run, None, answer.object)
        return GoTo("verify")

    async def _verified(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """Whoever paid in the moment in which we ended it has paid for nothing: that is left to somebody to mend."""
        _, found = await self._take_over(unit, run, *answer.object)
        if found is not None:
            return GiveUp("still_running", "The gateway did not end the membership.")
        return Finish({"outcome": "ended"})

    async def _use(self, run: Run) -> Answer:
        membership = await self._gateway.use_method(run.data["membership"], run.data["method"])
        return Answer({"membership": membership.raw_status}, object=(None, membership))

    async def _used(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._take_over(unit, run, *answer.object)
        return GoTo("see")

    async def _method_refused(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        cases = Cases(unit, self._default_zone)
        await cases.load_ids([run.subject_id])
        for case in cases.open_cases():
            cases.refuse_attempt(case)
            _release(cases, case)
        return Finish({"refused": str(error)[:200]})

    async def _seen(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        cases, found = await self._take_over(unit, run, *answer.object)
        if found is not None:
            _release(cases, found.case)
        return Finish({"outcome": "tried"})

    async def _given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        """The gateway gives no sense. Nothing more is done by itself until it does, but the case stays."""
        cases = Cases(unit, self._default_zone)
        await cases.load_ids([run.subject_id])
        for case in cases.open_cases():
            cases.refuse_attempt(case)
            case.needs_review, case.ending, case.looked_at = True, False, unit.clock.now()
            _release(cases, case)

    async def _take_over(
        self, unit: UnitOfWork, run: Run, payment: PaymentSnapshot | None, membership: MembershipSnapshot | None
    ) -> tuple[Cases, Situation | None]:
        """Applies what the gateway has just answered, as a delivery of it would be; the case afterwards, if it is open.

        Subscription, then payment, then case: everybody locks them in this order.
        """
        if membership is not None:
            await self._subscriptions.observe(unit, membership, cause=run.id, actor="system")
        if payment is not None:
            await self._payments.apply(unit, [ObservedPayment(payment, run.id, from_gateway=True)], _no_links)
        await unit.dispatch()
        cases = Cases(unit, self._default_zone)
        await cases.load_ids([run.subject_id])
        now = unit.clock.now()
        for case in cases.open_cases():
            if payment is not None and membership is not None:
                case.looked_at, case.needs_review = now, False
        cases.refresh()
        for case in cases.open_cases():
            found = cases.situation(case)
            if found.held.trying_since is not None and found.held.trying_since + LOOK_AGAIN <= now:
                cases.refuse_attempt(case)  # after a day the gateway would show it
                found = cases.situation(case)
            return cases, found
        return cases, None


def _release(cases: Cases, case: DunningCase) -> None:
    """The process lets go of its case: it is planned anew."""
    case.process_id = None
    if case.state == State.OPEN:
        cases.plan(case)


async def _check_refusal(unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
    return GoTo("check", {"refused": str(error)[:200]})


async def _verify_refusal(unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
    return GoTo("verify", {"refused": str(error)[:200]})


async def _no_links(unit: UnitOfWork, observed: Sequence[ObservedPayment]) -> Mapping[str, PaymentLink]:
    """A payment that has a case is one we know."""
    return {}
