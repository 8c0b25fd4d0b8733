"""What may differ between the gateway, our records and the ledger; why; who looks at it; what mends it. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

SLICE = timedelta(days=7)
"""What is read and compared at a time where there is much of it: bounded work, and what is lost at most by a crash."""

LONGEST = timedelta(days=448)
"""What is read at a time where there is next to nothing."""

LITTLE = 100
"""Rows: as many as the gateway lists on one page."""

SETTLING = timedelta(minutes=5)
"""News of what changed at the gateway less than this ago is still on its way to us."""

FEES_KNOWN_AFTER = timedelta(days=3)
"""A payment without any movement on the gateway's ledger for so long is taken to have none."""

NIGHTLY_WINDOW = timedelta(days=35)
"""How far back the nightly run looks: renewals are tried again for weeks, and lists know only the creation."""

MOST_OLDER = 2000
"""How many objects from before its range a run looks at, each read by itself: the rest is the next run's."""


class Measure(StrEnum):
    """What is compared. Amounts are positive where they are usual: fees cost, refunds go out."""

    CHARGE = "charge"
    TAX = "tax"
    FEE = "fee"
    """All the gateway kept when it collected a payment: its fees, and the tax that it passes on."""
    REFUND = "refund"
    DISPUTE = "dispute"
    DISPUTE_FEE = "dispute_fee"
    PAYOUT = "payout"
    PAYOUT_FEE = "payout_fee"
    CONVERSION = "conversion"
    """What came to the balance in another currency than the payment's, and what left it in the payment's own."""
    OTHER = "other"
    """A movement on the gateway's balance, or an entry of the ledger, that belongs to nothing we know."""
    STATUS = "status"
    """No amount: what has become of an object."""
    MONTH = "month"
    """No amount: the month that something counts for."""


class Cause(StrEnum):
    """Why sides differ."""

    TIMING = "timing"
    MISSING_HERE = "missing_here"
    MISSING_AT_GATEWAY = "missing_at_gateway"
    STATUS = "status"
    AMOUNT = "amount"
    FEE = "fee"
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    MOVEMENT = "movement"
    LEDGER_MISSING = "ledger_missing"
    LEDGER_AMOUNT = "ledger_amount"
    LEDGER_ORPHAN = "ledger_orphan"
    ROUNDING = "rounding"
    MOVED = "moved"
    """The gateway's own ledger contradicts its lists."""
    CONVERSION = "conversion"
    """The gateway exchanged a payment in a way that is not booked by itself."""
    MONTH = "month"


class Resolution(StrEnum):
    """What became of a difference. The first is found out by comparing, the others are said by somebody."""

    REPAIRED = "repaired"
    EXPLAINED = "explained"
    ADJUSTED = "adjusted"
    ACCEPTED = "accepted"


class Repair(StrEnum):
    """What mends a difference without a person."""

    READ_PAYMENT = "read_payment"
    READ_DISPUTES = "read_disputes"
    POST_RECORDS = "post_records"
    POST_FEE = "post_fee"
    POST_PAYOUT = "post_payout"
    POST_ROUNDING = "post_rounding"
    POST_CONVERSION = "post_conversion"


class Stage(StrEnum):
    """The steps of a run, in this order."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    MOVEMENTS = "movements"
    PAYOUTS = "payouts"
    OLDER = "older"
    """What is older than the range and not settled, or has moved in it."""
    COMPARE = "compare"
    DONE = "done"


MEASURES = tuple(measure.value for measure in Measure)
CAUSES = tuple(cause.value for cause in Cause)
RESOLUTIONS = tuple(resolution.value for resolution in Resolution)
BY_HAND = (Resolution.EXPLAINED, Resolution.ADJUSTED, Resolution.ACCEPTED)
STAGES = tuple(stage.value for stage in Stage)
TRIGGERS = ("nightly", "manual")
RECORD_KINDS = ("payment", "refund", "payout")
OLDER_KINDS = ("payment", "refund", "payout", "movement", "entry")
OF_FEED = (Measure.FEE, Measure.DISPUTE, Measure.DISPUTE_FEE, Measure.CONVERSION, Measure.OTHER)
"""What only the feed of movements tells of the gateway's side."""
WORDS_ONLY = (Measure.STATUS, Measure.MONTH)
"""What is no amount: both sides say a word."""

COSTS = frozenset({Measure.FEE, Measure.REFUND, Measure.DISPUTE, Measure.DISPUTE_FEE, Measure.PAYOUT_FEE})
"""Measures of which more at the gateway means less on our balance."""

_OWNERS = {
    Cause.TIMING: "nobody",
    Cause.MISSING_HERE: "engineering",
    Cause.MISSING_AT_GATEWAY: "engineering",
    Cause.STATUS: "engineering",
    Cause.LEDGER_MISSING: "engineering",
    Cause.LEDGER_AMOUNT: "engineering",
    Cause.LEDGER_ORPHAN: "engineering",
}
_OF_MEASURE = {
    Measure.STATUS: Cause.STATUS,
    Measure.FEE: Cause.FEE,
    Measure.REFUND: Cause.REFUND,
    Measure.DISPUTE: Cause.DISPUTE,
    Measure.DISPUTE_FEE: Cause.FEE,
    Measure.PAYOUT: Cause.PAYOUT,
    Measure.PAYOUT_FEE: Cause.PAYOUT,
    Measure.OTHER: Cause.MOVEMENT,
}


@dataclass(frozen=True, slots=True)
class Sides:
    """One measure of one object in one currency, as each side has it. Minor units; None: this side does not tell.

    `gateway` is what the gateway lists, `moved` what it has moved on its own ledger because of it; what only that
    ledger tells (fees, disputes) is `gateway`. `converted`: the gateway has exchanged the payment.
    `listed` and `held`: the gateway, and we, have the object at all. `fresh`: one side changed it just now, or is ahead
    of what was read. `finer`: the gateway's exact amount is no whole number of minor units. `gateway_status` and
    `recorded_status` are the gateway's own words, of a month the days on which it and the ledger have the payment.
    """

    object_kind: str
    object_id: str
    measure: Measure
    currency: str
    gateway: int | None
    recorded: int | None
    ledger: int | None
    listed: bool
    held: bool
    fresh: bool
    finer: bool
    occurred_at: datetime
    moved: int | None = None
    converted: bool = False
    transaction_id: str | None = None
    user_id: str | None = None
    gateway_status: str | None = None
    recorded_status: str | None = None


def differs(sides: Sides) -> bool:
    """Whether those who tell tell different things."""
    if sides.measure in WORDS_ONLY:
        return sides.gateway_status != sides.recorded_status
    told = {side for side in (sides.gateway, sides.recorded, sides.ledger, sides.moved) if side is not None}
    return len(told) > 1


def amount_of(sides: Sides) -> int:
    """What the gateway has more than the ledger; where those agree or one is silent, more than the next who tells."""
    first = at_gateway(sides.gateway, sides.moved, sides.ledger)
    if first is None:
        first = sides.recorded
    others = [side for side in (sides.ledger, sides.recorded) if side is not None]
    return next(((first or 0) - side for side in others if side != first), 0)


def at_gateway(gateway: int | None, moved: int | None, ledger: int | None) -> int | None:
    """Of what the gateway lists and what it moved, that which is not in our ledger; its list has the first word.

    None where the gateway does not tell.
    """
    if moved is None or (gateway is not None and gateway != ledger):
        return gateway
    return moved


def gain_of(measure: Measure, gateway: int, ledger: int) -> int:
    """How much more there is on our balance at the gateway than the ledger says, given both values of a measure."""
    return ledger - gateway if measure in COSTS else gateway - ledger


def cause_of(sides: Sides) -> Cause:
    """Why these sides differ."""
    known_here = sides.held or sides.object_kind in ("payout", "movement")
    if sides.object_kind == "payout" and not sides.listed and sides.measure is not Measure.OTHER:
        return Cause.TIMING if sides.fresh else Cause.MISSING_AT_GATEWAY
    if not sides.listed and not sides.held:
        return Cause.LEDGER_ORPHAN if sides.ledger else Cause.MOVEMENT
    if sides.fresh:
        return Cause.TIMING
    if sides.converted:
        return Cause.CONVERSION
    if sides.measure is Measure.MONTH:
        return Cause.MONTH
    if not sides.listed:
        return Cause.MISSING_AT_GATEWAY
    if not known_here:
        return Cause.MISSING_HERE
    if _is_rounding(sides):
        return Cause.ROUNDING
    if _is_moved_only(sides):
        return Cause.MOVED
    between = sides.gateway is not None and sides.recorded is not None
    if sides.measure is Measure.STATUS or (between and sides.gateway != sides.recorded):
        return _between_gateway_and_us(sides)
    if sides.recorded is None:
        return _OF_MEASURE.get(sides.measure, Cause.AMOUNT)
    return Cause.LEDGER_MISSING if sides.ledger == 0 else Cause.LEDGER_AMOUNT


def _between_gateway_and_us(sides: Sides) -> Cause:
    if sides.measure is Measure.CHARGE and 0 in (sides.gateway, sides.recorded):
        return Cause.STATUS
    return _OF_MEASURE.get(sides.measure, Cause.AMOUNT)


def _is_rounding(sides: Sides) -> bool:
    """The gateway counts fractions, and the nearest whole amount is one off."""
    exact = at_gateway(sides.gateway, sides.moved, sides.ledger)
    if not sides.finer or exact is None:
        return False
    told = [side for side in (sides.recorded, sides.ledger) if side is not None]
    return all(abs(exact - side) <= 1 for side in told)


def _is_moved_only(sides: Sides) -> bool:
    """All agree but the gateway's own ledger."""
    told = {side for side in (sides.gateway, sides.recorded, sides.ledger) if side is not None}
    return sides.moved is not None and len(told) == 1 and sides.moved not in told


def owner_of(cause: Cause) -> str:
    """Who looks at differences of a cause until somebody says otherwise."""
    return _OWNERS.get(cause, "finance")


def repair_of(sides: Sides, cause: Cause) -> Repair | None:
    """What mends a difference without a person; None for what somebody has to look at.

    Reading an object again does no harm and goes the way of deliveries. To the ledger is posted by itself only what it
    lacks altogether while the gateway and our records agree, and what nobody but the gateway can know.
    """
    about_payment = sides.object_kind in ("payment", "refund")
    if cause in (Cause.TIMING, Cause.MOVED):
        return None
    if cause is Cause.CONVERSION:
        return Repair.POST_CONVERSION if sides.held else None
    if cause in (Cause.MISSING_HERE, Cause.STATUS, Cause.AMOUNT, Cause.REFUND) and about_payment and sides.listed:
        return Repair.READ_PAYMENT
    if sides.measure in (Measure.DISPUTE, Measure.DISPUTE_FEE) and sides.gateway != sides.recorded:
        return Repair.READ_DISPUTES if sides.held else None
    if cause is Cause.LEDGER_MISSING and about_payment:
        return Repair.POST_RECORDS
    if cause is Cause.FEE and sides.measure is Measure.FEE and sides.recorded is None:
        return Repair.POST_FEE
    if cause is Cause.PAYOUT:
        return Repair.POST_PAYOUT
    if cause is Cause.ROUNDING and sides.ledger is not None:
        exact = at_gateway(sides.gateway, sides.moved, sides.ledger)
        return Repair.POST_ROUNDING if exact != sides.ledger else None
    return None


def detail_of(sides: Sides, cause: Cause) -> str:
    """One sentence for whoever looks at it; no names and no amounts, which stand in columns of their own."""
    if sides.measure is Measure.STATUS:
        return f"{sides.gateway_status or 'nothing'} at the gateway, {sides.recorded_status or 'nothing'} here"
    if sides.measure is Measure.MONTH:
        return f"collected on {sides.gateway_status} at the gateway, on {sides.recorded_status} in the ledger"
    return _DETAILS[cause].format(kind=sides.object_kind, measure=sides.measure.value.replace("_", " "))


_DETAILS = {
    Cause.TIMING: "the {kind} changed just now; the next comparison decides",
    Cause.MISSING_HERE: "the gateway has a {kind} that we have no record of",
    Cause.MISSING_AT_GATEWAY: "we have a {kind} that the gateway does not list",
    Cause.STATUS: "the {kind} counts on one side only",
    Cause.AMOUNT: "the {measure} of the {kind} is not the same",
    Cause.FEE: "the gateway lists another {measure} than the one in our books",
    Cause.REFUND: "the {kind} counts on one side only, or with another amount",
    Cause.DISPUTE: "what the gateway holds back for disputes is not what our records say",
    Cause.PAYOUT: "the ledger has another {measure} than the gateway",
    Cause.MOVEMENT: "a movement on the gateway's balance that belongs to nothing we know",
    Cause.LEDGER_MISSING: "the {measure} of the {kind} is not in the ledger",
    Cause.LEDGER_AMOUNT: "the ledger has another {measure} for the {kind} than our records",
    Cause.LEDGER_ORPHAN: "the ledger has an entry that nothing which the gateway or we know accounts for",
    Cause.ROUNDING: "the gateway counts fractions; the whole amounts are one apart",
    Cause.MOVED: "the gateway's own ledger has moved another {measure} for the {kind} than its lists say",
    Cause.CONVERSION: "the gateway exchanged the {kind}, and not all of it once and at the usual rate",
}

_PERIOD = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def period_of(at: datetime) -> str:
    """The month an instant belongs to, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m}"


def bounds_of(period: str) -> tuple[datetime, datetime]:
    """Beginning and end of a month written `2026-10`. Raises ValueError for any other text."""
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise ValueError("a period is a month such as 2026-10")
    begin = datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)
    return begin, next_month(begin)


def next_month(at: datetime) -> datetime:
    """The beginning of the month after this instant's, in UTC."""
    first = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def end_of_piece(begin: datetime, until: datetime, length: timedelta, *, within_month: bool) -> datetime:
    """Where a piece ends that begins here. Those that are compared end with the month, so that months can be summed
    up."""
    end = until if until - begin <= length else begin + length
    return min(end, next_month(begin)) if within_month else end


def next_length(length: timedelta, rows: int) -> timedelta:
    """How long the piece after one with so many rows is: longer and longer where little happens, so that a gap of
    years takes few calls, and a week again as soon as there is much."""
    return min(2 * length, LONGEST) if rows <= LITTLE else SLICE
