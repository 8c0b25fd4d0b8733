from dataclasses import replace

from quntedge.catalog.outlook import CatalogDiff, outlook
from quntedge.catalog.plan_rules import PauseRules
from quntedge.catalog.rules import CatalogFile, diff
from quntedge.kit.money import Money
from tests.catalog.test_rules import EMPTY, SEED, held, with_plan, without_plan

SUBSCRIBERS = {("monthly", 1): 412, ("yearly", 1): 1, ("yearly", 2): 0}


def compared(wanted: CatalogFile, current: CatalogFile | None = None) -> CatalogDiff:
    current = held(SEED) if current is None else current
    return outlook(current, wanted, diff(current, wanted), SUBSCRIBERS)


def on_sale() -> CatalogFile:
    catalog = held(SEED)
    plans = {
        code: replace(plan, history=tuple(replace(t, whop_plan_id=f"{code}_{t.currency}") for t in plan.history))
        if plan.for_sale
        else plan
        for code, plan in catalog.plans.items()
    }
    return CatalogFile(catalog.features, plans)


def test_nothing_to_do_is_empty() -> None:
    assert compared(SEED, on_sale()).empty
    assert not compared(SEED).empty, "the gateway lacks everything"
    assert len(compared(SEED, EMPTY).gateway) == 8


def test_a_new_price_says_what_becomes_of_whom() -> None:
    plan = SEED.plans["monthly"]
    dearer = replace(plan, prices={**plan.prices, "usd": Money(3500, "usd")})
    found = compared(with_plan(SEED, dearer), on_sale())
    assert [step.describe() for step in found.gateway] == [
        "create at Whop: monthly version 2, 35.00 USD",
        "create at Whop: monthly version 2, 27.00 EUR",
        "archive at Whop: monthly version 1, 29.00 USD",
        "archive at Whop: monthly version 1, 27.00 EUR",
    ]
    assert found.notes == ("monthly: 412 subscribers keep version 1 and its price",)
    assert found.warnings == ()


def test_an_archived_plan_is_kept_by_its_subscribers() -> None:
    found = compared(without_plan(SEED, "yearly"), on_sale())
    assert found.notes == ("yearly: 1 subscriber keeps it, nobody new can buy it",)
    assert [step.describe() for step in found.gateway] == [
        "archive at Whop: yearly version 1, 250.00 USD",
        "archive at Whop: yearly version 1, 230.00 EUR",
    ]


def test_whoever_loses_something_is_counted() -> None:
    plan = SEED.plans["monthly"]
    worse = replace(
        plan,
        features={"basic_dashboard": None, "price_alerts": 50},
        grace_days=3,
        rules=replace(plan.rules, pause=PauseRules("none", 90)),
    )
    assert set(compared(with_plan(SEED, worse)).warnings) == {
        "monthly: 412 subscribers would lose advanced_analytics",
        "monthly: 412 subscribers would lose community_access",
        "monthly: 412 subscribers would lose limited_accounts",
        "monthly: 412 subscribers would lose unlimited_accounts",
        "monthly: 412 subscribers would have price_alerts lowered from 100 to 50",
        "monthly: 412 subscribers would have 3 days of grace instead of 7",
        "monthly: 412 subscribers would have pause_access 'none' instead of 'period'",
    }
    limited = replace(SEED.plans["yearly"], features={**SEED.plans["yearly"].features, "price_alerts": 1000})
    assert compared(with_plan(SEED, limited)).warnings == (
        "yearly: 1 subscriber would have price_alerts lowered from unlimited to 1000",
    )


def test_what_nobody_has_or_what_gets_better_is_no_warning() -> None:
    nobody = replace(SEED.plans["quarterly"], features={})
    assert compared(with_plan(SEED, nobody)).warnings == ()
    better = replace(SEED.plans["monthly"], features={**SEED.plans["monthly"].features, "price_alerts": None})
    assert compared(with_plan(SEED, better)).warnings == ()


def test_the_free_plan_is_everybodys() -> None:
    poorer = replace(SEED.plans["free"], features={"basic_dashboard": None, "limited_accounts": None})
    assert compared(with_plan(SEED, poorer)).warnings == (
        "free: everybody would lose community_access",
        "free: everybody would lose price_alerts",
    )
