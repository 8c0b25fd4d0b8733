"""What a process that cancels, or takes that back, has to know from its first step on."""

from typing import Any

from quntedge.cancellations.rules import Timing

KIND = "cancellation"
WITHDRAWAL_KIND = "withdrawal"
CANCEL, KEEP = "cancel", "keep"


def process_data(
    act: str,
    membership_id: str,
    cancellation_id: str,
    timing: Timing | str,
    actor: str,
    *,
    reason: str | None = None,
    replaces: str | None = None,
) -> dict[str, Any]:
    """The data of a process that is about to be started. `replaces` is a cancellation that this one takes the place
    of, and that stands again should this one fail."""
    return {
        "act": act,
        "membership_id": membership_id,
        "cancellation_id": cancellation_id,
        "timing": Timing(timing).value,
        "reason": reason,
        "actor": actor,
        "replaces": replaces,
    }
