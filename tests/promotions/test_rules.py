"""Reading codes, and who may use which. Pure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.kit.errors import QuntedgeError
from quntedge.kit.money import Money
from quntedge.promotions import errors
from quntedge.promotions.rules import (
    Buyer,
    CodeState,
    Purchase,
    Terms,
    check,
    check_spec,
    normal_code,
    random_code,
)
from tests.promotions.conftest import spec, usd

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTHLY = Purchase("pln_m", "Monthly", usd(2900))
NEW = Buyer(bought_before=False, uses=0)


@pytest.mark.parametrize(
    "typed",
    [
        "LAUNCH20",
        "launch20",
        "  LaUnCh20\t\n",
        "launch 20",
        "launch\u00a020",
        "ＬＡＵＮＣＨ２０",
        "launch２０",
        "\u200blaunch20\ufeff",
        "LAUNCH\u00ad20",
    ],
)
def test_one_code_however_it_is_typed(typed: str) -> None:
    assert normal_code(typed) == "LAUNCH20"


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "AB", "X" * 41, "X" * 5000, "LAUNCH%20", "LÁUNCH20", "-ABC", "ß" * 5, "Ｌ€20", "A/B/C", "🎁🎁🎁"],
)
def test_what_cannot_be_a_code(typed: str) -> None:
    with pytest.raises(errors.PromotionCodeMalformed):
        normal_code(typed)


@given(st.text(max_size=300))
def test_reading_a_code_is_stable_or_refused(typed: str) -> None:
    try:
        code = normal_code(typed)
    except errors.PromotionCodeMalformed:
        return
    assert normal_code(code) == code == code.upper()
    assert code.isascii()


def test_random_codes_are_codes_and_not_the_same() -> None:
    made = {random_code("VIP") for _ in range(500)}
    assert len(made) == 500
    assert all(normal_code(code) == code and code.startswith("VIP-") for code in made)
    assert normal_code(random_code(""))


def terms(**changes: object) -> Terms:
    members: dict[str, object] = {
        "id": "prm_1",
        "code": "launch",
        "name": "Launch",
        "version": 1,
        "percent_bp": 2000,
        "amounts": {},
        "periods": 1,
        "plans": None,
        "first_purchase_only": False,
        "max_uses": None,
        "max_per_customer": None,
        "uses": 0,
        "starts_at": None,
        "ends_at": None,
        "archived": False,
    }
    return Terms(**members | changes)  # type: ignore[arg-type]


def code(**changes: object) -> CodeState:
    members: dict[str, object] = {"id": "pco_1", "code": "LAUNCH20", "max_uses": None, "uses": 0, "archived": False}
    return CodeState(**members | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "code_changes", "buyer", "expected"),
    [
        ({"archived": True}, {}, NEW, errors.PromotionExpired),
        ({}, {"archived": True}, NEW, errors.PromotionExpired),
        ({"ends_at": NOW}, {}, NEW, errors.PromotionExpired),
        ({"starts_at": NOW + HOUR}, {}, NEW, errors.PromotionNotStarted),
        ({"plans": {"pln_y": "yearly"}}, {}, NEW, errors.PromotionNotForPlan),
        ({"percent_bp": None, "amounts": {"eur": Money(500, "eur")}}, {}, NEW, errors.PromotionNotForCurrency),
        ({"max_uses": 5, "uses": 5}, {}, NEW, errors.PromotionUsedUp),
        ({}, {"max_uses": 1, "uses": 1}, NEW, errors.PromotionUsedUp),
        ({"first_purchase_only": True}, {}, Buyer(True, 0), errors.PromotionFirstPurchaseOnly),
        ({"max_per_customer": 2}, {}, Buyer(False, 2), errors.PromotionUsedByCustomer),
    ],
)
def test_each_reason_has_an_error_of_its_own(
    changes: dict[str, object], code_changes: dict[str, object], buyer: Buyer, expected: type[QuntedgeError]
) -> None:
    with pytest.raises(expected) as raised:
        check(terms(**changes), code(**code_changes), MONTHLY, buyer, NOW)
    assert 400 <= raised.value.status < 500
    assert raised.value.detail != raised.value.title


@pytest.mark.parametrize(
    ("changes", "buyer"),
    [
        ({"ends_at": NOW + HOUR, "starts_at": NOW}, NEW),
        ({"max_uses": 5, "uses": 4}, NEW),
        ({"plans": {"pln_m": "monthly"}}, NEW),
        ({"first_purchase_only": True, "max_per_customer": 1}, None),
        ({"max_per_customer": 2}, Buyer(True, 1)),
    ],
)
def test_what_is_allowed(changes: dict[str, object], buyer: Buyer | None) -> None:
    assert check(terms(**changes), code(), MONTHLY, buyer, NOW).off(MONTHLY.price) == usd(580)


def test_a_share_of_next_to_nothing_is_refused() -> None:
    with pytest.raises(errors.PromotionNotForPlan):
        check(terms(percent_bp=1), code(), Purchase("pln_m", "Monthly", usd(100)), NEW, NOW)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("code", {"code": "Launch 2026"}),
        ("name", {"name": " "}),
        ("percent_bp", {"percent_bp": None}),
        ("percent_bp", {"amounts": {"usd": usd(1)}}),
        ("percent_bp", {"percent_bp": 0}),
        ("percent_bp", {"percent_bp": 10_001}),
        ("percent_bp", {"percent_bp": -1}),
        ("amounts", {"percent_bp": None, "amounts": {"usd": usd(0)}}),
        ("amounts", {"percent_bp": None, "amounts": {"eur": usd(5)}}),
        ("periods", {"periods": 0}),
        ("plans", {"plans": ()}),
        ("max_uses", {"max_uses": 0}),
        ("max_uses", {"max_uses": 10**18}),
        ("max_per_customer", {"max_per_customer": -1}),
        ("ends_at", {"starts_at": NOW, "ends_at": NOW}),
        ("at_whop", {"at_whop": True, "max_uses": 5}),
        ("at_whop", {"at_whop": True, "first_purchase_only": True}),
        ("at_whop", {"at_whop": True, "starts_at": NOW}),
    ],
)
def test_a_promotion_that_cannot_be_names_the_field(field: str, changes: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidPromotion) as raised:
        check_spec(spec(**changes))
    assert field in [error["field"] for error in raised.value.errors]
