"""Letters that nobody gets: one for each shape a mail can have, to try and to show templates with."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from quntedge.dunning.rules import Step
from quntedge.kit.money import Money
from quntedge.notifications.letters import Letter
from quntedge.notifications.rules import Kind
from quntedge.payments.rules import DeclineClass
from quntedge.plan_changes.lines import Line, LineKind

_DAY = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
_MONTH = timedelta(days=30)
_PRICE = Money(2900, "usd")
_ADDRESSING = frozenset({"id", "kind", "to", "locale", "time_zone", "moot"})
_VALUES: Mapping[str, Any] = {
    "name": "Camille Martin",
    "plan_name": "Pro",
    "invoice_number": "INV-2026-000042",
    "credit_note_number": "CN-2026-000007",
    "decline_class": DeclineClass.SOFT.value,
    "next_step": Step.RETRY.value,
    "contract": "sub_01k4a2f0e8f9xa3s6m1q2r7v5z",
    "statement_name": "Camille Martin",
    "old_plan_name": "Basic",
    "card": "Visa •••• 4242",
    "card_expires": "04/2030",
    "calculation": (
        Line(LineKind.NEW_PLAN, _PRICE, plan="Pro", period_start=_DAY, period_end=_DAY + _MONTH, price=_PRICE),
        Line(
            LineKind.UNUSED_TIME,
            Money(-1160, "usd"),
            plan="Basic",
            period_start=_DAY - _MONTH / 2,
            period_end=_DAY + _MONTH / 2,
            days_used=15,
            days_left=15,
            price=Money(2320, "usd"),
        ),
    ),
}
_ALTERNATIVES: Mapping[str, tuple[Any, ...]] = {
    "decline_class": tuple(kind.value for kind in DeclineClass),
    "next_step": tuple(step.value for step in Step),
}
"""Fields whose values lead to different words; each is tried."""

COMPLETE = "everything is known"
BARE = "nothing more is known"


@dataclass(frozen=True, slots=True)
class Sample:
    """A letter and what is special about it, in words."""

    shape: str
    letter: Letter


def samples(kind: Kind, language: str) -> list[Sample]:
    """Letters of this kind: complete, without each of the things that can be missing, and without all of them."""
    full = Letter(
        **{
            "id": "sample",
            "kind": kind.value,
            "to": "camille@example.org",
            "locale": language,
            **{name: _value(name, hint) for name, hint in _contents()},
        }
    )
    found = [Sample(COMPLETE, full)]
    for name, hint in _contents():
        found += [Sample(shape, replace(full, **{name: value})) for shape, value in _variations(name, hint)]
    missing: dict[str, Any] = {name: None for name, hint in _contents() if _can_miss(hint)}
    return [*found, Sample(BARE, replace(full, **missing))]


def _contents() -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(Letter)
    return ((field.name, hints[field.name]) for field in fields(Letter) if field.name not in _ADDRESSING)


def _variations(name: str, hint: Any) -> Iterator[tuple[str, Any]]:
    words = name.replace("_", " ")
    if hint is bool:
        yield f"not {words}", False
    for value in _ALTERNATIVES.get(name, ()):
        yield f"{words}: {value.replace('_', ' ')}", value
    if _can_miss(hint):
        yield f"without {words}", None


def _can_miss(hint: Any) -> bool:
    return NoneType in get_args(hint)


def _value(name: str, hint: Any) -> Any:
    """Something that looks like the real thing."""
    if name in _VALUES:
        return _VALUES[name]
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if _is_union(hint) else [hint]
    by_kind: dict[Any, Any] = {Money: _PRICE, datetime: _DAY, bool: True, int: 2, str: name.replace("_", " ")}
    if kinds[0] in by_kind:
        return by_kind[kinds[0]]
    if get_origin(kinds[0]) is tuple:
        return ()
    raise TypeError(f"there is no sample value for a letter's {name}")


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)
