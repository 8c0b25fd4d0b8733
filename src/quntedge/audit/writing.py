"""Writing rows of the audit log. What was done is written in the transaction that did it."""

from quntedge.audit.acting import acting, request_id
from quntedge.audit.models import AuditEvent
from quntedge.audit.rules import Actor, Detail, Outcome, Subject, subject_of
from quntedge.kit.ids import new_id
from quntedge.storage.unit_of_work import UnitOfWork

PREFIX = "aud"


def audit_done(
    unit: UnitOfWork, act: str, kind: str | None = None, subject: str | None = None, /, **details: Detail
) -> None:
    """Writes down, in the caller's transaction, that whoever acts here did `act` to a subject.

    Details are ids, amounts in minor units and names of our own making: no personal data, no secrets, no free texts.
    """
    _add(unit, acting(), act, subject_of(kind, subject), details, code=None, request=request_id())


def write_denied(
    unit: UnitOfWork,
    actor: Actor,
    act: str,
    subject: Subject | None,
    code: str,
    details: dict[str, Detail] | None = None,
    *,
    request: str | None = None,
) -> None:
    """Writes down, in the caller's transaction, that an act was denied with the error of this `code`."""
    _add(unit, actor, act, subject, details or {}, code=code, request=request)


def _add(
    unit: UnitOfWork,
    actor: Actor,
    act: str,
    subject: Subject | None,
    details: dict[str, Detail],
    *,
    code: str | None,
    request: str | None,
) -> None:
    now = unit.clock.now()
    unit.session.add(
        AuditEvent(
            id=new_id(PREFIX, now),
            at=now,
            actor_kind=actor.kind.value,
            actor_id=actor.id,
            holder=actor.holder,
            act=act,
            subject_kind=subject.kind if subject else None,
            subject_id=subject.id if subject else None,
            outcome=(Outcome.DONE if code is None else Outcome.DENIED).value,
            code=code,
            details=details,
            request_id=request,
        )
    )
