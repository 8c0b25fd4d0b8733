"""What the catalogue says about refunds and access."""

import json

import pytest

from quntedge.catalog.plan_rules import PlanRules
from quntedge.catalog.rules import InvalidCatalog
from quntedge.catalog.toml import load
from tests.catalog.test_toml import FREE, PLAN

LIFETIME = PLAN.replace('"recurring"', '"lifetime"').replace("period_days = 30\n", "")


def test_nothing_ends_unless_the_plan_says_so() -> None:
    assert load(PLAN).plans["monthly"].rules.refund_access == "keep"
    assert PlanRules.from_json({}).refund_access == "keep"


@pytest.mark.parametrize("policy", ["keep", "end_of_period", "revoke"])
def test_what_is_written_is_kept(policy: str) -> None:
    found = load(f'{PLAN}refund_access = "{policy}"\n').plans["monthly"].rules
    assert found.refund_access == policy
    assert PlanRules.from_json(json.loads(json.dumps(found.to_json())), found.pause.access) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'{PLAN}refund_access = "sometimes"\n', "refund_access"),
        (f'{FREE.format("free")}refund_access = "revoke"\n', "nothing is paid for a free plan"),
        (f'{LIFETIME}refund_access = "end_of_period"\n', "no periods"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidCatalog, match=words):
        load(text)
