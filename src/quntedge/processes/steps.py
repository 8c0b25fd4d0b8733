"""What a resumable process is made of, and when it is tried again.

A process is a chain of steps. A step may call the gateway, between two transactions: the row that says what is intended
is committed before the call, the answer together with everything that follows from it after the call. Whoever finds an
intention without an answer looks at the gateway first (`look`), and only then sends again.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from quntedge.gateway.errors import GatewayError
from quntedge.storage.unit_of_work import UnitOfWork

STUCK_AFTER = 8
"""Failed tries of one step after which somebody should look. It is still tried, once a day."""

_BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (5, 20, 60, 300, 900, 3600, 3600))
_ONCE_STUCK = timedelta(days=1)


class State(StrEnum):
    """Where a process is. `running` includes waiting for its next time."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Run:
    """What a step knows: the process, and what earlier steps were answered (by step name; the latest of each)."""

    id: str
    kind: str
    subject_id: str
    user_id: str | None
    data: Mapping[str, Any]
    answers: Mapping[str, Mapping[str, Any]]
    key: str
    """Idempotency key of this step: the same at every try of it, another for every other step."""
    now: datetime
    attempt: int
    """Which try of this step this is, from 1."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call brought. `data` is kept with the step (JSON, no personal data); `object` is for `settle` alone."""

    data: Mapping[str, Any] = field(default_factory=dict)
    object: Any = None


@dataclass(frozen=True, slots=True)
class GoTo:
    """Goes on with another step, at once. `data` is added to what the process knows."""

    step: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Goes on with a step at `until`, or earlier when somebody nudges the process."""

    step: str
    until: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """The process is done."""

    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The process has failed for a reason that trying again will not mend. `reason` is a short stable word."""

    reason: str
    detail: str = ""


Next = GoTo | WaitFor | Finish | GiveUp


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Without `call` it is only a transaction.

    `call` talks to the gateway with no transaction open. `look` finds out whether an earlier try has happened: its
    answer if so, None if not; without it the call may be repeated harmlessly. `settle` does, in one transaction with
    the step's answer, what follows. `refused` says how it goes on when the gateway refuses; without it the process
    gives up.
    """

    name: str
    settle: Callable[[UnitOfWork, Run, Answer], Awaitable[Next]]
    call: Callable[[Run], Awaitable[Answer]] | None = None
    look: Callable[[Run], Awaitable[Answer | None]] | None = None
    refused: Callable[[UnitOfWork, Run, GatewayError], Awaitable[Next]] | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A kind of process. `given_up` is called in the transaction in which one fails."""

    kind: str
    steps: Mapping[str, Step]
    given_up: Callable[[UnitOfWork, Run, GiveUp], Awaitable[None]]

    @classmethod
    def of(
        cls, kind: str, *steps: Step, given_up: Callable[[UnitOfWork, Run, GiveUp], Awaitable[None]]
    ) -> "Definition":
        """A definition with these steps; the first given is where processes begin unless told otherwise."""
        names = [step.name for step in steps]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"the steps of {kind} need names of their own")
        return cls(kind, {step.name: step for step in steps}, given_up)

    @property
    def first(self) -> str:
        """Where a process of this kind begins."""
        return next(iter(self.steps))


def retry_at(failures: int, now: datetime) -> datetime:
    """When a step that has failed so often in a row is tried again."""
    if failures >= STUCK_AFTER:
        return now + _ONCE_STUCK
    return now + _BACK_OFF[min(failures, len(_BACK_OFF)) - 1]
