"""What can go wrong while a stored delivery is applied."""

from quntedge.kit.errors import NotFound, QuntedgeError


class EventNotFound(NotFound):
    """There is no such event in the inbox."""

    code = "webhook_event_not_found"
    title = "There is no such webhook event"


class ObjectOutOfReach(QuntedgeError):
    """An event needs an object that the gateway does not give us (yet)."""

    code = "object_out_of_reach"
    status = 502
    title = "The object an event is about could not be read"


class NotReplayable(QuntedgeError):
    """The event cannot be applied again."""

    code = "webhook_event_not_replayable"
    status = 409
    title = "This webhook event cannot be replayed"
