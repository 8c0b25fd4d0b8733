"""How a dispute moves, what it takes away, and when somebody has to look. Pure.

Order: a snapshot that is older than what we hold changes nothing. Of two that bear the same time the one that is
further along wins, so that neither the order of deliveries nor a clock with coarse ticks can undo a ruling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

UNKNOWN = "unknown"
WON = "won"
WARNING_CLOSED = "warning_closed"
TO_ANSWER: tuple[str, ...] = ("needs_response", "warning_needs_response")
OPEN: tuple[str, ...] = ("needs_response", "under_review", "warning_needs_response", "warning_under_review", UNKNOWN)
"""Nobody has ruled yet, or nobody could tell us."""
LOST: tuple[str, ...] = ("lost", "prevented")
"""It ended for the buyer: by a ruling, or because the buyer was refunded before one."""
STATUSES: tuple[str, ...] = (*OPEN, WON, *LOST, WARNING_CLOSED)
ALARMS: tuple[str, ...] = (
    "double_loss",
    "deadline",
    "alert",
    "complaint",
    "unknown_status",
    "policy_failed",
    "response_failed",
)

REMIND_BEFORE = timedelta(hours=48)
"""How long before the deadline the alarm is raised."""
MAIL_DAYS_BEFORE: tuple[int, ...] = (3, 1)
"""How many days before the deadline staff gets a mail."""
_STAGES = tuple(sorted((REMIND_BEFORE, *(timedelta(days=days) for days in MAIL_DAYS_BEFORE)), reverse=True))
_FRESH = timedelta(hours=12)
"""How long nobody needs to be told again of a deadline that they have just heard of."""
LOOK_EVERY = timedelta(hours=24)
LOOK_AFTER_DEADLINE = timedelta(hours=1)
MOST_LATE = timedelta(days=400)
"""How long after it was opened a dispute is still looked at: no bank takes that long, and no row is read for ever."""

_STAGE = {
    UNKNOWN: 0,
    "warning_needs_response": 1,
    "warning_under_review": 2,
    "needs_response": 3,
    "under_review": 4,
    WARNING_CLOSED: 4,
    "prevented": 5,
    WON: 5,
    "lost": 5,
}


class Verdict(StrEnum):
    """What to do with an incoming snapshot."""

    APPLY = "applied"
    UNCHANGED = "unchanged"
    STALE = "stale"
    REREAD = "reread"


class Action(StrEnum):
    """What a dispute does to the subscription that the payment was for."""

    KEEP = "keep"
    PAUSE_ACCESS = "pause_access"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class DisputeState:
    """A dispute as we hold it. Amounts in minor units of `currency`, the fee in those of `fee_currency`."""

    status: str
    raw_status: str
    inquiry: bool
    amount_minor: int
    currency: str
    withdrawn_minor: int
    fee_minor: int
    fee_currency: str | None
    reason: str | None
    reason_code: str | None
    evidence_due_at: datetime | None
    evidence_submitted_at: datetime | None
    editable: bool
    locked_reason: str | None
    acceptable: bool
    gateway_updated_at: datetime | None


def withdrawn(status: str, inquiry: bool, amount_minor: int, held: DisputeState | None) -> int:
    """What the gateway holds back: everything while a chargeback runs and once it is lost, nothing otherwise.

    A status that nobody has told us about moves no money in our books.
    """
    if inquiry or status in (WON, WARNING_CLOSED):
        return 0
    if status == UNKNOWN:
        return min(held.withdrawn_minor, amount_minor) if held is not None else 0
    return amount_minor


def judge(held: DisputeState | None, incoming: DisputeState, *, from_gateway: bool) -> Verdict:
    """Whether a snapshot may replace what we hold. `from_gateway`: it was read just now, because of this."""
    if held is None or held == incoming:
        return Verdict.APPLY if held is None else Verdict.UNCHANGED
    before, after = held.gateway_updated_at, incoming.gateway_updated_at
    if before is None or after is None:
        return Verdict.APPLY if from_gateway else Verdict.REREAD
    if after < before:
        return Verdict.STALE
    if after == before and _STAGE[incoming.status] < _STAGE[held.status]:
        return Verdict.STALE
    if held.status not in OPEN and incoming.status != held.status and not from_gateway:
        # A ruling is taken back only when the gateway itself says so.
        return Verdict.REREAD
    return Verdict.APPLY


def is_open(status: str) -> bool:
    """Whether nobody has ruled yet."""
    return status in OPEN


def is_lost(status: str | None) -> bool:
    """Whether it ended for the buyer."""
    return status in LOST


def remind_at(state: DisputeState, reminded_for: datetime | None, reminded_until: datetime | None) -> datetime | None:
    """When staff is to be told next that the time for evidence runs out; None when it does not, or all was told.

    What was due up to `reminded_until` has been told of the deadline `reminded_for`; another deadline begins anew.
    """
    due = state.evidence_due_at
    if due is None or state.status not in TO_ANSWER or not state.editable:
        return None
    told = reminded_until if reminded_for == due else None
    return next((due - before for before in _STAGES if told is None or due - before > told), None)


@dataclass(frozen=True, slots=True)
class Reminder:
    """What is to be told of a deadline: an alarm, and a mail that says that so many days are left."""

    alarm: bool
    days_left: int | None


def reminder(due: datetime, known_since: datetime, now: datetime) -> Reminder:
    """What is due by now. Of several mails only the latest, and none that would have come before the one about the
    dispute's opening, or right after it: that one names the deadline."""
    told = known_since + _FRESH
    reached = [days for days in MAIL_DAYS_BEFORE if told <= due - timedelta(days=days) <= now < due]
    return Reminder(due - REMIND_BEFORE <= now, min(reached, default=None))


def look_at(state: DisputeState, opened_at: datetime, now: datetime) -> datetime | None:
    """When to read a dispute again of which nothing is heard; None once it has ended."""
    if not is_open(state.status) or now > opened_at + MOST_LATE:
        return None
    regular, due = now + LOOK_EVERY, state.evidence_due_at
    after_deadline = due + LOOK_AFTER_DEADLINE if due is not None and due > now else regular
    return min(regular, after_deadline)


def paid_out_twice(total_minor: int, refunded_minor: int, lost_minor: int) -> int:
    """How much of a payment was both refunded and lost to the bank, in minor units; 0 when nothing was."""
    if refunded_minor <= 0 or lost_minor <= 0:
        return 0
    return max(0, refunded_minor + lost_minor - total_minor)


def action_for(status: str, *, inquiry: bool, on_open: Action, on_lost: Action) -> Action | None:
    """What the plan's policy wants of the subscription now; None: leave everything as it is.

    An inquiry moves no money, so it decides nothing; a status nobody knows decides nothing either.
    """
    if is_lost(status):
        return on_lost
    if status in (WON, WARNING_CLOSED):
        return Action.KEEP
    if inquiry or status == UNKNOWN:
        return None
    return on_open


def payment_dispute(disputes: Sequence[tuple[str, datetime]]) -> str | None:
    """The status of the dispute that matters most for a payment: an open one, else a lost one, else the latest."""
    if not disputes:
        return None

    def weight(dispute: tuple[str, datetime]) -> tuple[int, datetime]:
        status, opened_at = dispute
        return (2 if is_open(status) else 1 if is_lost(status) else 0), opened_at

    return max(disputes, key=weight)[0]
