from dataclasses import replace

import pytest

from quntedge.catalog.plan_rules import ChangeRules, PauseRules, PlanRules
from quntedge.catalog.rules import CatalogFile, InvalidCatalog, PlanKindFixed, PlanSpec, diff, history_after
from quntedge.catalog.toml import packaged
from quntedge.kit.money import Money

SEED = packaged()
EMPTY = CatalogFile({}, {})


def with_plan(catalog: CatalogFile, plan: PlanSpec) -> CatalogFile:
    return CatalogFile(catalog.features, {**catalog.plans, plan.code: plan})


def without_plan(catalog: CatalogFile, code: str) -> CatalogFile:
    return CatalogFile(catalog.features, {c: p for c, p in catalog.plans.items() if c != code})


def without_feature(catalog: CatalogFile, code: str) -> CatalogFile:
    plans = {
        c: replace(p, features={f: value for f, value in p.features.items() if f != code})
        for c, p in catalog.plans.items()
    }
    return CatalogFile({c: f for c, f in catalog.features.items() if c != code}, plans)


def held(catalog: CatalogFile) -> CatalogFile:
    """The catalogue as it is read from a database that it has been applied to."""
    return CatalogFile(
        catalog.features, {c: replace(p, history=history_after(None, p)) for c, p in catalog.plans.items()}
    )


def test_the_same_catalogue_needs_no_change() -> None:
    assert diff(SEED, SEED) == []
    assert diff(held(SEED), SEED) == []


def test_everything_is_added_to_an_empty_one() -> None:
    changes = diff(EMPTY, SEED)
    assert [c.code for c in changes if c.kind == "feature"] == list(SEED.features)
    assert [c.code for c in changes if c.kind == "plan"] == list(SEED.plans)
    assert {c.action for c in changes} == {"add"}
    assert changes[-1].describe() == "add plan lifetime"


def test_new_terms_begin_a_version() -> None:
    prices = {"usd": Money(3500, "usd"), "eur": Money(2700, "eur")}
    wanted = with_plan(SEED, replace(SEED.plans["monthly"], prices=prices, trial_days=0))
    (change,) = diff(held(SEED), wanted)
    assert change.describe() == (
        "update plan monthly: price.usd 29.00 USD → 35.00 USD, trial_days 7 → 0 (version 2 begins)"
    )
    assert change.new_version == 2


def test_words_rules_and_features_hold_for_all_versions() -> None:
    plan = replace(
        SEED.plans["monthly"],
        name="Per month",
        grace_days=3,
        features={"api_access": None, "price_alerts": None},
        rules=replace(SEED.plans["monthly"].rules, change=ChangeRules(proration="refund", targets=("yearly",))),
    )
    (change,) = diff(held(SEED), with_plan(SEED, plan))
    assert change.new_version is None
    lines = change.describe()
    for line in (
        "name 'Monthly' → 'Per month'",
        "grace_days 7 → 3",
        "change.proration 'credit' → 'refund'",
        "change.targets none → [yearly]",
        "feature.community_access yes → none",
        "feature.api_access none → yes",
        "feature.price_alerts 100 → 'unlimited'",
    ):
        assert line in lines


def test_a_rule_that_has_a_column_of_its_own_is_compared_too() -> None:
    plan = replace(SEED.plans["monthly"], rules=PlanRules(pause=PauseRules("none", None)))
    (change,) = diff(held(SEED), with_plan(SEED, plan))
    assert set(change.fields) == {"pause_access", "pause_max_days", "save_offer"}
    assert "save_offer kind='discount' percent_bp=2000 periods=3 → none" in change.describe()


@pytest.mark.parametrize(("code", "kind"), [("monthly", "lifetime"), ("free", "recurring"), ("lifetime", "free")])
def test_the_kind_of_a_plan_is_fixed(code: str, kind: str) -> None:
    with pytest.raises(PlanKindFixed, match=f"'{code}' is .* and cannot become {kind}: .*new code"):
        diff(held(SEED), with_plan(SEED, replace(SEED.plans[code], kind=kind)))


def test_a_plan_that_disappears_is_archived_once() -> None:
    wanted = without_plan(SEED, "quarterly")
    assert [c.describe() for c in diff(held(SEED), wanted)] == ["archive plan quarterly"]
    archived = with_plan(SEED, replace(SEED.plans["quarterly"], archived=True))
    assert diff(held(archived), wanted) == []
    assert [c.describe() for c in diff(held(SEED), archived)] == ["archive plan quarterly"]
    assert [c.describe() for c in diff(held(archived), SEED)] == ["restore plan quarterly"]


def test_a_plan_that_the_gateway_has_archived_comes_back_as_a_new_version() -> None:
    gone = replace(SEED.plans["quarterly"], archived=True)
    history = tuple(replace(terms, gateway_archived=True) for terms in history_after(None, gone))
    current = with_plan(held(SEED), replace(gone, history=history))
    assert [c.describe() for c in diff(current, SEED)] == ["restore plan quarterly (version 2 begins)"]


def test_a_feature_is_removed_with_its_last_plan() -> None:
    changes = diff(held(SEED), without_feature(SEED, "custom_integrations"))
    assert [(c.action, c.kind, c.code) for c in changes] == [
        ("remove", "feature", "custom_integrations"),
        ("update", "plan", "lifetime"),
    ]


def test_a_feature_that_an_archived_plan_grants_stays() -> None:
    current = with_plan(held(SEED), replace(held(SEED).plans["lifetime"], archived=True))
    with pytest.raises(InvalidCatalog, match=r"'custom_integrations' cannot be dropped.*'lifetime'"):
        diff(current, without_plan(without_feature(SEED, "custom_integrations"), "lifetime"))
