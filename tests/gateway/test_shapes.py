"""Objects of Whop as snapshots: what is read from native and legacy shapes, and what happens to bad fields."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from quntedge.gateway.port import (
    InvoiceSnapshot,
    InvoiceStatus,
    MembershipSnapshot,
    MembershipStatus,
    MethodSnapshot,
    PaymentSnapshot,
    PaymentStatus,
    RefundSnapshot,
    RefundStatus,
    UnusableEvent,
)
from quntedge.gateway.whop.fields import parse_instant
from quntedge.gateway.whop.shapes_invoice import invoice_snapshot
from quntedge.gateway.whop.shapes_membership import membership_snapshot
from quntedge.gateway.whop.shapes_payment import payment_snapshot
from quntedge.gateway.whop.shapes_refund import refund_snapshot
from quntedge.kit.money import Money
from tests.gateway import payloads
from tests.gateway.payloads import ABSENT, money

Parser = Callable[[object], Any]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


MEMBERSHIP = MembershipSnapshot(
    membership_id="mem_3Fd",
    status=MembershipStatus.ACTIVE,
    raw_status="active",
    plan_id="plan_P1",
    product_id="prod_1",
    user_id="user_5",
    member_id="mber_9",
    period_start=at("2026-09-29T10:15:20Z"),
    period_end=at("2026-10-29T10:15:20Z"),
    renewal_price=Money(2900, "usd"),
    manage_url="https://whop.com/billing/manage/mber_9/",
    metadata={"intent_id": "ci_42"},
    created_at=at("2026-09-29T10:15:20Z"),
    updated_at=at("2026-09-29T10:15:30Z"),
    paused=False,
)

PAYMENT = PaymentSnapshot(
    payment_id="pay_A1",
    status=PaymentStatus.PAID,
    raw_status="paid",
    currency="usd",
    substatus="succeeded",
    membership_id="mem_3Fd",
    member_id="mber_9",
    user_id="user_5",
    plan_id="plan_P1",
    checkout_id="ch_1",
    payment_method_id="payt_1",
    billing_reason="subscription_create",
    subtotal=Money(2900, "usd"),
    total=Money(3161, "usd"),
    presentment=Money(3161, "usd"),
    tax=Money(261, "usd"),
    tax_behavior="exclusive",
    net=Money(3035, "usd"),
    paid_at=at("2026-09-29T10:15:29Z"),
    last_attempt_at=at("2026-09-29T10:15:29Z"),
    method=MethodSnapshot("card", "visa", "4242", 4, 2030),
    metadata={"intent_id": "ci_42"},
    customer_email="kim@example.org",
    customer_name="Kim",
    created_at=at("2026-09-29T10:15:20Z"),
    updated_at=at("2026-09-29T10:15:30Z"),
)


def changed(snapshot: Any, **over: Any) -> Any:
    return type(snapshot)(**{name: getattr(snapshot, name) for name in snapshot.__dataclass_fields__} | over)


def test_a_native_membership() -> None:
    assert membership_snapshot(payloads.native_membership()) == MEMBERSHIP


@pytest.mark.parametrize(
    ("action", "paused"),
    [("paused_at", True), ("renewing_on", False), ("trial_ends_at", False), ("canceling_on", None), (None, None)],
)
def test_the_latest_action_tells_of_a_pause(action: str | None, paused: bool | None) -> None:
    """Of what is set to cancel the latest action says nothing about a pause: nothing is concluded from it."""
    assert membership_snapshot(payloads.native_membership(most_recent_action=action)).paused is paused


def test_a_legacy_membership_says_the_same_and_a_little_more() -> None:
    assert membership_snapshot(payloads.legacy_membership()) == changed(
        MEMBERSHIP,
        shape="legacy",
        checkout_id="ch_1",
        renewal_price=None,
        customer_email="kim@example.org",
        customer_name="Kim",
    )


def test_a_native_payment() -> None:
    assert payment_snapshot(payloads.native_payment()) == PAYMENT


def test_a_legacy_payment_says_the_same() -> None:
    told = {"refunded": Money(0, "usd"), "presentment": None, "payment_method_id": None}
    assert payment_snapshot(payloads.legacy_payment()) == changed(PAYMENT, shape="legacy", **told)


@pytest.mark.parametrize("build", [payloads.failed_native_payment, payloads.failed_legacy_payment])
def test_a_failed_payment_stays_open_and_says_why(build: Callable[[], dict[str, Any]]) -> None:
    snapshot = payment_snapshot(build())
    assert (snapshot.status, snapshot.attempt_failed, snapshot.payments_failed) == (PaymentStatus.OPEN, True, 1)
    assert (snapshot.decline_code, snapshot.retryable) == ("insufficient_funds", True)
    assert snapshot.failure_message == "Your card has insufficient funds."
    assert snapshot.next_attempt_at == at("2026-09-30T10:15:29Z")
    assert snapshot.paid_at is None


def test_an_open_payment_with_a_recovery_page_wants_the_buyer() -> None:
    snapshot = payment_snapshot(payloads.failed_native_payment(recovery_url="https://whop.com/recover/1"))
    assert snapshot.requires_action
    assert not payment_snapshot(payloads.native_payment(recovery_url="https://whop.com/recover/1")).requires_action


def test_refunds_in_both_shapes() -> None:
    native = RefundSnapshot(
        refund_id="rf_1",
        status=RefundStatus.SUCCEEDED,
        raw_status="succeeded",
        amount=Money(500, "usd"),
        moved=Money(500, "usd"),
        payment_id="pay_A1",
        reason="requested_by_customer",
        metadata={"refund_id": "ref_7"},
        created_at=at("2026-09-30T08:00:00Z"),
        updated_at=at("2026-09-30T08:00:05Z"),
    )
    assert refund_snapshot(payloads.native_refund()) == native
    assert refund_snapshot(payloads.legacy_refund()) == changed(
        native, shape="legacy", moved=None, membership_id="mem_3Fd", reason=None, updated_at=None
    )


def test_a_refund_is_counted_in_the_currency_of_its_payment() -> None:
    snapshot = refund_snapshot(payloads.native_refund(amount=money("5.40"), original_amount=money("5.00", "eur")))
    assert snapshot.amount == Money(540, "usd")
    assert snapshot.in_currency("usd") == Money(540, "usd"), "a dollar plan that was shown and paid in euros"
    assert snapshot.in_currency("eur") == Money(500, "eur"), "a euro plan that settled in dollars"
    assert snapshot.in_currency("jpy") == Money(540, "usd"), "nothing tells it: it stays as it settled"
    snapshot = refund_snapshot(payloads.native_refund(amount=None, original_amount=money("5.00", "eur")))
    assert snapshot.in_currency("usd") == Money(500, "eur")


def test_what_went_back_may_be_told_as_it_settled() -> None:
    snapshot = payment_snapshot(payloads.native_payment(refunded_amount=money("5.40", "eur")))
    assert (snapshot.refunded, snapshot.refunded_elsewhere) == (None, True)
    snapshot = payment_snapshot(payloads.native_payment(refunded_amount=money("5.40")))
    assert (snapshot.refunded, snapshot.refunded_elsewhere) == (Money(540, "usd"), False)


def test_an_invoice_is_summed_from_its_lines() -> None:
    lines = [{"total": Decimal("29.0")}, {"total": Decimal("1.5")}]
    assert invoice_snapshot(payloads.invoice(line_items=lines)) == InvoiceSnapshot(
        invoice_id="inv_1",
        status=InvoiceStatus.OPEN,
        raw_status="open",
        number="#0001",
        plan_id="plan_P1",
        member_id="mber_9",
        user_id="user_5",
        total=Money(3050, "usd"),
        due_at=at("2026-10-13T00:00:00Z"),
        created_at=at("2026-09-29T10:15:20Z"),
        updated_at=at("2026-09-29T10:15:30Z"),
        shape="legacy",
    )


@pytest.mark.parametrize(
    "lines", [[], [{"total": None}], [{"total": 29}, {}], [{"total": 29}, {"total": money("1.00", "eur")}]]
)
def test_an_invoice_without_a_sum_has_no_total(lines: list[object]) -> None:
    assert invoice_snapshot(payloads.invoice(line_items=lines)).total is None


@pytest.mark.parametrize(
    ("parser", "document", "field"),
    [
        (membership_snapshot, payloads.native_membership(id=7), "data.id"),
        (membership_snapshot, payloads.native_membership(id=ABSENT), "data.id"),
        (membership_snapshot, payloads.native_membership(id="mem 1"), "data.id"),
        (membership_snapshot, payloads.native_membership(id=".."), "data.id"),
        (membership_snapshot, payloads.native_membership(id="m" * 129), "data.id"),
        (membership_snapshot, payloads.native_membership(status=None), "data.status"),
        (membership_snapshot, payloads.native_membership(status=["active"]), "data.status"),
        (membership_snapshot, payloads.native_membership(plan_id=None), "data.plan_id"),
        (membership_snapshot, payloads.legacy_membership(plan=None), "data.plan"),
        (membership_snapshot, payloads.legacy_membership(plan={"id": 3}), "data.plan.id"),
        (membership_snapshot, [], "data"),
        (payment_snapshot, payloads.native_payment(id=None), "data.id"),
        (payment_snapshot, payloads.native_payment(status=1), "data.status"),
        (payment_snapshot, payloads.native_payment(currency=None), "data.currency"),
        (payment_snapshot, payloads.native_payment(currency="doge"), "data.currency"),
        (payment_snapshot, payloads.native_payment(total="31.61 USD"), "data.total"),
        (payment_snapshot, payloads.native_payment(total=money("31.615")), "data.total"),
        (payment_snapshot, payloads.native_payment(total=money("-1.00")), "data.total"),
        (payment_snapshot, payloads.native_payment(total=money("31.61", "eur")), "data.total"),
        (payment_snapshot, payloads.legacy_payment(total=31.61), "data.total"),
        (payment_snapshot, payloads.legacy_payment(subtotal=True), "data.subtotal"),
        (payment_snapshot, payloads.legacy_payment(tax_amount=[1]), "data.tax_amount"),
        (payment_snapshot, payloads.native_payment(refunded_amount={"amount": "1.00"}), "data.refunded_amount"),
        (refund_snapshot, payloads.legacy_refund(amount=None), "data.amount"),
        (refund_snapshot, payloads.legacy_refund(amount=Decimal("-5")), "data.amount"),
        (refund_snapshot, payloads.legacy_refund(currency=None), "data.amount"),
        (refund_snapshot, payloads.native_refund(status={}), "data.status"),
        (invoice_snapshot, payloads.invoice(id=None), "data.id"),
        (invoice_snapshot, payloads.invoice(status=""), "data.status"),
        (invoice_snapshot, payloads.invoice(line_items=[{"total": "x"}]), "data.line_items[0].total"),
    ],
)
def test_a_bad_essential_field_makes_the_object_unusable_and_is_named(
    parser: Parser, document: object, field: str
) -> None:
    with pytest.raises(UnusableEvent) as caught:
        parser(document)
    assert caught.value.reason == "bad_field"
    assert caught.value.detail.split(" ")[0] == field


@pytest.mark.parametrize(
    ("parser", "document", "attribute"),
    [
        (membership_snapshot, payloads.native_membership(user_id=5), "user_id"),
        (membership_snapshot, payloads.native_membership(current_period_end="2026-10-29"), "period_end"),
        (membership_snapshot, payloads.native_membership(updated_at="2026-09-29T10:15:30"), "updated_at"),
        (membership_snapshot, payloads.native_membership(renewal_price=money("0.5", "eth")), "renewal_price"),
        (membership_snapshot, payloads.native_membership(renewal_price="29"), "renewal_price"),
        (membership_snapshot, payloads.native_membership(manage_url="https://x.test/\x00"), "manage_url"),
        (membership_snapshot, payloads.legacy_membership(user=["kim"]), "customer_email"),
        (membership_snapshot, payloads.legacy_membership(payment_collection_paused="no"), "paused"),
        (payment_snapshot, payloads.native_payment(substatus={}), "substatus"),
        (payment_snapshot, payloads.native_payment(paid_at=-1), "paid_at"),
        (payment_snapshot, payloads.native_payment(paid_at="soon"), "paid_at"),
        (payment_snapshot, payloads.native_payment(customer_email=["a@b.c"]), "customer_email"),
        (payment_snapshot, payloads.native_payment(failure_message="\ud800"), "failure_message"),
        (payment_snapshot, payloads.native_payment(failure_message="x" * 2001), "failure_message"),
        (payment_snapshot, payloads.native_payment(amount_after_fees=money("28.0935")), "net"),
        (refund_snapshot, payloads.native_refund(reason=1), "reason"),
        (invoice_snapshot, payloads.invoice(number=17), "number"),
    ],
)
def test_a_bad_unessential_field_is_none_and_leaves_a_warning(parser: Parser, document: object, attribute: str) -> None:
    snapshot = parser(document)
    assert getattr(snapshot, attribute) is None
    assert len(snapshot.warnings) == 1


def test_warnings_and_errors_never_show_the_value() -> None:
    snapshot = payment_snapshot(payloads.native_payment(customer_email=["kim@example.org"], paid_at="kim"))
    assert not any("kim" in warning for warning in snapshot.warnings)
    with pytest.raises(UnusableEvent) as caught:
        membership_snapshot(payloads.native_membership(id="kim kim"))
    assert "kim" not in str(caught.value)


def test_nulls_and_absent_members_are_no_reason_to_warn() -> None:
    bare = {"id": "pay_1", "status": "open", "currency": "usd"}
    snapshot = payment_snapshot(bare)
    assert snapshot == PaymentSnapshot("pay_1", PaymentStatus.OPEN, "open", "usd")
    membership = membership_snapshot({"id": "mem_1", "status": "active", "plan_id": "plan_1"})
    assert membership == MembershipSnapshot("mem_1", MembershipStatus.ACTIVE, "active", "plan_1")


def test_metadata_keeps_texts_and_warns_about_the_rest() -> None:
    document = payloads.native_membership(metadata={"a": "1", "b": 2, "c": None, "d": "\x00", "e": {}})
    snapshot = membership_snapshot(document)
    assert snapshot.metadata == {"a": "1"}
    assert len(snapshot.warnings) == 1
    assert membership_snapshot(payloads.native_membership(metadata=["x"])).metadata == {}
    assert membership_snapshot(payloads.native_membership(metadata={"a": None})).warnings == ()


def test_canceling_is_active_with_the_cancel_flag() -> None:
    snapshot = membership_snapshot(payloads.native_membership(status="canceling", cancel_at_period_end=False))
    assert (snapshot.status, snapshot.raw_status) == (MembershipStatus.ACTIVE, "canceling")
    assert snapshot.cancel_at_period_end


def test_an_unknown_status_is_kept_in_its_own_words() -> None:
    snapshot = membership_snapshot(payloads.native_membership(status="hibernating"))
    assert (snapshot.status, snapshot.raw_status) == (MembershipStatus.UNKNOWN, "hibernating")


def test_a_full_card_number_is_never_kept() -> None:
    document = payloads.legacy_payment(card_last4="4242424242424242")
    snapshot = payment_snapshot(document)
    assert snapshot.method == MethodSnapshot("card", "visa", None, 4, 2030)
    assert len(snapshot.warnings) == 1
    assert "4242" not in snapshot.warnings[0]


def test_two_digit_years_and_methods_without_a_card() -> None:
    assert payment_snapshot(payloads.legacy_payment(card_exp_year=30)).method == PAYMENT.method
    document = payloads.native_payment(payment_instrument=None, payment_method_type="paypal")
    assert payment_snapshot(document).method == MethodSnapshot("paypal")
    document = payloads.native_payment(payment_instrument=None, payment_method_type=None)
    assert payment_snapshot(document).method is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-09-29T10:15:30.000Z", "2026-09-29T10:15:30Z"),
        ("2026-09-29T12:15:30+02:00", "2026-09-29T10:15:30Z"),
        ("2026-09-29T10:15:30.123456Z", "2026-09-29T10:15:30.123456Z"),
        (1790676930, "2026-09-29T10:15:30Z"),
        ("1790676930", "2026-09-29T10:15:30Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_times_are_read_as_aware_utc(value: object, expected: str) -> None:
    moment = parse_instant(value)
    assert moment == at(expected)
    assert moment is not None
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2026-09-29T10:15:30",
        "2026-09-29",
        "",
        "now",
        "17906769300000",
        1790676930000,
        -1,
        True,
        Decimal("1790676930"),
        {},
        None,
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert parse_instant(value) is None


@pytest.mark.parametrize(
    "count", [Decimal("1E+999999999"), Decimal("1E-999999"), Decimal("1.5"), -1, True, "1", [], {}]
)
def test_an_absurd_count_is_passed_over(count: object) -> None:
    snapshot = payment_snapshot(payloads.native_payment(payments_failed=count))
    assert snapshot.payments_failed == 0
    assert len(snapshot.warnings) == 1


def test_a_count_written_as_a_float_is_a_count() -> None:
    assert payment_snapshot(payloads.native_payment(payments_failed=Decimal("2.0"))).payments_failed == 2
