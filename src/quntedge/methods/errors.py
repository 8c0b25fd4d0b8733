"""What can be wrong with a customer's wish about their saved means of payment."""

from quntedge.kit.errors import Conflict, NotFound


class PaymentMethodNotFound(NotFound):
    """No such saved means of payment, one that was removed, or one of somebody else: the answer is the same."""

    code = "payment_method_not_found"
    title = "There is no such saved payment method"


class PaymentMethodInUse(Conflict):
    """A running subscription is paid with it."""

    code = "payment_method_in_use"
    title = "This payment method is in use"


class PaymentMethodRefused(Conflict):
    """The payment provider does not take this means of payment for the customer's subscription."""

    code = "payment_method_refused"
    title = "This payment method cannot be used"


class PaymentMethodExpired(Conflict):
    """A card that has expired cannot pay anything any more."""

    code = "payment_method_expired"
    title = "This card has expired"


class NothingRenews(Conflict):
    """The customer has no subscription that will be charged again."""

    code = "nothing_renews"
    title = "Nothing is going to be charged"


class PaymentMethodBusy(Conflict):
    """Something else is being done to this means of payment, or to what it pays, at this moment."""

    code = "payment_method_busy"
    title = "This payment method is being changed already"
