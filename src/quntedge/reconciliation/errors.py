"""What reconciliation refuses to do."""

from quntedge.kit.errors import Conflict, InvalidRequest, NotFound


class RunNotFound(NotFound):
    """404: there is no such run."""

    code = "reconciliation_run_not_found"
    title = "No such reconciliation run"


class DifferenceNotFound(NotFound):
    """404: there is no such difference."""

    code = "money_difference_not_found"
    title = "No such difference"


class RunUnderWay(Conflict):
    """409: one run at a time. Wait until it is done."""

    code = "reconciliation_under_way"
    title = "A reconciliation is under way"


class AlreadyResolved(Conflict):
    """409: somebody has said already what became of this difference, or comparing has."""

    code = "money_difference_resolved"
    title = "The difference is resolved"


class CannotBeAdjusted(Conflict):
    """409: there is no amount between the gateway and the ledger that could be posted."""

    code = "money_difference_not_adjustable"
    title = "The difference cannot be adjusted"


class ApprovalByProposer(Conflict):
    """409: nobody approves of what they proposed themselves."""

    code = "money_difference_own_proposal"
    title = "Somebody else has to approve"


class NothingProposed(Conflict):
    """409: nobody has proposed to adjust this difference as it is now."""

    code = "money_difference_not_proposed"
    title = "There is nothing to approve"


class PeriodNotReady(Conflict):
    """409: the month cannot be closed yet; the message says what is in the way."""

    code = "money_period_not_ready"
    title = "The month cannot be closed yet"


class PeriodClosed(Conflict):
    """409: the month is closed already."""

    code = "money_period_closed"
    title = "The month is closed"


class InvalidWindow(InvalidRequest):
    """400: the range of a run, or a month, cannot be used; the message says why."""

    code = "invalid_reconciliation_window"
    title = "The range cannot be used"


class InvalidResolution(InvalidRequest):
    """400: a resolution needs a word of three and a note of 3 to 1,000 characters."""

    code = "invalid_resolution"
    title = "The resolution cannot be used"
