"""What a customer has the gateway do with a saved means of payment, as processes: cut off anywhere, they end right."""

from datetime import datetime
from typing import Protocol

from sqlalchemy import select

from quntedge.gateway.acts import MembershipActs, MethodActs, PaymentActs, SetupActs
from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import MembershipSnapshot, PaymentSnapshot
from quntedge.methods.models import PaymentMethod
from quntedge.methods.queries import renewals
from quntedge.methods.rules import Paying
from quntedge.methods.sync import settle_default
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.service import SubscriptionService

USE = "payment_method_use"
"""Kind of the process by which a subscription is charged another way; its subject is the membership."""

REMOVE = "payment_method_remove"
"""Kind of the process by which a saved means of payment is forgotten; its subject is our id of it."""

REFUSED = "refused"
ASKED_AT = "asked_at"
"""When the customer chose, in ISO form: attempts before it are not of our doing."""


class MethodGateway(MethodActs, MembershipActs, PaymentActs, SetupActs, Protocol):
    """What this feature needs of the gateway."""


class MethodProcesses:
    """The two processes."""

    def __init__(self, gateway: MethodGateway, subscriptions: SubscriptionService) -> None:
        self._gateway = gateway
        self._subscriptions = subscriptions

    def definitions(self) -> list[Definition]:
        """To be made known to the runner."""
        return [
            Definition.of(
                USE,
                Step("use", self._used, call=self._use, look=self._find_use, refused=_note_refusal),
                given_up=_nothing_changed,
            ),
            Definition.of(
                REMOVE,
                Step("delete", self._removed, call=self._delete, look=self._find_removal, refused=_note_refusal),
                given_up=_nothing_changed,
            ),
        ]

    async def _use(self, run: Run) -> Answer:
        membership = await self._gateway.use_method(run.subject_id, run.data["whop_method"])
        return Answer({"membership": membership.raw_status}, object=membership)

    async def _find_use(self, run: Run) -> Answer | None:
        """A membership does not tell what it is charged with. But what is open is tried at once, and that is seen.

        Where nothing was open there is nothing to see, and nothing that telling the gateway again could do twice.
        """
        if ASKED_AT not in run.data:
            return None  # begun by a release that did not note it
        asked_at = datetime.fromisoformat(run.data[ASKED_AT])
        payments = await self._gateway.payments_of(run.subject_id)
        if not any(_tried_with(payment, run.data["whop_method"], asked_at) for payment in payments):
            return None
        membership = await self._gateway.membership(run.subject_id)
        return Answer({"membership": membership.raw_status, "found": True}, object=membership)

    async def _used(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        membership: MembershipSnapshot = answer.object
        await self._subscriptions.observe(unit, membership, cause=run.id, actor=f"customer:{run.user_id}")
        await note_choice(unit, run.user_id or "", run.data["whop_method"])
        return Finish({"outcome": "used"})

    async def _delete(self, run: Run) -> Answer:
        await self._gateway.delete_method(run.data["whop_method"], member_id=run.data["member"])
        return Answer()

    async def _find_removal(self, run: Run) -> Answer | None:
        left = await self._gateway.methods_of(run.data["member"])
        there = any(method.method_id == run.data["whop_method"] for method in left)
        return None if there else Answer({"found": True})

    @staticmethod
    async def _removed(unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        method = await unit.session.scalar(
            select(PaymentMethod).where(PaymentMethod.id == run.subject_id).with_for_update()
        )
        if method is not None and method.removed_at is None:
            now = unit.clock.now()
            method.removed_at, method.updated_at = now, now
            method.is_default, method.default_since, method.warn_at = False, None, None
        return Finish({"outcome": "removed"})


async def note_choice(unit: UnitOfWork, user_id: str, whop_method_id: str) -> None:
    """The gateway charges this method from now on."""
    renewal = (await renewals(unit.session, [user_id])).get(user_id)
    await settle_default(unit, user_id, renewal, Paying(whop_method_id, unit.clock.now()))


def _tried_with(payment: PaymentSnapshot, method_id: str, since: datetime) -> bool:
    """Whether a charge that had failed before was tried with this method since then; what came of it does not matter.

    One that never failed was a plain charge, which says nothing about our call.
    """
    tried_at = payment.last_attempt_at or payment.paid_at
    return (
        payment.payment_method_id == method_id
        and payment.payments_failed > 0
        and tried_at is not None
        and tried_at >= since
    )


async def _note_refusal(unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
    return Finish({REFUSED: str(error)[:200]})


async def _nothing_changed(unit: UnitOfWork, run: Run, why: GiveUp) -> None:
    """What pays stays what paid before; the process says why."""
