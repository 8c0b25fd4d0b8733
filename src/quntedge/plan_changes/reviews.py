"""What somebody should look at after a change of plan, and that somebody has."""

from sqlalchemy import select

from quntedge.audit.writing import audit_done
from quntedge.plan_changes.errors import NothingToReview
from quntedge.plan_changes.models import PlanChange
from quntedge.storage.unit_of_work import UnitOfWork

PAID_AGAIN = "paid_again:"
"""Begins a review about a membership that was paid for besides the one that the change made."""

SETTLED = "settled:"
"""Begins a review that somebody is done with; what it was about stays behind it."""


async def settle(unit: UnitOfWork, change_id: str) -> None:
    """Notes that somebody has put right what a change of plan had left. Raises `NothingToReview`."""
    change = await unit.session.scalar(select(PlanChange).where(PlanChange.id == change_id).with_for_update())
    if change is None or change.review is None or change.review.startswith(SETTLED):
        raise NothingToReview("No such change of plan waits for anybody. `quntedge attention` lists those that do.")
    change.review = f"{SETTLED}{change.review}"
    audit_done(unit, "plan_change.settle", "plan_change", change_id)
