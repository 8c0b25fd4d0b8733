"""Who acts here and now, and in which request: known where somebody was recognised, needed where something is done.

Between the two lie services that have no business with either. So whoever recognises a caller says so once
(`identify`), and it holds for the rest of that request or command, and for no other. Where nobody was recognised, as in
a worker, the product itself acts.
"""

from contextvars import ContextVar

import structlog

from quntedge.audit.rules import SYSTEM, Actor

# With the request in which it was set: a server may serve the next one in the same context.
_actor: ContextVar[tuple[str | None, Actor]] = ContextVar("quntedge_actor", default=(None, SYSTEM))


def identify(actor: Actor) -> None:
    """From here on, in this request or command, this is who acts."""
    _actor.set((request_id(), actor))


def acting() -> Actor:
    """Who acts."""
    request, actor = _actor.get()
    return actor if request == request_id() else SYSTEM


def request_id() -> str | None:
    """The id of the request under way, as its log lines have it."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return found if isinstance(found, str) else None
