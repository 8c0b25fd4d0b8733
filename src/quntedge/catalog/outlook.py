"""What a change of the catalogue means: at the gateway, and for those who have subscribed already. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from quntedge.catalog.features import is_lower
from quntedge.catalog.rules import CatalogFile, Change, PlanSpec, history_after, shown
from quntedge.catalog.versions import GatewayStep, gateway_steps

Subscribers = Mapping[tuple[str, int], int]
"""How many live subscribers a plan (by code) has in each version."""


@dataclass(frozen=True, slots=True)
class CatalogDiff:
    """Everything that would happen.

    `changes` here, `gateway` there; `notes` say who keeps what, `warnings` who loses something.
    """

    changes: tuple[Change, ...]
    gateway: tuple[GatewayStep, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether database, gateway and file agree already."""
        return not self.changes and not self.gateway


def outlook(
    current: CatalogFile, wanted: CatalogFile, changes: Iterable[Change], subscribers: Subscribers
) -> CatalogDiff:
    """What these changes, being the difference between the two catalogues, would mean."""
    listed = tuple(changes)
    return CatalogDiff(
        listed,
        tuple(_steps(current, wanted)),
        tuple(_notes(current, wanted, listed, subscribers)),
        tuple(_warnings(current, wanted, subscribers)),
    )


def _steps(current: CatalogFile, wanted: CatalogFile) -> Iterator[GatewayStep]:
    for code, plan in wanted.plans.items():
        yield from gateway_steps(code, history_after(current.plans.get(code), plan), for_sale=plan.for_sale)
    for code, plan in current.plans.items():
        if code not in wanted.plans:
            yield from gateway_steps(code, plan.history, for_sale=False)


def _notes(
    current: CatalogFile, wanted: CatalogFile, changes: Iterable[Change], subscribers: Subscribers
) -> Iterator[str]:
    for change in changes:
        if change.kind != "plan" or change.code not in current.plans:
            continue
        counts = _by_version(change.code, subscribers)
        if change.action == "archive" and counts:
            yield f"{change.code}: {_people(sum(counts.values()))} it, nobody new can buy it"
        elif change.new_version is not None:
            for version, count in counts.items():
                yield f"{change.code}: {_people(count)} version {version} and its price"


def _warnings(current: CatalogFile, wanted: CatalogFile, subscribers: Subscribers) -> Iterator[str]:
    for code, plan in wanted.plans.items():
        held = current.plans.get(code)
        if held is None:
            continue
        count = sum(_by_version(code, subscribers).values())
        # The free plan is everybody's, so nobody has subscribed to it.
        if count or held.kind == "free":
            who = "everybody" if held.kind == "free" else _count(count)
            yield from (f"{code}: {who} {loss}" for loss in _losses(held, plan))


def _losses(held: PlanSpec, wanted: PlanSpec) -> Iterator[str]:
    for code, value in held.features.items():
        if code not in wanted.features:
            yield f"would lose {code}"
        elif is_lower(wanted.features[code], value):
            before = "unlimited" if value is None else value
            yield f"would have {code} lowered from {before} to {wanted.features[code]}"
    if wanted.grace_days < held.grace_days:
        yield f"would have {wanted.grace_days} days of grace instead of {held.grace_days}"
    access, before_access = wanted.rules.pause.access, held.rules.pause.access
    if _KEEPS[access] < _KEEPS[before_access]:
        yield f"would have pause_access {shown(access)} instead of {shown(before_access)}"


_KEEPS = {"none": 0, "period": 1, "keep": 2}


def _by_version(code: str, subscribers: Subscribers) -> dict[int, int]:
    return {version: count for (plan, version), count in sorted(subscribers.items()) if plan == code and count}


def _count(count: int) -> str:
    return f"{count:,} subscriber" if count == 1 else f"{count:,} subscribers"


def _people(count: int) -> str:
    return f"{_count(count)} {'keeps' if count == 1 else 'keep'}"
