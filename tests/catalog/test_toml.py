import re
from itertools import pairwise
from pathlib import Path

import pytest

from quntedge.catalog.rules import InvalidCatalog
from quntedge.catalog.toml import load, packaged
from quntedge.kit.money import Money

FEATURE = '[[features]]\ncode = "api"\nname = "API"\n'
LIMIT = '[[features]]\ncode = "seats"\nname = "Seats"\nkind = "limit"\nunit = "seats"\n'
CONFIG = '[[features]]\ncode = "region"\nname = "Region"\nkind = "config"\n'
PLAN = '[[plans]]\ncode = "monthly"\nname = "Monthly"\nkind = "recurring"\nprice = "29.00"\nperiod_days = 30\n'
PRICES = PLAN.replace('price = "29.00"\n', "") + "prices = "
FREE = '[[plans]]\ncode = "{}"\nname = "Free"\nkind = "free"\n'


def test_the_packaged_catalogue_is_the_one_of_the_specification() -> None:
    catalog = packaged()
    terms = {
        p.code: (p.kind, p.prices["usd"].to_major_text(), p.period_days, p.trial_days) for p in catalog.plans.values()
    }
    assert terms == {
        "free": ("free", "0.00", None, 0),
        "monthly": ("recurring", "29.00", 30, 7),
        "quarterly": ("recurring", "75.00", 90, 0),
        "yearly": ("recurring", "250.00", 365, 0),
        "lifetime": ("lifetime", "499.00", None, 0),
    }
    assert {p.grace_days for p in catalog.plans.values()} == {7}
    assert {p.currency for p in catalog.plans.values()} == {"usd"}
    assert all(set(p.prices) == {"usd", "eur"} for p in catalog.plans.values() if p.kind != "free")
    assert set(catalog.features) == set(
        "basic_dashboard limited_accounts community_access unlimited_accounts priority_support api_access"
        " advanced_analytics custom_integrations price_alerts".split()
    )
    alerts = [plan.features["price_alerts"] for plan in catalog.plans.values()]
    assert alerts == [5, 100, 250, None, None]
    granted = [set(plan.features) for plan in catalog.plans.values()]
    assert all(lower < higher for lower, higher in pairwise(granted))
    assert granted[0] == {"basic_dashboard", "limited_accounts", "community_access", "price_alerts"}
    assert granted[-1] == set(catalog.features)


def test_a_file_and_its_text_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(FEATURE + PLAN)
    assert load(path) == load(FEATURE + PLAN)
    assert load(path).plans["monthly"].prices == {"usd": Money(2900, "usd")}


def test_a_currency_without_decimals() -> None:
    catalog = load('currency = "jpy"\n' + PLAN.replace('"29.00"', '"2900"'))
    assert catalog.plans["monthly"].prices == {"jpy": Money(2900, "jpy")}


def test_prices_in_several_currencies_begin_with_the_plans_own() -> None:
    listed = PLAN.replace('price = "29.00"', 'prices = { eur = "27.00", usd = "29.00", jpy = "4300" }')
    plan = load(listed).plans["monthly"]
    assert list(plan.prices) == ["usd", "eur", "jpy"]
    assert plan.prices["jpy"] == Money(4300, "jpy")
    assert load(listed + 'currency = "eur"').plans["monthly"].currency == "eur"


def test_features_have_values() -> None:
    plan = load(
        FEATURE + LIMIT + CONFIG + PLAN + 'features = ["api"]\nvalues = { seats = 3, region = "eu-west" }\n'
    ).plans["monthly"]
    assert plan.features == {"api": None, "seats": 3, "region": "eu-west"}
    unlimited = load(LIMIT + PLAN + 'values = { seats = "unlimited" }').plans["monthly"]
    assert unlimited.features == {"seats": None}
    assert load(LIMIT + PLAN).features["seats"].unit == "seats"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plans = [", "The catalogue is not TOML"),
        ("", "plans: is empty"),
        ("plans = 3", "plans: must be written as [[plans]] tables"),
        ("plans = [3]", "plans[1]: must be a table"),
        ("typo = 1\n" + PLAN, "typo: is not a field; known fields: currency, features"),
        (PLAN + "pricee = 1", "plans[1] (monthly): pricee: is not a field"),
        (PLAN.replace('"29.00"', "29.0"), 'price: is 29.0; write it as text in major units, for example "29.00"'),
        (PLAN.replace('"29.00"', '"29.001"'), "plans[1] (monthly): price: '29.001' in USD cannot be: the amount"),
        (PLAN.replace('"29.00"', '"-29.00"'), "is below the smallest price Whop takes, 1.00"),
        (PLAN.replace('"29.00"', '"0.99"'), "is below the smallest price Whop takes, 1.00"),
        (PLAN.replace('price = "29.00"\n', ""), "plans[1] (monthly): price: is missing; write it as text"),
        (PLAN + 'currency = "xxx"', "plans[1] (monthly): price:"),
        (PLAN.replace("= 30", "= 0"), "period_days: is 0; write a whole number of days from 1 to 365"),
        (PLAN.replace("= 30", "= 366"), "period_days: is 366"),
        (PLAN.replace("= 30", "= true"), "period_days: is True"),
        (PLAN.replace("period_days = 30\n", ""), "period_days: is missing"),
        (PLAN + "trial_days = -1", "trial_days: is -1; write a whole number of days from 0"),
        (PLAN + "highlighted = 1", "highlighted: is 1; write true or false"),
        (PLAN + 'features = ["api"]', "features: 'api' is unknown; write one of (none defined)"),
        (FEATURE + PLAN + 'features = ["api", "api"]', "features: one feature is listed twice"),
        (FEATURE + PLAN + "features = 3", "features: must be a list of codes"),
        (FEATURE + FEATURE + PLAN, "features[2] (api): code: 'api' is given twice"),
        (PLAN + PLAN, "plans[2] (monthly): code: 'monthly' is given twice"),
        (PLAN.replace('"monthly"', '"Monthly!"'), "code: 'Monthly!' is not a code"),
        (PLAN.replace('code = "monthly"\n', ""), "plans[1]: code: is missing"),
        (PLAN.replace('"recurring"', '"weekly"'), "kind: 'weekly' is unknown; write one of free, recurring, lifetime"),
        (PLAN.replace('"recurring"', '"lifetime"'), "period_days: only a recurring plan has a period"),
        (FREE.format("a") + "trial_days = 7", "trial_days: only a recurring plan can have a trial"),
        (FREE.format("a") + 'price = "1.00"', "price: a free plan has none"),
        (FREE.format("a") + FREE.format("b"), "plans[2] (b): kind: there is a free plan already"),
        (PRICES + '{ eur = "27.00" }', "plans[1] (monthly): prices: 'usd', the plan's own currency, is missing"),
        (PRICES + '{ usd = 29.0 }', "plans[1] (monthly): prices: usd: is 29.0; write it as text"),
        (PRICES + '{ usd = "29.00", xxx = "1.00" }', "prices: xxx: '1.00' in XXX cannot be: unknown currency"),
        (PRICES + '{ usd = "29.00", jpy = "0" }', "prices: jpy: '0' is below the smallest price Whop takes, 1"),
        (PLAN + 'prices = { usd = "29.00" }', "price: is among prices; leave one of the two out"),
        (FREE.format("a") + 'prices = { usd = "1.00" }', "prices: a free plan has none"),
        (FEATURE + 'kind = "many"\n' + PLAN, "kind: 'many' is unknown; write one of boolean, limit, config"),
        (FEATURE + 'unit = "calls"\n' + PLAN, "unit: only a limit counts something; leave it out of a boolean"),
        (LIMIT + PLAN + 'features = ["seats"]', "features: 'seats' is a limit; give it a value under values"),
        (FEATURE + PLAN + "values = { api = 1 }", "values: api: is a yes-or-no feature; list it under features"),
        (PLAN + "values = { api = 1 }", "plans[1] (monthly): values: 'api' is unknown"),
        (LIMIT + PLAN + "values = { seats = -1 }", "values: seats: is -1; write a whole number from 0"),
        (LIMIT + PLAN + 'values = { seats = "many" }', "values: seats: is 'many'; write a whole number or"),
        (CONFIG + PLAN + "values = { region = 1 }", "values: region: is 1; write a text in quotes"),
        (PLAN.replace('"Monthly"', '"' + "M" * 31 + '"'), "name: must be 1 to 30 printable characters"),
        (PLAN.replace('"Monthly"', '""'), "name: must be 1 to 30 printable characters"),
    ],
)  # fmt: skip
def test_an_error_names_the_place_and_the_way_out(text: str, message: str) -> None:
    with pytest.raises(InvalidCatalog, match=re.escape(message)):
        load(text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalog, match=r"nowhere\.toml cannot be read"):
        load(tmp_path / "nowhere.toml")
