"""Input that says two things at once, or something no record can hold, is refused before any route sees it."""

import contextlib
import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quntedge.edge.errors import DuplicateMember, NulCharacter
from quntedge.edge.problems import wants_page
from quntedge.kit.errors import NotFound

_BODILESS = ("GET", "HEAD")
_JSON = (b"application/json", b"+json")


class StrictInput:
    """Refuses a NUL character in the address of a program's request, and a JSON object that names a member twice.

    PostgreSQL's text has no NUL, so that nothing of ours can have such an id. And of two amounts in one object the
    sender means one; taking the last one, as JSON readers do, is a guess, and a proxy in between may guess otherwise.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection. Raises `NotFound`, `NulCharacter`, `DuplicateMember`."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if "\0" in path:
                raise NotFound("There is nothing at this address.")
            # Pages answer what people typed into a filter with a page that says so.
            if b"%00" in scope["query_string"] and not wants_page(scope):
                raise NulCharacter
            if scope["method"] not in _BODILESS and _is_json(scope):
                receive = await _checked(receive)
        await self._app(scope, receive, send)


def _is_json(scope: Scope) -> bool:
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return bool(kind.partition(b";")[0].strip().lower().endswith(_JSON))


async def _checked(receive: Receive) -> Receive:
    """Reads the body, looks it through, and gives a `receive` that hands it out again."""
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return _replaying(message, receive)
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(parts)
    # What is no JSON, or none that can be read, is refused by the framework's own reading.
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(body, object_pairs_hook=_members)
    return _replaying({"type": "http.request", "body": body, "more_body": False}, receive)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise DuplicateMember(next(name for name in names if names.count(name) > 1))
    return found


def _replaying(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
