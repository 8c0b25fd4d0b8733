"""Settings of our account as the port knows them."""

from quntedge.gateway.acts import FailureBehavior
from quntedge.gateway.whop.fields import Fields, unusable


def failure_behavior_from(document: object) -> FailureBehavior:
    """Reads the account's preferences. Raises `UnusableEvent` for a behavior that we do not know: guessing one would
    end memberships too early or never."""
    word = Fields(document, "preferences").required_word("subscription_failure_behavior")
    try:
        return FailureBehavior(word)
    except ValueError as error:
        raise unusable("preferences.subscription_failure_behavior", "is unknown") from error
