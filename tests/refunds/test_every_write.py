"""Every call with which a process changes something at the gateway is looked for after an unknown outcome, or may be
sent once more without harm, for a reason that is written down."""

from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.wiring import build

_READS = "only reads"
_SAME = "sets what is set already"
_GONE = "what is gone is as good as removed"

WITHOUT_A_LOOK = {
    "cancellation": {"keep": _SAME, "look": _READS},
    "withdrawal": {"keep": _SAME, "look": _READS},
    "dispute_accept": {"check": _READS},
    "dispute_end": {"check": _READS},
    "dispute_evidence": {
        "announce": "the key gives the same place again; an empty file that hangs nowhere does no harm",
        "ready": _READS,
        "fill": _SAME,
        "check": _READS,
    },
    "dunning_end": {"look": _READS, "verify": _READS},
    "dunning_pay": {"see": _READS},
    "dunning_retry": {"look": _READS, "check": _READS},
    "pause_move": {"move": _SAME},
    "plan_change": {
        "adopt": _READS,
        "archive_promo": _GONE,
        "at_period_end": _READS,
        "await_payment": _READS,
        "close_checkout": _GONE,
        "find_renewal": _READS,
        "keep": _SAME,
        "open_checkout": "a second page that nobody was led to is never paid",
        "pick_method": _READS,
        "quote": "a quote costs nothing and charges nothing",
        "retire_link": _GONE,
        "stop_old": _SAME,
        "void": "a refusal is followed by a look",
    },
    "promotion_release": {"look": _READS, "archive": _GONE, "confirm": _READS},
    "promotion_sync": {"archive": _GONE},
    "refund": {"find": _READS, "look_again": _READS, "read": _READS},
    "resume": {"resume": "looks by itself before each call"},
}


async def test_every_write_is_looked_for_or_harmless(settings: Settings, clock: FrozenClock) -> None:
    runtime = build(settings, str(settings.database_url), clock)
    unexplained = [
        (kind, step.name)
        for kind, definition in runtime.processes._definitions.items()
        for step in definition.steps.values()
        if step.call is not None and step.look is None and step.name not in WITHOUT_A_LOOK.get(kind, {})
    ]
    await runtime.close()
    assert unexplained == [], "give the step a `look`, or say here why it may be sent twice"
