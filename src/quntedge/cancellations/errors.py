"""What can keep a subscription from being canceled, kept, or withdrawn from."""

from quntedge.kit.errors import Conflict, Malformed


class NothingToCancel(Conflict):
    """There is no subscription that could be canceled."""

    code = "nothing_to_cancel"
    title = "There is nothing to cancel"


class NothingRenews(Conflict):
    """What was paid once and for good has no next charge that a cancellation could stop."""

    code = "nothing_renews"
    title = "This plan does not renew"


class OnlyAtOnce(Conflict):
    """The period is over and unpaid: there is no end of a period to wait for."""

    code = "only_at_once"
    title = "This subscription can only be canceled at once"


class CancellationRefused(Conflict):
    """The payment provider did not do it. Nothing has changed."""

    code = "cancellation_refused"
    title = "The subscription could not be canceled"


class NothingToResume(Conflict):
    """No cancellation is scheduled that could be withdrawn."""

    code = "nothing_to_resume"
    title = "There is no cancellation to withdraw"


class ResumeRefused(Conflict):
    """The payment provider did not take the cancellation back."""

    code = "resume_refused"
    title = "The cancellation could not be withdrawn"


class InvalidSurvey(Malformed):
    """An answer to the survey that is too long, or a reason that is not in the list."""

    code = "invalid_survey"
    title = "This answer cannot be kept"


class OfferUnavailable(Conflict):
    """There is no offer that could be accepted, or it could not be carried out. The subscription goes on unchanged."""

    code = "offer_unavailable"
    title = "This offer is not available"


class NothingToWithdraw(Conflict):
    """There is no contract that could be withdrawn from."""

    code = "nothing_to_withdraw"
    title = "There is no contract to withdraw from"


class WithdrawalPeriodOver(Conflict):
    """The fourteen days are over; a plain cancellation is still possible. `deadline` says when they ended."""

    code = "withdrawal_period_over"
    title = "The time for a withdrawal is over"


class OtherContract(Conflict):
    """The declaration names another contract than the one there is."""

    code = "other_contract"
    title = "This is not your present contract"


class InvalidStatement(Malformed):
    """The declaration lacks a usable name."""

    code = "invalid_statement"
    title = "The declaration is not complete"
