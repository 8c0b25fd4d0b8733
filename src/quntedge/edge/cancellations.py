"""Cancellations and withdrawals under an idempotency key: the same for the API and for the pages' forms.

What somebody writes or signs with is no part of what a key is compared by: a digest of few words can be guessed, and
stays in the table.
"""

from quntedge.cancellations.queries import CancellationView
from quntedge.cancellations.rules import Timing
from quntedge.cancellations.service import new_cancellation_id
from quntedge.cancellations.withdrawals import WithdrawalView, new_withdrawal_id
from quntedge.edge.idempotent import Outcome, once
from quntedge.edge.limits import Limit
from quntedge.edge.services import Services

CANCEL = "subscription.cancel"
WITHDRAW = "subscription.withdraw"


async def cancel_once(
    services: Services, user_id: str, key: str | None, *, when: Timing | None, reason: str | None, feedback: str | None
) -> CancellationView:
    """One cancellation for each key. Raises the errors of the key and of `CancellationService.cancel`."""
    services.limits.hit(Limit.CHECKOUT, user_id)

    async def work(cancellation_id: str) -> Outcome:
        view = await services.cancellations.service.cancel(
            user_id, key=cancellation_id, when=when, reason=reason, feedback=feedback
        )
        return Outcome(view.to_json(), final=view.settled)

    fresh_id = new_cancellation_id(services.clock.now())
    answer = await once(services, user_id, key, CANCEL, {"when": when, "reason": reason}, fresh_id, work)
    return CancellationView.from_json(answer)


async def withdraw_once(
    services: Services, user_id: str, key: str | None, *, contract: str, name: str
) -> WithdrawalView:
    """One withdrawal for each key. Raises the errors of the key and of `WithdrawalService.withdraw`."""
    services.limits.hit(Limit.CHECKOUT, user_id)

    async def work(withdrawal_id: str) -> Outcome:
        await services.cancellations.withdrawals.withdraw(user_id, key=withdrawal_id, contract=contract, name=name)
        # The declaration is kept sealed; what is remembered with the key is only that it was made.
        return Outcome({"contract": contract})

    fresh_id = new_withdrawal_id(services.clock.now())
    await once(services, user_id, key, WITHDRAW, {"contract": contract}, fresh_id, work)
    return await services.cancellations.withdrawals.preview(user_id)
