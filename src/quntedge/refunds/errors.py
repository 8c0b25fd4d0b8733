"""What can keep money from being given back."""

from quntedge.kit.errors import Conflict, Forbidden, Malformed, NotFound


class RefundNotFound(NotFound):
    """There is no refund with this id."""

    code = "refund_not_found"
    title = "There is no such refund"


class PaymentNotFound(NotFound):
    """There is no payment with this id."""

    code = "payment_not_found"
    title = "There is no such payment"


class InvalidRefund(Malformed):
    """An amount that is not more than zero, a reason that is not in the list, a note that cannot be kept."""

    code = "invalid_refund"
    title = "A refund cannot be made like this"


class RefundCurrencyMismatch(Conflict):
    """A refund is made in the currency of its payment. `currency` says which."""

    code = "refund_currency_mismatch"
    title = "The payment was made in another currency"


class PaymentNotRefundable(Conflict):
    """Nothing was collected with the payment, so there is nothing to give back."""

    code = "payment_not_refundable"
    title = "This payment cannot be refunded"


class PaymentDisputed(Conflict):
    """The buyer's bank decides about a disputed payment; refunding it as well would pay twice."""

    code = "payment_disputed"
    title = "This payment is disputed"


class NothingLeftToRefund(Conflict):
    """Everything that was paid has gone back, or is promised to."""

    code = "nothing_left_to_refund"
    title = "Nothing is left of this payment"


class AboveWhatIsLeft(Conflict):
    """More than what was paid and is neither back nor promised. `left` says how much that is."""

    code = "refund_above_what_is_left"
    title = "This is more than what is left of the payment"


class ApprovalByRequester(Forbidden):
    """Whoever asked for a refund cannot approve it."""

    code = "approval_by_requester"
    title = "A second person has to approve this"


class RefundNotWaiting(Conflict):
    """The refund does not wait for a decision (any more). `refund_status` says how it stands."""

    code = "refund_not_waiting"
    title = "This refund does not wait for a decision"
