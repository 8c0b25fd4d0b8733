"""Facts about trials that other parts act upon."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TrialEndAnnounced:
    """The gateway says that the trial of a membership is about to end."""

    membership_id: str


@dataclass(frozen=True, slots=True)
class TrialEnding:
    """A trial ends soon and becomes a paid subscription. Told once for each end of a trial."""

    membership_id: str
    subscription_id: str
    user_id: str
    plan_id: str
    trial_end: datetime
