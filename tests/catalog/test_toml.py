import re
from itertools import pairwise
from pathlib import Path

import pytest

from quntedge.catalog.rules import InvalidCatalog
from quntedge.catalog.toml import load, packaged
from quntedge.kit.money import Money

FEATURE = '[[features]]\ncode = "api"\nname = "API"\n'
PLAN = '[[plans]]\ncode = "monthly"\nname = "Monthly"\nkind = "recurring"\nprice = "29.00"\nperiod_days = 30\n'
FREE = '[[plans]]\ncode = "{}"\nname = "Free"\nkind = "free"\n'


def test_the_packaged_catalogue_is_the_one_of_the_specification() -> None:
    catalog = packaged()
    terms = {p.code: (p.kind, p.price.to_major_text(), p.period_days, p.trial_days) for p in catalog.plans.values()}
    assert terms == {
        "free": ("free", "0.00", None, 0),
        "monthly": ("recurring", "29.00", 30, 7),
        "quarterly": ("recurring", "75.00", 90, 0),
        "yearly": ("recurring", "250.00", 365, 0),
        "lifetime": ("lifetime", "499.00", None, 0),
    }
    assert {p.grace_days for p in catalog.plans.values()} == {7}
    assert {p.price.currency for p in catalog.plans.values()} == {"usd"}
    assert set(catalog.features) == set(
        "basic_dashboard limited_accounts community_access unlimited_accounts priority_support api_access"
        " advanced_analytics custom_integrations".split()
    )
    granted = [set(plan.features) for plan in catalog.plans.values()]
    assert all(lower < higher for lower, higher in pairwise(granted))
    assert granted[0] == {"basic_dashboard", "limited_accounts", "community_access"}
    assert granted[-1] == set(catalog.features)


def test_a_file_and_its_text_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(FEATURE + PLAN)
    assert load(path) == load(FEATURE + PLAN)
    assert load(path).plans["monthly"].price == Money(2900, "usd")


def test_a_currency_without_decimals() -> None:
    catalog = load('currency = "jpy"\n' + PLAN.replace('"29.00"', '"2900"'))
    assert catalog.plans["monthly"].price == Money(2900, "jpy")


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
        (PLAN.replace('"29.00"', '"29.001"'), "plans[1] (monthly): price: '29.001' 'usd' is not an amount"),
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
