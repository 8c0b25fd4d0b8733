from dataclasses import replace

import pytest

from quntedge.catalog.rules import CatalogFile, InvalidCatalog, PlanSpec, PlanTermsFixed, diff
from quntedge.catalog.toml import packaged
from quntedge.kit.money import Money

SEED = packaged()
EMPTY = CatalogFile({}, {})


def with_plan(catalog: CatalogFile, plan: PlanSpec) -> CatalogFile:
    return CatalogFile(catalog.features, {**catalog.plans, plan.code: plan})


def without_plan(catalog: CatalogFile, code: str) -> CatalogFile:
    return CatalogFile(catalog.features, {c: p for c, p in catalog.plans.items() if c != code})


def without_feature(catalog: CatalogFile, code: str) -> CatalogFile:
    plans = {c: replace(p, features=tuple(f for f in p.features if f != code)) for c, p in catalog.plans.items()}
    return CatalogFile({c: f for c, f in catalog.features.items() if c != code}, plans)


def on_sale(catalog: CatalogFile) -> CatalogFile:
    return CatalogFile(catalog.features, {c: replace(p, whop_plan_id=f"plan_{c}") for c, p in catalog.plans.items()})


def test_the_same_catalogue_needs_no_change() -> None:
    assert diff(SEED, SEED) == []
    assert diff(on_sale(SEED), SEED) == []


def test_everything_is_added_to_an_empty_one() -> None:
    changes = diff(EMPTY, SEED)
    assert [c.code for c in changes if c.kind == "feature"] == list(SEED.features)
    assert [c.code for c in changes if c.kind == "plan"] == list(SEED.plans)
    assert {c.action for c in changes} == {"add"}


@pytest.mark.parametrize(
    "terms", [{"price": Money(3900, "usd")}, {"price": Money(2900, "eur")}, {"period_days": 31}, {"trial_days": 0}]
)
def test_terms_are_fixed_once_on_sale(terms: dict[str, object]) -> None:
    wanted = with_plan(SEED, replace(SEED.plans["monthly"], **terms))  # type: ignore[arg-type]
    with pytest.raises(PlanTermsFixed, match="new code") as caught:
        diff(on_sale(SEED), wanted)
    assert next(iter(terms)) in caught.value.detail
    (change,) = diff(SEED, wanted)
    assert (change.action, change.code, list(change.fields)) == ("update", "monthly", list(terms))


def test_words_and_features_may_change_on_sale() -> None:
    plan = replace(SEED.plans["monthly"], name="Per month", grace_days=3, features=("api_access",))
    (change,) = diff(on_sale(SEED), with_plan(SEED, plan))
    assert set(change.fields) == {"name", "grace_days", "features"}
    assert "name 'Monthly' → 'Per month'" in change.describe()


def test_a_plan_that_disappears_is_archived_once() -> None:
    wanted = without_plan(SEED, "quarterly")
    assert [c.describe() for c in diff(SEED, wanted)] == ["archive plan quarterly"]
    archived = with_plan(SEED, replace(SEED.plans["quarterly"], archived=True))
    assert diff(archived, wanted) == []
    assert [c.describe() for c in diff(SEED, archived)] == ["archive plan quarterly"]
    assert [c.describe() for c in diff(archived, SEED)] == ["restore plan quarterly"]


def test_a_feature_is_removed_with_its_last_plan() -> None:
    changes = diff(SEED, without_feature(SEED, "custom_integrations"))
    assert [(c.action, c.kind, c.code) for c in changes] == [
        ("remove", "feature", "custom_integrations"),
        ("update", "plan", "lifetime"),
    ]


def test_a_feature_that_an_archived_plan_grants_stays() -> None:
    held = with_plan(SEED, replace(SEED.plans["lifetime"], archived=True))
    with pytest.raises(InvalidCatalog, match=r"'custom_integrations' cannot be dropped.*'lifetime'"):
        diff(held, without_plan(without_feature(SEED, "custom_integrations"), "lifetime"))
