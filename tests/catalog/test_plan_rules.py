import json
import re

import pytest

from quntedge.catalog.plan_rules import ChangeRules, DunningRules, PauseRules, PlanRules, SaveOffer
from quntedge.catalog.rules import InvalidCatalog
from quntedge.catalog.toml import load
from quntedge.kit.money import Money
from tests.catalog.test_toml import FREE, PLAN

YEARLY = PLAN.replace('"monthly"', '"yearly"')


def rules(text: str, plan: str = PLAN) -> PlanRules:
    """The rules of the first of two plans."""
    return load(plan + text + "\n" + YEARLY).plans["monthly"].rules


def test_a_plan_that_says_nothing_has_the_usual_rules() -> None:
    assert rules("") == PlanRules()
    usual = PlanRules()
    assert (usual.change.proration, usual.change.upgrade, usual.change.downgrade) == ("credit", "now", "period_end")
    assert (usual.dunning.max_attempts, usual.dunning.backoff_days) == (3, (1, 3, 9))
    assert usual.save_offer is None
    assert usual.pause == PauseRules("period", None)
    assert usual.change.allows("anything")


def test_every_rule_can_be_written() -> None:
    text = """
pause_access = "keep"
pause_max_days = 60
[plans.change]
proration = "extension"
upgrade = "period_end"
downgrade = "now"
targets = ["yearly"]
[plans.dunning]
backoff_days = [2, 4]
window = [8, 12]
[plans.save_offer]
kind = "discount"
percent = "12.5"
periods = 2
"""
    found = rules(text)
    assert found == PlanRules(
        change=ChangeRules("extension", "period_end", "now", ("yearly",)),
        dunning=DunningRules(3, (2, 4), (8, 12)),
        save_offer=SaveOffer("discount", percent_bp=1250, periods=2),
        pause=PauseRules("keep", 60),
    )
    assert found.change.allows("yearly")
    assert not found.change.allows("lifetime")


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ('kind = "discount"\npercent = 20\nperiods = 3', SaveOffer("discount", percent_bp=2000, periods=3)),
        ('kind = "discount"\namount = "5.00"\nperiods = 1', SaveOffer("discount", amount=Money(500, "usd"), periods=1)),
        ('kind = "pause"\ndays = 30', SaveOffer("pause", days=30)),
    ],
)
def test_what_is_kept_is_what_was_written(text: str, offer: SaveOffer) -> None:
    found = rules(f"[plans.save_offer]\n{text}\n")
    assert found.save_offer == offer
    document = json.loads(json.dumps(found.to_json()))
    assert PlanRules.from_json(document, found.pause.access) == found


def test_a_row_from_before_there_were_rules_has_the_usual_ones() -> None:
    assert PlanRules.from_json({}, "keep") == PlanRules(pause=PauseRules("keep"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('pause_access = "some"', "pause_access: 'some' is unknown; write one of keep, period, none"),
        ("pause_max_days = 0", "pause_max_days: is 0; write a whole number of days from 1 to 365"),
        ("change = 3", "plans[1] (monthly): change: must be a table"),
        ("[plans.change]\nwhen = 1", "plans[1] (monthly): change: when: is not a field"),
        ('[plans.change]\nproration = "half"', "write one of credit, refund, extension, none"),
        ('[plans.change]\ndowngrade = "later"', "write one of now, period_end"),
        ('[plans.change]\ntargets = ["gold"]', "change: targets: 'gold' is not another plan; write some of yearly"),
        ('[plans.change]\ntargets = ["monthly"]', "change: targets: 'monthly' is not another plan"),
        ("[plans.dunning]\nbackoff_days = [3, 1]", "backoff_days: is [3, 1]; write whole days"),
        ("[plans.dunning]\nbackoff_days = [0]", "backoff_days: is [0]; write whole days"),
        ("[plans.dunning]\nbackoff_days = []", "backoff_days: is []; write whole days"),
        ("[plans.dunning]\nbackoff_days = [61]", "backoff_days: is [61]; write whole days"),
        ("[plans.dunning]\nbackoff_days = [10, 26]", "backoff_days: 3 attempts after 10, 26, 26 days take 62 days"),
        ("[plans.dunning]\nbackoff_days = [true]", "backoff_days: is [True]; write whole days"),
        ("[plans.dunning]\nmax_attempts = 11", "max_attempts: is 11; write a whole number from 0 to 10"),
        ("[plans.dunning]\nwindow = [9]", "window: is [9]; write two hours of the day"),
        ("[plans.dunning]\nwindow = [9, 25]", "window: is [9, 25]; write two hours of the day"),
        ("[plans.dunning]\nwindow = [9, 9]", "window: is [9, 9]; write two hours of the day"),
        ("[plans.dunning]\nwindow = [18, 9]", "window: is [18, 9]; write two hours of the day"),
        ('[plans.save_offer]\nkind = "gift"', "save_offer: kind: 'gift' is unknown; write one of discount, pause"),
        ('[plans.save_offer]\nkind = "pause"', "save_offer: days: is missing"),
        ('[plans.save_offer]\nkind = "pause"\ndays = 9\npercent = 5', "percent: a pause has none; leave it out"),
        ('[plans.save_offer]\nkind = "discount"\nperiods = 1', "percent: write either percent or amount"),
        ('[plans.save_offer]\nkind = "discount"\npercent = 20', "periods: is missing"),
        ('[plans.save_offer]\nkind = "discount"\npercent = 101\nperiods = 1', "percent: is 101; write a number"),
        ('[plans.save_offer]\nkind = "discount"\npercent = "1.234"\nperiods = 1', "percent: is '1.234'"),
        ('[plans.save_offer]\nkind = "discount"\npercent = "NaN"\nperiods = 1', "percent: is 'NaN'"),
        ('[plans.save_offer]\nkind = "discount"\npercent = 1.5\nperiods = 1', "percent: is 1.5"),
        ('[plans.save_offer]\nkind = "discount"\namount = "0"\nperiods = 1', "'0' is no discount"),
        ('[plans.save_offer]\nkind = "discount"\namount = "29.00"\nperiods = 1', "'29.00' is no discount"),
        ('pause_max_days = 9\n[plans.save_offer]\nkind = "pause"\ndays = 10', "days: is 10, but pause_max_days is 9"),
    ],
)
def test_a_rule_that_cannot_be_kept_says_why(text: str, message: str) -> None:
    with pytest.raises(InvalidCatalog, match=re.escape(message)):
        rules(text)


@pytest.mark.parametrize("text", ["pause_max_days = 9", "[plans.dunning]\nmax_attempts = 1", "[plans.save_offer]"])
def test_what_never_renews_has_no_rules_for_renewals(text: str) -> None:
    with pytest.raises(InvalidCatalog, match="only a recurring plan renews; leave it out of a free one"):
        load(FREE.format("free") + text)
