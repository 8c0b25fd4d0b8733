"""What can be wrong with paying an open amount."""

from quntedge.kit.errors import Conflict, NotFound


class NothingToRecover(NotFound):
    """No payment of this customer is open."""

    code = "nothing_to_recover"
    title = "There is no open payment"


class MethodNotFound(NotFound):
    """The customer has no such saved means of payment."""

    code = "method_not_found"
    title = "There is no such saved payment method"


class RecoveryRunning(Conflict):
    """The payment is being tried at this moment."""

    code = "recovery_running"
    title = "The payment is being tried already"


class MethodRefused(Conflict):
    """The payment provider does not take this means of payment for this subscription."""

    code = "method_refused"
    title = "This payment method cannot be used"


class NothingToConfirm(Conflict):
    """The bank asks nothing about the open payment."""

    code = "nothing_to_confirm"
    title = "There is nothing to confirm"
