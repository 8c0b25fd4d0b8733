"""When the end of a trial is announced. Pure."""

from datetime import datetime, timedelta

REMIND_BEFORE = timedelta(days=3)
WORTH_TELLING = timedelta(days=1)
"""How much later a trial has to end, once its end was announced, for the new end to be announced as well."""


def reminder_at(
    started_at: datetime, trial_end: datetime | None, announced_end: datetime | None, *, will_convert: bool
) -> datetime | None:
    """When to remind of the end: three days before, of a short trial when half of it is over.

    None when there is nothing to remind of: no end, no charge to follow, or told already. An end that has come nearer,
    or moved by less than a day, is not told again.
    """
    if trial_end is None or not will_convert or not is_news(trial_end, announced_end):
        return None
    return trial_end - min(REMIND_BEFORE, (trial_end - started_at) / 2)


def is_news(trial_end: datetime, announced_end: datetime | None) -> bool:
    """Whether this end of a trial has yet to be announced."""
    return announced_end is None or trial_end >= announced_end + WORTH_TELLING
