"""Facts about moves to new terms that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewTermsAnnounced:
    """A subscriber is to pay another price for the plan they have. Recorded once for each migration and subscription.

    Prices of one period in minor units of `currency`. `from_at`: the first renewal then or later brings the new price.
    """

    migration_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    currency: str
    old_price_minor: int
    new_price_minor: int
    from_at: datetime


@dataclass(frozen=True, slots=True)
class NewTermsWithdrawn:
    """What was announced will not come: the subscriber keeps their price, in minor units of `currency`."""

    migration_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    currency: str
    price_minor: int
