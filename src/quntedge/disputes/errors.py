"""What can be wrong with a request about disputes."""

from quntedge.kit.errors import Conflict, InvalidRequest, NotFound


class DisputeNotFound(NotFound):
    """No dispute has this id."""

    code = "dispute_not_found"
    title = "There is no such dispute"


class DisputeLocked(Conflict):
    """Evidence was sent, the time for it is over, or a ruling was made."""

    code = "dispute_locked"
    title = "Evidence cannot be sent any more"


class DisputeNotAcceptable(Conflict):
    """There is nothing (any more) that could be conceded."""

    code = "dispute_not_acceptable"
    title = "This dispute cannot be conceded"


class DisputeBeingAnswered(Conflict):
    """Another answer to this dispute is on its way to the gateway."""

    code = "dispute_being_answered"
    title = "This dispute is being answered already"


class DisputeResponseRefused(Conflict):
    """The gateway has refused what we sent."""

    code = "dispute_response_refused"
    title = "The payment provider did not take the answer"


class AlarmNotFound(NotFound):
    """No alarm has this id."""

    code = "dispute_alarm_not_found"
    title = "There is no such alarm"


class AlarmResolved(Conflict):
    """Somebody was faster."""

    code = "dispute_alarm_resolved"
    title = "This alarm is resolved already"


class EvidenceFileRefused(InvalidRequest):
    """A file is too large, of a type no bank takes, or one too many."""

    code = "evidence_file_refused"
    title = "This file cannot be sent as evidence"
