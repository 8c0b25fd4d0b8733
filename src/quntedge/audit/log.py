"""AuditLog: what is denied, written down after everything was rolled back; and the chain that seals all rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from quntedge.audit import denials, sealing
from quntedge.audit.acting import acting, request_id
from quntedge.audit.rules import Subject, is_denial, subject_of
from quntedge.kit.errors import QuntedgeError
from quntedge.storage.unit_of_work import UnitOfWorkFactory


@dataclass(slots=True)
class Attempt:
    """An act somebody is about to do. What it is about may become known on the way."""

    act: str
    subject: Subject | None


_attempt: ContextVar[Attempt | None] = ContextVar("quntedge_attempt", default=None)


def about(kind: str, subject: str | None) -> None:
    """Says what the attempt under way is about, where its address does not. Outside of an attempt nothing happens."""
    attempt = _attempt.get()
    if attempt is not None:
        attempt.subject = subject_of(kind, subject)


class AuditLog:
    """Used at the edge, around what a customer or somebody in staff wants. Each method is a transaction of its own."""

    def __init__(self, units: UnitOfWorkFactory) -> None:
        self._units = units

    @asynccontextmanager
    async def attempt(self, act: str, kind: str | None = None, subject: str | None = None) -> AsyncIterator[None]:
        """Around an act: when a rule denies it, that is written down before the error goes on its way.

        Units of work of the act must have ended by then: they are opened inside.
        """
        attempt = Attempt(act, subject_of(kind, subject))
        token = _attempt.set(attempt)
        try:
            yield
        except QuntedgeError as error:
            if is_denial(error, attempt.subject, acting().kind):
                await self.denied(act, attempt.subject, error.code)
            raise
        finally:
            _attempt.reset(token)

    async def lacks_scope(self, scope: str, code: str) -> None:
        """Writes down that an API key was used for what it was not made for. An attempt under way does that itself."""
        if _attempt.get() is None:
            await self.denied("api_key.use", Subject("scope", scope), code)

    async def denied(self, act: str, subject: Subject | None, code: str) -> None:
        """Writes down that whoever acts here was denied an act, with the error of this `code`."""
        async with self._units() as unit:
            await denials.count(unit, acting(), act, subject, code, request=request_id())
            await unit.commit()

    async def keep(self) -> int:
        """The sweep: writes down what was repeated in the minutes that are over, and seals what has no seal yet."""
        async with self._units() as unit:
            await denials.close(unit, unit.clock.now())
            await unit.commit()
        return await sealing.seal(self._units)
