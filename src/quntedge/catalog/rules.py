"""The catalogue as data, and what has to change to get from one to another. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from quntedge.kit.errors import Conflict, QuntedgeError
from quntedge.kit.money import Money

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")


def is_code(text: str) -> bool:
    """Tells whether a text can be the code of a plan or a feature."""
    return _CODE.fullmatch(text) is not None


class InvalidCatalog(QuntedgeError):
    """The catalogue file cannot be used; the detail names the plan or feature, the field, and what to write."""

    code = "invalid_catalog"
    status = 422
    title = "The catalogue cannot be used"


class PlanTermsFixed(Conflict):
    """The price, period or trial of a plan that is on sale at the gateway was to be changed."""

    code = "plan_terms_fixed"
    title = "The terms of a plan on sale cannot be changed"


class GatewayPlanDiffers(Conflict):
    """The gateway has a plan that carries our code but other terms."""

    code = "gateway_plan_differs"
    title = "The gateway's plan has other terms than ours"


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A feature as the catalogue describes it."""

    code: str
    name: str
    description: str
    position: int


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """A plan as the catalogue describes it. `whop_plan_id` is known only of plans in the database.

    `features` are codes in alphabetical order, so that two plans that grant the same are equal.
    """

    code: str
    name: str
    tagline: str
    kind: str
    price: Money
    period_days: int | None
    trial_days: int
    grace_days: int
    highlighted: bool
    position: int
    archived: bool
    features: tuple[str, ...]
    whop_plan_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A whole catalogue, by code, in the order in which it is shown."""

    features: Mapping[str, FeatureSpec]
    plans: Mapping[str, PlanSpec]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: what happens to which plan or feature, and for updates the fields with before and after."""

    action: str
    """add, update, archive, restore or remove."""
    kind: str
    """plan or feature."""
    code: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def describe(self) -> str:
        """The change in one line, for people."""
        details = ", ".join(f"{name} {_show(old)} → {_show(new)}" for name, (old, new) in self.fields.items())
        return f"{self.action} {self.kind} {self.code}" + (f": {details}" if details else "")


_TERMS = ("kind", "price", "period_days", "trial_days")


def diff(current: CatalogFile, wanted: CatalogFile) -> list[Change]:
    """What has to happen to `current`. A plan that is not wanted any more is archived and keeps its features.

    Raises `PlanTermsFixed` when a plan on sale at the gateway would get other terms, `InvalidCatalog` when a feature
    would be removed that an archived plan still grants.
    """
    return [*_feature_changes(current, wanted), *_plan_changes(current, wanted)]


def _plan_changes(current: CatalogFile, wanted: CatalogFile) -> list[Change]:
    changes = [
        Change("archive", "plan", code)
        for code, held in current.plans.items()
        if not held.archived and (code not in wanted.plans or wanted.plans[code].archived)
    ]
    for code, plan in wanted.plans.items():
        held = current.plans.get(code)
        if held is None:
            changes.append(Change("add", "plan", code))
            continue
        _refuse_new_terms(held, plan)
        if held.archived and not plan.archived:
            changes.append(Change("restore", "plan", code))
        differing = _differences(held, plan, skip=("archived", "whop_plan_id"))
        if differing:
            changes.append(Change("update", "plan", code, differing))
    return changes


def _feature_changes(current: CatalogFile, wanted: CatalogFile) -> list[Change]:
    changes: list[Change] = []
    for code, feature in wanted.features.items():
        held = current.features.get(code)
        if held is None:
            changes.append(Change("add", "feature", code))
        elif held != feature:
            changes.append(Change("update", "feature", code, _differences(held, feature)))
    for code in sorted(current.features.keys() - wanted.features.keys()):
        kept_by = [p.code for p in current.plans.values() if p.code not in wanted.plans and code in p.features]
        if kept_by:
            raise InvalidCatalog(
                f"features: {code!r} cannot be dropped, subscribers of the plan {kept_by[0]!r} still have it. "
                f"Keep the feature in the file, or list the plan with archived = true and without it."
            )
        changes.append(Change("remove", "feature", code))
    return changes


def _refuse_new_terms(held: PlanSpec, wanted: PlanSpec) -> None:
    if held.whop_plan_id is None:
        return
    changed = [name for name in _TERMS if getattr(held, name) != getattr(wanted, name)]
    if changed:
        name = changed[0]
        raise PlanTermsFixed(
            f"plans: {wanted.code!r} is on sale at Whop with {name} = {_show(getattr(held, name))}; it cannot become "
            f"{_show(getattr(wanted, name))}, because memberships sold so far keep their terms. Add a plan with a new "
            f"code for the new terms and mark {wanted.code!r} with archived = true."
        )


def _differences(
    before: PlanSpec | FeatureSpec, after: PlanSpec | FeatureSpec, skip: tuple[str, ...] = ()
) -> dict[str, tuple[Any, Any]]:
    pairs = {f.name: (getattr(before, f.name), getattr(after, f.name)) for f in fields(before) if f.name not in skip}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _show(value: Any) -> str:
    if isinstance(value, Money):
        return f"{value.to_major_text()} {value.currency.upper()}"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return "none" if value is None else repr(value)
