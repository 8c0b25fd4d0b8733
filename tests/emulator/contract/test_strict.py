"""The comparison with the SDK's models finds what the SDK itself lets pass."""

from copy import deepcopy
from typing import Any

import pytest
from whop_sdk.types import Invoice, Membership, Money, PaymentMethod, Refund

from tests.emulator.contract.strict import findings

MONEY = {"amount": "29.00", "currency": "usd", "decimals": 2, "display_decimals": 2}
REFUND: dict[str, Any] = {
    "id": "rf_1",
    "account_id": "biz_1",
    "amount": dict(MONEY),
    "original_amount": dict(MONEY),
    "created_at": "2026-09-01T12:00:00Z",
    "failure_message": None,
    "failure_reason": None,
    "metadata": {"our": "ref_1"},
    "payment_id": "pay_1",
    "provider": "stripe",
    "provider_created_at": None,
    "reason": "requested_by_customer",
    "reference_status": "pending",
    "reference_type": None,
    "reference_value": None,
    "status": "pending",
    "updated_at": "2026-09-01T12:00:00Z",
    "visa_rdr": False,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The refund with one member set; the path has dots."""
    document = deepcopy(REFUND)
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    place[last] = value
    return document


def test_a_fitting_object_has_no_findings() -> None:
    assert findings(REFUND, Refund) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("surprise", 1),
        ("amount.surprise", 1),
        ("status", "settled"),
        ("status", None),
        ("amount", 29.0),
        ("amount.amount", 29.0),
        ("amount.decimals", "2"),
        ("amount.decimals", True),
        ("visa_rdr", "false"),
        ("visa_rdr", 0),
        ("id", None),
        ("id", 7),
        ("metadata", []),
        ("provider_created_at", 1786381404),
    ],
)
def test_a_wrong_member_is_found(path: str, value: Any) -> None:
    assert len(findings(changed(path, value), Refund)) == 1


def test_a_missing_member_is_found() -> None:
    for name in ("id", "status", "original_amount"):
        document = {key: value for key, value in REFUND.items() if key != name}
        assert findings(document, Refund) == [f".{name}: required by Refund, and missing"]


def test_times_need_a_zone_where_the_model_has_times() -> None:
    values = {
        at: [one for one in findings({"created_at": at}, Invoice) if one.startswith(".created_at")] for at in TIMES
    }
    assert [bool(found) for found in values.values()] == list(TIMES.values())


TIMES: dict[Any, bool] = {
    "2026-09-01T12:00:00Z": False,
    "2026-09-01T12:00:00.123456+02:00": False,
    "2026-09-01T12:00:00": True,
    "2026-09-01": True,
    1786381404: True,
}


def test_lists_and_unions_are_looked_into() -> None:
    assert findings([MONEY, {**MONEY, "amount": 1}], list[Money]) == ["[1].amount: 1 is no str"]
    card = {"typename": "CardPaymentMethod", "id": "payt_1"}
    assert any("card: required by" in one for one in findings(card, PaymentMethod))


def test_an_enumeration_of_a_membership_is_closed() -> None:
    assert ".status: 'frozen' is none of" in " ".join(findings({"status": "frozen"}, Membership))
