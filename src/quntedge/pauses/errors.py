"""Why something cannot be paused or resumed, and what to do instead."""

from quntedge.kit.errors import Conflict, Malformed


class PauseImpossible(Conflict):
    """The subscription is in a state in which it cannot be paused."""

    code = "pause_impossible"
    title = "The subscription cannot be paused at the moment"


class NothingToPause(PauseImpossible):
    """The customer has no subscription that renews."""

    code = "nothing_to_pause"
    title = "There is nothing to pause"


class PauseNotOffered(PauseImpossible):
    """The plan cannot be paused."""

    code = "pause_not_offered"
    title = "This plan cannot be paused"


class PauseInTrial(PauseImpossible):
    """A trial runs out whether or not it is used."""

    code = "pause_in_trial"
    title = "A trial cannot be paused"


class PauseWhilePastDue(PauseImpossible):
    """A payment is open; it has to be settled first."""

    code = "pause_while_past_due"
    title = "A payment is open"


class PauseWhileCancelling(PauseImpossible):
    """The subscription is set to end; that has to be undone first."""

    code = "pause_while_cancelling"
    title = "The subscription is set to end"


class PauseWhileChanging(PauseImpossible):
    """Something else is being done to the subscription, or planned."""

    code = "pause_while_changing"
    title = "Another change is under way"


class AlreadyPaused(Conflict):
    """It is paused. Its end can be moved."""

    code = "already_paused"
    title = "The subscription is paused already"


class NotPaused(Conflict):
    """There is no pause to be ended."""

    code = "not_paused"
    title = "The subscription is not paused"


class PauseRefused(PauseImpossible):
    """The payment provider did not allow it."""

    code = "pause_refused"
    title = "The payment provider refused this"


class InvalidPauseEnd(Malformed):
    """The end of the pause is none, too early or too late; `errors` says which."""

    code = "invalid_pause_end"
    title = "A pause cannot end then"
