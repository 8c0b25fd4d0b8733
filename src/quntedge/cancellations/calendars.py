"""By whose days the time for a withdrawal runs: fixed when a contract is concluded, for good."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from quntedge.accounts.models import AppUser
from quntedge.cancellations.models import ContractCalendar
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import Subscription

NO_ZONE = "UTC"
"""For customers who have not told theirs."""

# One that begins again is the same contract, and keeps what it has.
_FIX = text(
    """
    INSERT INTO contract_calendar (subscription_id, user_id, time_zone, fixed_at)
    SELECT s.id, s.user_id, coalesce(u.time_zone, :no_zone), :now
      FROM subscription AS s JOIN app_user AS u ON u.id = s.user_id
     WHERE s.id = ANY(CAST(:ids AS text[]))
    ON CONFLICT (subscription_id) DO NOTHING
    """
)


async def fix_calendars(unit: UnitOfWork, facts: Sequence[SubscriptionChanged]) -> None:
    """Fixes the calendars of contracts that begin. Renewals have none that begins, and cost nothing here."""
    begun = {fact.subscription_id for fact in facts if fact.started}
    if begun:
        await unit.session.flush()
        connection = await unit.connection()
        await connection.execute(_FIX, {"ids": Texts(sorted(begun)), "now": unit.clock.now(), "no_zone": NO_ZONE})


async def calendar_of(unit: UnitOfWork, subscription: Subscription) -> ZoneInfo:
    """The zone of a contract; of one that has not begun, the customer's own as it is now."""
    name = await unit.session.scalar(
        select(ContractCalendar.time_zone).where(ContractCalendar.subscription_id == subscription.id)
    )
    if name is None:
        name = await unit.session.scalar(select(AppUser.time_zone).where(AppUser.id == subscription.user_id))
    return ZoneInfo(name or NO_ZONE)
