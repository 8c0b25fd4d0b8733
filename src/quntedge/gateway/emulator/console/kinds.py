"""What the console shows of each kind of object: columns for people, and where the API shows it in full."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.state.records import Record
from quntedge.kit.money import Money

_GOOD = {"active", "paid", "succeeded", "completed", "joined", "visible", "won", "warning_closed", "enabled", "yes"}
_BAD = {"canceled", "expired", "failed", "lost", "uncollectible", "disabled", "void", "prevented", "declined"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a row. `tone` is good, bad, warn or empty; `href` leads to another page of the console."""

    text: str
    href: str | None = None
    tone: str = ""
    code: bool = False


Show = Callable[[World, Any], Cell]


@dataclass(frozen=True, slots=True)
class Kind:
    """A table of the state browser. `path` is the API's collection, None where the API has no such object."""

    slug: str
    label: str
    table: str
    path: str | None
    columns: tuple[tuple[str, Show], ...]

    def rows(self, world: World) -> dict[str, Any]:
        """The records, by id, oldest first."""
        rows: dict[str, Any] = getattr(world.store.tables, self.table)
        return rows


def when(at: datetime | None) -> str:
    """A time for people, in UTC."""
    return "–" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def badge(status: str) -> Cell:
    """A status with the colour of what it means."""
    tone = "good" if status in _GOOD else "bad" if status in _BAD else "warn"
    return Cell(status.replace("_", " "), tone=tone)


def _text(name: str) -> Show:
    def show(_: World, row: Any) -> Cell:
        value = getattr(row, name)
        if isinstance(value, Money):
            return Cell(value.format())
        if isinstance(value, datetime):
            return Cell(when(value))
        return Cell("–" if value in (None, "", []) else str(value))

    return show


def _status(_: World, row: Any) -> Cell:
    return badge(row.status)


def _created(_: World, row: Any) -> Cell:
    return Cell(when(row.created_at))


def _link(name: str) -> Show:
    def show(world: World, row: Any) -> Cell:
        return ref(world, getattr(row, name))

    return show


def _buyer(world: World, row: Any) -> Cell:
    tables = world.store.tables
    member = tables.members.get(getattr(row, "member_id", None) or row.id)
    person = tables.people.get(
        row.user_id if member is None and hasattr(row, "user_id") else getattr(member, "user_id", "")
    )
    text = "–" if person is None else person.email
    return Cell(text, None if member is None else f"/console/members/{member.id}")


def _plan(world: World, row: Any) -> Cell:
    plan = world.store.tables.plans.get(row.plan_id or "")
    if plan is None:
        return Cell("–")
    return Cell(plan.title or plan.id, f"/console/plans/{plan.id}")


def _price(_: World, row: Any) -> Cell:
    if not row.recurring:
        return Cell(row.initial_price.format())
    return Cell(f"{row.renewal_price.format()} every {row.billing_period} days")


def _membership_status(_: World, row: Any) -> Cell:
    if row.paused_at is not None:
        return Cell("paused", tone="warn")
    if row.cancel_at_period_end and not row.ended:
        return Cell(f"{row.status.replace('_', ' ')}, canceling", tone="warn")
    return badge(row.status)


def _amount_off(_: World, row: Any) -> Cell:
    if row.promo_type == "percentage":
        return Cell(f"{(Decimal(row.amount_off) * 100).normalize():f} %")
    return Cell(f"{row.amount_off} {row.currency.upper()}")


def _card(_: World, row: Any) -> Cell:
    return Cell(f"{row.brand.title()} ···· {row.last4}")


def _endpoint_state(_: World, row: Any) -> Cell:
    return badge("enabled" if row.enabled else "disabled")


def _pin(_: World, row: Any) -> Cell:
    return Cell(row.api_version_date or "legacy")


KINDS: tuple[Kind, ...] = (
    Kind(
        "products",
        "Products",
        "products",
        "products",
        (("Title", _text("title")), ("Visibility", _text("visibility")), ("Created", _created)),
    ),
    Kind(
        "plans",
        "Plans",
        "plans",
        "plans",
        (
            ("Title", _text("title")),
            ("Price", _price),
            ("Trial days", _text("trial_period_days")),
            ("Product", _link("product_id")),
            ("Created", _created),
        ),
    ),
    Kind(
        "checkouts",
        "Checkouts",
        "checkouts",
        "checkout_configurations",
        (("Mode", _text("mode")), ("Plan", _plan), ("Created", _created)),
    ),
    Kind(
        "members",
        "Members",
        "members",
        "members",
        (("E-mail", _buyer), ("Status", _status), ("Joined", _text("joined_at"))),
    ),
    Kind(
        "memberships",
        "Memberships",
        "memberships",
        "memberships",
        (
            ("Buyer", _buyer),
            ("Plan", _plan),
            ("Status", _membership_status),
            ("Period ends", _text("current_period_end")),
        ),
    ),
    Kind(
        "payments",
        "Payments",
        "payments",
        "payments",
        (
            ("Created", _created),
            ("Buyer", _buyer),
            ("Total", _text("total")),
            ("Status", _status),
            ("Reason", _text("billing_reason")),
        ),
    ),
    Kind(
        "refunds",
        "Refunds",
        "refunds",
        "refunds",
        (("Created", _created), ("Amount", _text("amount")), ("Status", _status), ("Payment", _link("payment_id"))),
    ),
    Kind(
        "disputes",
        "Disputes",
        "disputes",
        "disputes",
        (
            ("Created", _created),
            ("Amount", _text("amount")),
            ("Status", _status),
            ("Reason", _text("reason")),
            ("Payment", _link("payment_id")),
        ),
    ),
    Kind(
        "alerts",
        "Dispute alerts",
        "dispute_alerts",
        "dispute_alerts",
        (
            ("Received", _created),
            ("Amount", _text("amount")),
            ("Type", _text("type")),
            ("Payment", _link("payment_id")),
        ),
    ),
    Kind(
        "payouts",
        "Payouts",
        "payouts",
        "payouts",
        (("Created", _created), ("Amount", _text("amount")), ("Fee", _text("fee")), ("Status", _status)),
    ),
    Kind(
        "methods",
        "Payment methods",
        "methods",
        "payment_methods",
        (("Card", _card), ("Buyer", _buyer), ("Behaves", _text("behaviour")), ("Created", _created)),
    ),
    Kind("setups", "Setup intents", "setup_intents", "setup_intents", (("Created", _created), ("Status", _status))),
    Kind(
        "promos",
        "Promo codes",
        "promos",
        "promo_codes",
        (("Code", _text("code")), ("Off", _amount_off), ("Status", _status), ("Uses", _text("uses"))),
    ),
    Kind(
        "invoices",
        "Invoices",
        "invoices",
        "invoices",
        (
            ("Number", _text("number")),
            ("Status", _status),
            ("Plan", _plan),
            ("Due", _text("due_date")),
            ("Created", _created),
        ),
    ),
    Kind(
        "webhooks",
        "Webhooks",
        "endpoints",
        "webhooks",
        (
            ("Address", _text("url")),
            ("State", _endpoint_state),
            ("Version", _pin),
            ("Failures", _text("consecutive_failures")),
        ),
    ),
)
BY_SLUG = {kind.slug: kind for kind in KINDS}


def ref(world: World, record_id: str | None) -> Cell:
    """An id, as a link when it is known."""
    if not record_id:
        return Cell("–")
    kind = kind_of(world, record_id)
    return Cell(record_id, None if kind is None else f"/console/{kind.slug}/{record_id}", code=True)


def kind_of(world: World, record_id: str) -> Kind | None:
    """What an id names; None when it is unknown or not shown."""
    return next((kind for kind in KINDS if record_id in kind.rows(world)), None)


def search(world: World, rows: Iterable[Record], wanted: str, status: str) -> Iterator[Record]:
    """Those whose texts, buyer's address included, contain all words, and whose status is the wanted one."""
    words = wanted.casefold().split()
    for row in rows:
        if status and getattr(row, "status", None) != status:
            continue
        if not words:
            yield row
            continue
        haystack = _haystack(world, row)
        if all(word in haystack for word in words):
            yield row


def _haystack(world: World, row: Any) -> str:
    texts = [value for field in fields(row) if isinstance(value := getattr(row, field.name), str)]
    person = world.store.tables.people.get(getattr(row, "user_id", None) or "")
    if person is None and (member := world.store.tables.members.get(getattr(row, "member_id", None) or "")) is not None:
        person = world.store.tables.people.get(member.user_id)
    if person is not None:
        texts += [person.email, person.name or ""]
    return "\n".join(texts).casefold()
