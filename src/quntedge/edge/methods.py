"""Choosing which saved means of payment pays: with an open payment it is paid at once, without one nothing is charged.

Following open payments and keeping methods are features of their own; here they meet.
"""

from enum import StrEnum

from quntedge.dunning.errors import MethodNotFound, MethodRefused, NothingToRecover, RecoveryRunning
from quntedge.dunning.queries import open_case
from quntedge.edge.services import Services
from quntedge.methods.errors import PaymentMethodBusy, PaymentMethodNotFound, PaymentMethodRefused
from quntedge.methods.service import Done


class Chosen(StrEnum):
    """How choosing went. `PAID` and `FAILED` tell of the open payment that was tried with it."""

    DONE = "done"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"


async def make_default(services: Services, user_id: str, method_id: str) -> Chosen:
    """Has the customer's subscription charged this way from now on, and tries an open payment with it at once.

    Raises `PaymentMethodNotFound`, `PaymentMethodExpired`, `PaymentMethodRefused`, `PaymentMethodBusy`,
    `NothingRenews`, and the gateway's errors.
    """
    methods = services.methods.service
    async with services.units() as unit:
        case = await open_case(unit.session, user_id)
    if case is None:
        done = await methods.make_default(user_id, method_id)
        return Chosen.DONE if done is Done.DONE else Chosen.PROCESSING
    whop_method_id = await methods.own_method(user_id, method_id)
    try:
        recovery = await services.dunning.recovery.pay_with(user_id, whop_method_id)
    except NothingToRecover:
        # Paid in this moment: only what comes later is to be charged to it.
        done = await methods.make_default(user_id, method_id)
        return Chosen.DONE if done is Done.DONE else Chosen.PROCESSING
    except RecoveryRunning as error:
        raise PaymentMethodBusy(
            "Your open payment is being tried at this moment. Wait a minute, then choose."
        ) from error
    except MethodRefused as error:
        raise PaymentMethodRefused(error.detail) from error
    except MethodNotFound as error:
        await services.methods.sync.refresh(user_id)
        raise PaymentMethodNotFound("The payment provider does not have this payment method any more.") from error
    await methods.note_choice(user_id, whop_method_id)
    return Chosen(recovery.state)
