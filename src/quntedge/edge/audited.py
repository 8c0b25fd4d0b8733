"""Acts whose refusal is written down: a route names its act, as it names its caller."""

from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends, Request

from quntedge.edge.services import services_of


class Audited:
    """Around everything else a route does, its caller's check included: what a rule denies goes to the audit log.

    It begins before the request's unit of work and ends after it, so that the row is written once all is rolled back.
    """

    def __init__(self, act: str, kind: str | None, parameter: str | None) -> None:
        self.act = act
        self._kind = kind
        self._parameter = parameter

    async def __call__(self, request: Request) -> AsyncIterator[None]:
        """Goes on with the request."""
        subject = request.path_params.get(self._parameter) if self._parameter is not None else None
        async with services_of(request).audit.attempt(self.act, self._kind, subject):
            yield


def audited(act: str, kind: str | None = None, parameter: str | None = None) -> Any:
    """For the `dependencies` of a route, before all others. `parameter` of the path names the subject of this `kind`;
    where the body does, the handler says `about(kind, id)`."""
    return Depends(Audited(act, kind, parameter), scope="function")
