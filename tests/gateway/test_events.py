"""The tables of names and statuses, held against the SDK's own."""

from typing import Any, get_args

import pytest
from whop_sdk.types.invoice_statuses import InvoiceStatuses
from whop_sdk.types.membership_status import MembershipStatus as SdkMembershipStatus
from whop_sdk.types.receipt_status import ReceiptStatus
from whop_sdk.types.refund_status import RefundStatus as SdkRefundStatus
from whop_sdk.types.webhook_event import WebhookEvent
from whop_sdk.webhooks.types.create_webhooks_request_events_item import CreateWebhooksRequestEventsItem

from quntedge.gateway.port import InvoiceStatus, MembershipStatus, PaymentStatus, RefundStatus
from quntedge.gateway.whop import statuses
from quntedge.gateway.whop.events import EVENT_TYPES, SUBSCRIBED_EVENTS, Origin, canonical_name
from tests.gateway.payloads import MODERN_EVENTS


def literals(union: Any) -> set[str]:
    """The words of one of the SDK's open enums: `Union[Literal[...], Any]`."""
    words = {word for part in get_args(union) for word in get_args(part) if isinstance(word, str)}
    assert words
    return words


def test_every_event_the_sdk_names_is_known() -> None:
    assert literals(WebhookEvent) | literals(CreateWebhooksRequestEventsItem) <= EVENT_TYPES.keys()


def test_we_subscribe_only_to_names_whop_accepts() -> None:
    assert set(SUBSCRIBED_EVENTS) <= literals(CreateWebhooksRequestEventsItem)
    assert len(SUBSCRIBED_EVENTS) == len(set(SUBSCRIBED_EVENTS))


def test_we_subscribe_to_exactly_what_is_acted_upon_and_sent() -> None:
    acted = {row.name for row in EVENT_TYPES.values() if row.family is not None and row.origin is Origin.WHOP}
    assert set(SUBSCRIBED_EVENTS) == acted


def test_the_eleven_names_are_acted_upon_literally() -> None:
    for name in MODERN_EVENTS:
        row = EVENT_TYPES[name]
        assert row.family is not None
        assert row.hint is not None
        assert row.hint.value == name


def test_every_row_explains_itself() -> None:
    assert all(row.meaning and (row.family is None) == (row.hint is None) for row in EVENT_TYPES.values())


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("payment_succeeded", "payment.succeeded"),
        ("membership_went_valid", "membership.went_valid"),
        ("membership_cancel_at_period_end_changed", "membership.cancel_at_period_end_changed"),
        ("invoice_payment_failed", "invoice.payment_failed"),
        ("payment.succeeded", "payment.succeeded"),
        ("no_such_thing", "no_such_thing"),
    ],
)
def test_underscores_are_an_old_spelling_of_dots(spelling: str, name: str) -> None:
    assert canonical_name(spelling) == name


@pytest.mark.parametrize(
    ("table", "sdk", "ours"),
    [
        (statuses.MEMBERSHIP_STATUSES, SdkMembershipStatus, MembershipStatus),
        (statuses.PAYMENT_STATUSES, ReceiptStatus, PaymentStatus),
        (statuses.REFUND_STATUSES, SdkRefundStatus, RefundStatus),
        (statuses.INVOICE_STATUSES, InvoiceStatuses, InvoiceStatus),
    ],
)
def test_every_status_the_sdk_names_is_mapped_and_none_to_unknown(table: Any, sdk: Any, ours: Any) -> None:
    assert literals(sdk) <= table.keys()
    assert set(table.values()) == set(ours) - {ours.UNKNOWN}
    assert all(word == status.value for word, status in table.items() if word != statuses.CANCELING)


def test_an_unknown_status_is_unknown_and_never_a_guess() -> None:
    assert statuses.membership_status("banned") is MembershipStatus.UNKNOWN
    assert statuses.payment_status("PAID") is PaymentStatus.UNKNOWN
    assert statuses.refund_status("") is RefundStatus.UNKNOWN
    assert statuses.invoice_status("sent") is InvoiceStatus.UNKNOWN
