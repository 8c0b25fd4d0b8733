"""Why a plan cannot be changed, in words that say what can be done instead."""

from quntedge.kit.errors import Conflict, Gone, NotFound


class NothingToChange(Conflict):
    """There is no live subscription: a plan is bought, not changed to."""

    code = "no_subscription_to_change"
    title = "There is no subscription to change"


class ChangeImpossible(Conflict):
    """The subscription is in a state in which its plan cannot be changed."""

    code = "plan_change_impossible"
    title = "The plan cannot be changed at the moment"


class PaymentOverdue(ChangeImpossible):
    """A payment is overdue; it comes first."""

    code = "plan_change_past_due"
    title = "A payment is overdue"


class SubscriptionPaused(ChangeImpossible):
    """The subscription is paused."""

    code = "plan_change_paused"
    title = "The subscription is paused"


class CancellationPending(ChangeImpossible):
    """The subscription is going to end with its period."""

    code = "plan_change_canceling"
    title = "The subscription is going to end"


class LifetimeHeld(ChangeImpossible):
    """There is nothing beyond a plan that was paid once and for all."""

    code = "plan_change_lifetime"
    title = "A lifetime plan is not changed"


class RenewalUnderWay(ChangeImpossible):
    """The running period is over, or has just begun, and its payment is not known yet: try again in a few minutes."""

    code = "plan_change_renewing"
    title = "The subscription is being renewed"


class PaymentDisputed(ChangeImpossible):
    """A bank decides about the payment of the running period, so nobody knows what the time left is worth."""

    code = "plan_change_disputed"
    title = "The payment of this period is disputed"


class ChangeRunning(Conflict):
    """A change of this subscription is being done already."""

    code = "plan_change_running"
    title = "A change is under way already"


class SamePlan(Conflict):
    """The subscription is on this plan."""

    code = "same_plan"
    title = "This is your plan already"


class TargetNotAllowed(Conflict):
    """The plan's rules do not allow this change."""

    code = "plan_change_not_allowed"
    title = "This change is not offered"


class TargetNotSold(Conflict):
    """The plan is not sold in the subscription's currency, or not at the gateway yet."""

    code = "plan_change_target_not_sold"
    title = "This plan cannot be had in your currency"


class UnknownTarget(NotFound):
    """No plan with this code is on offer."""

    code = "unknown_target_plan"
    title = "There is no such plan"


class QuoteUnknown(NotFound):
    """No preview of this customer has this id."""

    code = "quote_not_found"
    title = "There is no such preview"


class PreviewOutdated(Gone):
    """What was shown is not true any more. The problem's `preview` holds what is."""

    code = "preview_outdated"
    title = "This preview is outdated"


class NothingToReview(NotFound):
    """Nobody has to look at this change of plan."""

    code = "nothing_to_review"
    title = "Nothing waits there"


class NoChange(NotFound):
    """No change of plan is planned or running."""

    code = "no_plan_change"
    title = "No change of plan is planned"


class NewTermsApply(Conflict):
    """What is planned is a new price of the customer's plan. It is not theirs to take back; they can leave."""

    code = "new_terms_apply"
    title = "This change is not yours to take back"


class TooLateToWithdraw(Conflict):
    """The change has begun and cannot be taken back."""

    code = "plan_change_not_withdrawable"
    title = "This change cannot be taken back any more"
