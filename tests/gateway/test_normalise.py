"""From deliveries to our own events: names, shapes, contradictions, and everything that is no event."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from quntedge.gateway.port import (
    Envelope,
    EventKind,
    GatewayEvent,
    IgnoredEvent,
    InvoiceSnapshot,
    MembershipSnapshot,
    PaymentSnapshot,
    RefundSnapshot,
    UnusableEvent,
)
from quntedge.gateway.whop.documents import load_json
from quntedge.gateway.whop.events import EVENT_TYPES
from quntedge.gateway.whop.normalise import envelope, normalise
from tests.gateway import payloads
from tests.gateway.payloads import ABSENT, ACCOUNT_ID, AT, MODERN_EVENTS, money

SNAPSHOTS = {
    "membership": MembershipSnapshot,
    "payment": PaymentSnapshot,
    "refund": RefundSnapshot,
    "invoice": InvoiceSnapshot,
}


def understood(event_type: str, data: object, **over: Any) -> GatewayEvent:
    """The event a delivery becomes, by way of its bytes."""
    event = normalise(load_json(payloads.body_of(payloads.envelope(event_type, data, **over))))
    assert isinstance(event, GatewayEvent)
    return event


def kind(event_type: str, data: object, **over: Any) -> str:
    return understood(event_type, data, **over).kind.value


@pytest.mark.parametrize("name", MODERN_EVENTS)
@pytest.mark.parametrize("spell", [str, lambda name: name.replace(".", "_")])
def test_each_of_the_eleven_names_natively(name: str, spell: Callable[[str], str]) -> None:
    event = understood(spell(name), payloads.native_data(name))
    assert event.kind.value == name
    assert event.source_name == spell(name)
    assert isinstance(event.snapshot, SNAPSHOTS[name.partition(".")[0]])
    assert event.trusted
    assert (event.account_id, event.occurred_at) == (ACCOUNT_ID, AT)
    assert event.snapshot.warnings == ()


@pytest.mark.parametrize("name", MODERN_EVENTS)
def test_each_of_the_eleven_names_in_the_legacy_shape(name: str) -> None:
    event = understood(name, payloads.legacy_data(name), pinned=False)
    assert event.kind.value == name
    # Invoices look the same on every endpoint, so that they alone can be believed here.
    assert event.trusted is name.startswith("invoice.")
    assert event.snapshot.shape == "legacy"
    assert event.account_id == ACCOUNT_ID
    assert event.snapshot.warnings == ()


@pytest.mark.parametrize("name", [name for name in MODERN_EVENTS if not name.startswith("invoice.")])
def test_both_shapes_tell_the_same_story(name: str) -> None:
    native: Any = understood(name, payloads.native_data(name)).snapshot
    legacy: Any = understood(name, payloads.legacy_data(name), pinned=False).snapshot
    for field in ("status", "raw_status", "membership_id", "plan_id", "user_id", "member_id", "updated_at", "metadata"):
        assert getattr(native, field) == getattr(legacy, field)
    for field in ("total", "tax", "net", "period_end", "cancel_at_period_end", "canceled_at", "attempt_failed"):
        assert getattr(native, field, None) == getattr(legacy, field, None)


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("membership.activated", "active", "membership.activated"),
        ("membership.activated", "completed", "membership.activated"),
        ("membership.activated", "trialing", "membership.trialing"),
        ("membership.trialing", "active", "membership.activated"),
        ("membership.deactivated", "past_due", "membership.deactivated"),
        ("membership.deactivated", "canceled", "membership.deactivated"),
        ("membership.deactivated", "expired", "membership.deactivated"),
        ("membership.went_valid", "active", "membership.activated"),
        ("membership_went_valid", "trialing", "membership.trialing"),
        ("membership.went_invalid", "expired", "membership.deactivated"),
        ("membership_went_invalid", "canceled", "membership.deactivated"),
        ("membership.trial_ending_soon", "trialing", "membership.trial_ending"),
        ("membership.cancel_at_period_end_changed", "active", "membership.updated"),
        ("membership.metadata_updated", "active", "membership.updated"),
        ("membership.updated", "active", "membership.updated"),
        ("membership.updated", "past_due", "membership.updated"),
        ("membership.updated", "trialing", "membership.trialing"),
    ],
)
def test_membership_names_and_statuses_that_agree(name: str, status: str, expected: str) -> None:
    event = understood(name, payloads.native_membership(status=status))
    assert (event.kind.value, event.trusted) == (expected, True)


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("membership.activated", "canceled", "membership.deactivated"),
        ("membership.activated", "past_due", "membership.deactivated"),
        ("membership.trialing", "expired", "membership.deactivated"),
        ("membership.deactivated", "active", "membership.activated"),
        ("membership.went_invalid", "trialing", "membership.trialing"),
        ("membership.activated", "drafted", "membership.updated"),
        ("membership.activated", "unresolved", "membership.updated"),
        ("membership.activated", "hibernating", "membership.updated"),
        ("membership.deactivated", "hibernating", "membership.updated"),
        ("membership.updated", "hibernating", "membership.updated"),
    ],
)
def test_the_status_decides_and_a_contradiction_or_an_unknown_status_is_read_again(
    name: str, status: str, expected: str
) -> None:
    event = understood(name, payloads.native_membership(status=status))
    assert (event.kind.value, event.trusted) == (expected, False)


def test_a_trial_that_is_over_needs_no_reminder() -> None:
    assert kind("membership.trial_ending_soon", payloads.native_membership()) == "membership.updated"


@pytest.mark.parametrize(
    ("before", "status", "expected"),
    [
        ("drafted", "trialing", "membership.trialing"),
        ("trialing", "trialing", "membership.updated"),
        ("trialing", "active", "membership.activated"),
        ("past_due", "active", "membership.activated"),
        ("drafted", "completed", "membership.activated"),
        ("active", "active", "membership.updated"),
        ("active", "past_due", "membership.deactivated"),
        ("trialing", "canceled", "membership.deactivated"),
        ("active", "expired", "membership.deactivated"),
        ("completed", "canceled", "membership.deactivated"),
        ("past_due", "canceled", "membership.deactivated"),
        ("past_due", "expired", "membership.deactivated"),
        ("canceled", "expired", "membership.updated"),
        ("canceled", "past_due", "membership.updated"),
        ("drafted", "past_due", "membership.updated"),
        ("active", "unresolved", "membership.updated"),
        ("active", "hibernating", "membership.updated"),
    ],
)
def test_updates_into_and_out_of_validity(before: str, status: str, expected: str) -> None:
    data = payloads.native_membership(status=status)
    assert kind("membership.updated", data, previous={"status": before}) == expected


@pytest.mark.parametrize("previous", [{}, {"metadata": {}}, {"status": 7}])
def test_an_update_that_did_not_touch_the_status_is_only_an_update(previous: dict[str, Any]) -> None:
    data = payloads.native_membership(status="trialing")
    assert kind("membership.updated", data, previous=previous) == "membership.updated"


@pytest.mark.parametrize(
    ("name", "data", "expected", "trusted"),
    [
        ("payment.created", {"status": "open", "substatus": "incomplete"}, "payment.created", True),
        ("payment.created", {"status": "draft", "substatus": "drafted"}, "payment.created", True),
        ("payment.created", {}, "payment.succeeded", True),
        ("payment.created", {"status": "open", "substatus": "failed"}, "payment.failed", True),
        ("payment.pending", {"status": "pending", "substatus": "pending"}, "payment.pending", True),
        ("payment.pending", {}, "payment.succeeded", True),
        ("payment.authorized", {"status": "authorized"}, "payment.authorized", True),
        ("payment.requires_action", {"status": "open"}, "payment.requires_action", True),
        ("payment.succeeded", {}, "payment.succeeded", True),
        ("payment_succeeded", {}, "payment.succeeded", True),
        ("payment.succeeded", {"substatus": "refunded", "refunded_amount": money("31.61")}, "payment.succeeded", True),
        ("payment.succeeded", {"status": "open", "substatus": "incomplete"}, "payment.created", False),
        ("payment.failed", {"status": "open", "substatus": "failed"}, "payment.failed", True),
        ("payment.failed", {"status": "open", "substatus": "incomplete"}, "payment.failed", True),
        ("payment.failed", {"payments_failed": 1}, "payment.succeeded", True),
        ("payment.failed", {"status": "uncollectible"}, "payment.canceled", True),
        ("payment.canceled", {"status": "void"}, "payment.canceled", True),
        ("payment.canceled", {}, "payment.succeeded", False),
        ("payment.refunded", {"refunded_amount": money("31.61")}, "payment.refunded", True),
        ("payment.refunded", {"refunded_amount": money("31.60")}, "payment.partially_refunded", True),
        ("payment.partially_refunded", {"refunded_amount": money("31.61")}, "payment.refunded", True),
        ("payment.partially_refunded", {"refunded_amount": None}, "payment.partially_refunded", True),
        ("payment.refunded", {"status": "open", "substatus": "incomplete"}, "payment.created", False),
        ("payment.succeeded", {"status": "teleported"}, "payment.succeeded", False),
        ("payment.failed", {"status": "unresolved"}, "payment.failed", False),
    ],
)
def test_payment_names_and_statuses(name: str, data: dict[str, Any], expected: str, trusted: bool) -> None:
    event = understood(name, payloads.native_payment(**data))
    assert (event.kind.value, event.trusted) == (expected, trusted)


def test_a_failure_is_marked_even_where_only_the_name_tells() -> None:
    event = understood("payment.failed", payloads.native_payment(status="open", substatus="incomplete"))
    assert isinstance(event.snapshot, PaymentSnapshot)
    assert event.snapshot.attempt_failed
    event = understood("payment.requires_action", payloads.native_payment(status="open", substatus="incomplete"))
    assert isinstance(event.snapshot, PaymentSnapshot)
    assert event.snapshot.requires_action
    assert not event.snapshot.attempt_failed


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "payment.partially_refunded"),
        ({"amount": Decimal("31.61")}, "payment.refunded"),
        ({"status": "pending"}, "refund.updated"),
        ({"status": "failed"}, "refund.updated"),
        ({"payment": None}, "refund.updated"),
        ({"currency": "eur"}, "refund.updated"),
        ({"status": "lost"}, "refund.updated"),
    ],
)
@pytest.mark.parametrize("name", ["refund.created", "refund.updated", "refund_updated"])
def test_refunds_are_never_believed_as_delivered(name: str, data: dict[str, Any], expected: str) -> None:
    event = understood(name, payloads.legacy_refund(**data))
    assert (event.kind.value, event.trusted) == (expected, False)
    assert isinstance(event.snapshot, RefundSnapshot)


def test_a_payment_event_may_carry_the_refund() -> None:
    event = understood("payment.refunded", payloads.native_refund())
    assert event.kind is EventKind.PAYMENT_REFUNDED
    assert isinstance(event.snapshot, RefundSnapshot)
    assert not event.trusted


@pytest.mark.parametrize(
    ("name", "status", "expected", "trusted"),
    [
        ("invoice.created", "draft", "invoice.created", True),
        ("invoice.created", "open", "invoice.created", True),
        ("invoice.created", "paid", "invoice.paid", True),
        ("invoice.paid", "paid", "invoice.paid", True),
        ("invoice.paid", "open", "invoice.created", False),
        ("invoice.past_due", "past_due", "invoice.payment_failed", True),
        ("invoice.payment_failed", "past_due", "invoice.payment_failed", True),
        ("invoice.payment_failed", "open", "invoice.payment_failed", True),
        ("invoice.payment_failed", "paid", "invoice.paid", False),
        ("invoice.voided", "void", "invoice.ended", True),
        ("invoice.marked_uncollectible", "uncollectible", "invoice.ended", True),
        ("invoice.voided", "shredded", "invoice.ended", False),
    ],
)
def test_invoice_names_and_statuses(name: str, status: str, expected: str, trusted: bool) -> None:
    event = understood(name, payloads.invoice(status=status))
    assert (event.kind.value, event.trusted) == (expected, trusted)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("membership.activated", payloads.native_membership(updated_at=None)),
        ("payment.succeeded", payloads.native_payment(updated_at=ABSENT)),
        ("payment.succeeded", payloads.native_payment(updated_at="2026-09-29T10:15:30")),
        ("invoice.paid", payloads.invoice(status="paid", updated_at=None)),
    ],
)
def test_an_object_that_does_not_tell_its_age_is_read_again(name: str, data: dict[str, Any]) -> None:
    assert not understood(name, data).trusted


@pytest.mark.parametrize("name", [row.name for row in EVENT_TYPES.values() if row.family is None])
def test_known_events_that_are_none_of_our_business(name: str) -> None:
    document = payloads.envelope(name, {"id": "x_1"})
    assert normalise(document) == IgnoredEvent(name, True, ACCOUNT_ID)


@pytest.mark.parametrize("data", [{"id": "x_1"}, None, [], "text", {"id": {}}])
def test_unknown_events_are_ignored_whatever_they_carry(data: object) -> None:
    document = payloads.envelope("moon.landed", data)
    assert normalise(document) == IgnoredEvent("moon.landed", False, ACCOUNT_ID)
    assert envelope(document).event_type == "moon.landed"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, "not_an_object"),
        ([], "not_an_object"),
        ("text", "not_an_object"),
        ({}, "missing_type"),
        ({"type": None, "data": {}}, "missing_type"),
        ({"action": "payment.succeeded", "api_version": "v5", "data": {}}, "legacy_envelope"),
        ({"type": 5}, "bad_type"),
        ({"type": ""}, "bad_type"),
        ({"type": "payment succeeded"}, "bad_type"),
        ({"type": "x" * 101}, "bad_type"),
        (payloads.envelope("payment.succeeded", None), "bad_field"),
        (payloads.envelope("payment.succeeded", []), "bad_field"),
        (payloads.envelope("membership.updated", {}), "bad_field"),
        (payloads.envelope("payment.succeeded", payloads.native_payment(), account_id="biz 7"), "bad_field"),
        (payloads.envelope("payment.succeeded", payloads.native_payment(), account_id="biz_other"), "account_mismatch"),
        (payloads.envelope("membership.updated", payloads.native_membership(), account_id="biz_x"), "account_mismatch"),
        (payloads.envelope("payment.failed", payloads.legacy_payment(), account_id="biz_x"), "account_mismatch"),
    ],
)
def test_what_cannot_be_interpreted_says_why(document: object, reason: str) -> None:
    for read in (normalise, envelope):
        with pytest.raises(UnusableEvent) as caught:
            read(document)
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("name", "data", "key"),
    [
        ("membership.updated", payloads.native_membership(), "mem_3Fd"),
        ("membership_went_valid", payloads.legacy_membership(), "mem_3Fd"),
        ("payment.succeeded", payloads.native_payment(), "mem_3Fd"),
        ("payment.succeeded", payloads.legacy_payment(), "mem_3Fd"),
        ("payment.succeeded", payloads.native_payment(membership_id=None), "payment:pay_A1"),
        ("payment_succeeded", payloads.legacy_payment(membership=None), "payment:pay_A1"),
        ("refund.created", payloads.legacy_refund(), "mem_3Fd"),
        ("refund.updated", payloads.native_refund(), "refund:rf_1"),
        ("payment.refunded", payloads.native_refund(), "refund:rf_1"),
        ("invoice.paid", payloads.invoice(), "invoice:inv_1"),
        ("dispute.created", {"id": "dspt_1"}, "dispute:dspt_1"),
        ("member.updated", {"id": None}, "type:member.updated"),
        ("moon.landed", None, "type:moon.landed"),
    ],
)
def test_the_ordering_key_is_the_membership_where_there_is_one(name: str, data: object, key: str) -> None:
    document = load_json(payloads.body_of(payloads.envelope(name, data)))
    assert envelope(document).ordering_key == key


def test_the_envelope_tells_account_and_time_of_both_generations() -> None:
    for pinned in (True, False):
        document = payloads.envelope("payment.succeeded", payloads.native_payment(), pinned=pinned)
        assert envelope(document) == Envelope("payment.succeeded", "mem_3Fd", ACCOUNT_ID, AT)
    document = payloads.envelope("payment.succeeded", payloads.native_payment(), account_id=None, timestamp=1790676930)
    assert envelope(document) == Envelope("payment.succeeded", "mem_3Fd", ACCOUNT_ID, AT)
    document = payloads.envelope("x.y", {"id": "a"}, account_id=None, timestamp="yesterday")
    assert envelope(document) == Envelope("x.y", "x:a", None, None)
