"""The catalogue as data, and what has to change to get from one to another. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quntedge.catalog.features import FeatureValue
from quntedge.catalog.plan_rules import PlanRules
from quntedge.catalog.versions import Terms, current_version, revised
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


class PlanKindFixed(Conflict):
    """A plan was to become another kind of thing: free, recurring, or paid once."""

    code = "plan_kind_fixed"
    title = "The kind of a plan cannot be changed"


class GatewayPlanDiffers(Conflict):
    """The gateway has a plan that carries our mark but other terms."""

    code = "gateway_plan_differs"
    title = "The gateway's plan has other terms than ours"


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A feature as the catalogue describes it. `kind` is boolean, limit or config; `unit` says what a limit counts."""

    code: str
    name: str
    description: str
    position: int
    kind: str = "boolean"
    unit: str = ""


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """A plan as the catalogue describes it.

    `prices` by currency, `currency` being the plan's own. `features` says what each granted feature is worth. `history`
    is known only of plans in the database: all versions of the terms, retired ones included.
    """

    code: str
    name: str
    tagline: str
    kind: str
    currency: str
    prices: Mapping[str, Money]
    period_days: int | None
    trial_days: int
    grace_days: int
    rules: PlanRules
    highlighted: bool
    position: int
    archived: bool
    features: Mapping[str, FeatureValue]
    history: tuple[Terms, ...] = field(default=(), compare=False)

    @property
    def for_sale(self) -> bool:
        """Whether there is something to sell at the gateway."""
        return self.kind != "free" and not self.archived


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A whole catalogue, by code, in the order in which it is shown."""

    features: Mapping[str, FeatureSpec]
    plans: Mapping[str, PlanSpec]


ABSENT = object()
"""Stands for a value that one side of a difference does not have."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: what happens to which plan or feature, and for updates the fields with before and after.

    A field of a plan may be a part of it: `price.usd`, `feature.accounts`, `change.upgrade`. A side without it is
    `ABSENT`. `new_version` is the number of the version that begins with this change.
    """

    action: str
    """add, update, archive, restore or remove."""
    kind: str
    """plan or feature."""
    code: str
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    new_version: int | None = None

    def describe(self) -> str:
        """The change in one line, for people."""
        details = ", ".join(f"{name} {shown(old)} → {shown(new)}" for name, (old, new) in self.fields.items())
        begins = f" (version {self.new_version} begins)" if self.new_version and self.action != "add" else ""
        return f"{self.action} {self.kind} {self.code}" + (f": {details}" if details else "") + begins


def diff(current: CatalogFile, wanted: CatalogFile) -> list[Change]:
    """What has to happen to `current`. A plan that is not wanted any more is archived and keeps its features.

    Raises `PlanKindFixed` when a plan would become another kind, `InvalidCatalog` when a feature would be removed that
    an archived plan still grants.
    """
    return [*_feature_changes(current, wanted), *_plan_changes(current, wanted)]


def history_after(held: PlanSpec | None, wanted: PlanSpec) -> tuple[Terms, ...]:
    """All versions of a plan's terms after it has become what is wanted."""
    history = held.history if held is not None else ()
    return revised(history, wanted.prices, wanted.period_days, wanted.trial_days)


def _plan_changes(current: CatalogFile, wanted: CatalogFile) -> list[Change]:
    changes = [
        Change("archive", "plan", code)
        for code, held in current.plans.items()
        if not held.archived and (code not in wanted.plans or wanted.plans[code].archived)
    ]
    for code, plan in wanted.plans.items():
        held = current.plans.get(code)
        version = _version_begun(held, plan)
        if held is None:
            changes.append(Change("add", "plan", code, new_version=version))
            continue
        if held.kind != plan.kind:
            raise PlanKindFixed(
                f"plans: {code!r} is {held.kind} and cannot become {plan.kind}: whoever has it has a {held.kind} plan. "
                f"Add a plan with a new code and mark {code!r} with archived = true."
            )
        restored = held.archived and not plan.archived
        if restored:
            changes.append(Change("restore", "plan", code, new_version=version))
        differing = _differences(_flat_plan(held, current.features), _flat_plan(plan, wanted.features))
        if differing:
            changes.append(Change("update", "plan", code, differing, None if restored else version))
    return changes


def _version_begun(held: PlanSpec | None, wanted: PlanSpec) -> int | None:
    before = current_version(held.history) if held is not None else 0
    after = current_version(history_after(held, wanted))
    return after if after > before else None


def _feature_changes(current: CatalogFile, wanted: CatalogFile) -> list[Change]:
    changes: list[Change] = []
    for code, feature in wanted.features.items():
        held = current.features.get(code)
        if held is None:
            changes.append(Change("add", "feature", code))
        elif held != feature:
            changes.append(Change("update", "feature", code, _differences(_flat_feature(held), _flat_feature(feature))))
    for code in sorted(current.features.keys() - wanted.features.keys()):
        kept_by = [p.code for p in current.plans.values() if p.code not in wanted.plans and code in p.features]
        if kept_by:
            raise InvalidCatalog(
                f"features: {code!r} cannot be dropped, subscribers of the plan {kept_by[0]!r} still have it. "
                f"Keep the feature in the file, or list the plan with archived = true and without it."
            )
        changes.append(Change("remove", "feature", code))
    return changes


def _flat_feature(feature: FeatureSpec) -> dict[str, Any]:
    return {
        "name": feature.name,
        "description": feature.description,
        "kind": feature.kind,
        "unit": feature.unit,
        "position": feature.position,
    }


def _flat_plan(plan: PlanSpec, features: Mapping[str, FeatureSpec]) -> dict[str, Any]:
    """Every part of a plan that can differ, by a name that people find again in the file."""
    rules = plan.rules.to_json()
    return {
        "name": plan.name,
        "tagline": plan.tagline,
        "currency": plan.currency,
        **{f"price.{currency}": price for currency, price in plan.prices.items()},
        "period_days": plan.period_days,
        "trial_days": plan.trial_days,
        "grace_days": plan.grace_days,
        "pause_access": plan.rules.pause.access,
        "pause_max_days": plan.rules.pause.max_days,
        **{f"change.{name}": value for name, value in rules["change"].items()},
        **{f"dunning.{name}": value for name, value in rules["dunning"].items()},
        "save_offer": rules["save_offer"],
        "refund_access": plan.rules.refund_access,
        **{f"dispute.{name}": value for name, value in rules["dispute"].items()},
        "highlighted": plan.highlighted,
        "position": plan.position,
        **{f"feature.{code}": _worth(features[code].kind, value) for code, value in plan.features.items()},
    }


def _worth(kind: str, value: FeatureValue) -> FeatureValue:
    if value is not None:
        return value
    return "unlimited" if kind == "limit" else True


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*before, *(name for name in after if name not in before)]
    pairs = {name: (before.get(name, ABSENT), after.get(name, ABSENT)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def shown(value: Any) -> str:
    """A value of a difference, for people."""
    if value is ABSENT or value is None:
        return "none"
    if isinstance(value, Money):
        return f"{value.to_major_text()} {value.currency.upper()}"
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, dict):
        return " ".join(f"{name}={shown(part)}" for name, part in value.items() if part is not None)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else repr(value)
