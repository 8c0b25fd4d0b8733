"""Hand-written payloads of Whop, native and legacy, and the headers that sign them.

The builders return fresh JSON-like dictionaries; keyword arguments replace top-level members, `ABSENT` removes one.
Legacy amounts are `Decimal`, as they are after reading a delivery; `body_of` writes them as the plain JSON numbers Whop
sends.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from tests.gateway.objects import (
    ABSENT,
    ACCOUNT_ID,
    CHECKOUT_ID,
    INVOICE_ID,
    MEMBER_ID,
    MEMBERSHIP_ID,
    PAYMENT_ID,
    PLAN_ID,
    PRODUCT_ID,
    REFUND_ID,
    USER_ID,
    Json,
    failed_legacy_payment,
    failed_native_payment,
    invoice,
    legacy_membership,
    legacy_payment,
    legacy_refund,
    money,
    native_membership,
    native_payment,
    native_refund,
    with_members,
)

__all__ = [
    "ABSENT",
    "ACCOUNT_ID",
    "AT",
    "CHECKOUT_ID",
    "INVOICE_ID",
    "MEMBERSHIP_ID",
    "MEMBER_ID",
    "MODERN_EVENTS",
    "PAYMENT_ID",
    "PLAN_ID",
    "PRODUCT_ID",
    "REFUND_ID",
    "SECRET",
    "USER_ID",
    "Json",
    "body_of",
    "envelope",
    "failed_legacy_payment",
    "failed_native_payment",
    "invoice",
    "legacy_data",
    "legacy_membership",
    "legacy_payment",
    "legacy_refund",
    "money",
    "native_data",
    "native_membership",
    "native_payment",
    "native_refund",
    "raw_headers",
    "sign",
]

SECRET: Final = "ws_0123456789abcdef"
AT: Final = datetime(2026, 9, 29, 10, 15, 30, tzinfo=UTC)

MODERN_EVENTS: Final = (
    "membership.activated",
    "membership.deactivated",
    "membership.updated",
    "membership.trialing",
    "payment.succeeded",
    "payment.failed",
    "payment.refunded",
    "payment.partially_refunded",
    "invoice.created",
    "invoice.paid",
    "invoice.payment_failed",
)
"""The eleven names the product promises to understand."""


def envelope(
    event_type: str,
    data: object,
    *,
    webhook_id: str = "msg_9Xk2",
    account_id: str | None = ACCOUNT_ID,
    at: datetime = AT,
    previous: Json | None = None,
    pinned: bool = True,
    **over: Any,
) -> Json:
    """A v1 envelope. `pinned=False` gives that of an endpoint without a version pin (`company_id`)."""
    document: Json = {
        "id": webhook_id,
        "type": event_type,
        "api_version": "v1",
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": data,
    }
    if pinned:
        document["api_version_date"] = "2026-10-15-1"
    if account_id is not None:
        document["account_id" if pinned else "company_id"] = account_id
    if previous is not None:
        document["previous_attributes"] = previous
    return with_members(document, over)


def body_of(document: object) -> bytes:
    """The JSON bytes of a document, with `Decimal` written as the plain numbers Whop sends."""
    return json.dumps(document, default=_number, separators=(",", ":")).encode()


def sign(body: bytes, secret: str = SECRET, webhook_id: str = "msg_9Xk2", at: datetime = AT) -> dict[str, str]:
    """The headers of a delivery signed at `at` the way Whop does it: with the literal bytes of the whole secret."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def raw_headers(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers the way an ASGI server passes them on."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def native_data(event_type: str) -> Json:
    """A fitting native object for each of the eleven names."""
    data: dict[str, Json] = {
        "membership.activated": native_membership(),
        "membership.deactivated": native_membership(status="canceled", canceled_at="2026-09-29T10:15:29.000Z"),
        "membership.updated": native_membership(cancel_at_period_end=True),
        "membership.trialing": native_membership(status="trialing"),
        "payment.succeeded": native_payment(),
        "payment.failed": failed_native_payment(),
        "payment.refunded": native_payment(substatus="refunded", refunded_amount=money("31.61")),
        "payment.partially_refunded": native_payment(substatus="partially_refunded", refunded_amount=money("5.00")),
        "invoice.created": invoice(),
        "invoice.paid": invoice(status="paid", payment={"id": PAYMENT_ID}),
        "invoice.payment_failed": invoice(status="past_due"),
    }
    return data[event_type]


def legacy_data(event_type: str) -> Json:
    """A fitting legacy object for each of the eleven names."""
    data: dict[str, Json] = {
        "membership.activated": legacy_membership(),
        "membership.deactivated": legacy_membership(status="canceled", canceled_at="2026-09-29T10:15:29.000Z"),
        "membership.updated": legacy_membership(cancel_at_period_end=True),
        "membership.trialing": legacy_membership(status="trialing"),
        "payment.succeeded": legacy_payment(),
        "payment.failed": failed_legacy_payment(),
        "payment.refunded": legacy_payment(substatus="refunded", refunded_amount=Decimal("31.61")),
        "payment.partially_refunded": legacy_payment(substatus="partially_refunded", refunded_amount=Decimal("5.0")),
        "invoice.created": invoice(),
        "invoice.paid": invoice(status="paid", payment={"id": PAYMENT_ID}),
        "invoice.payment_failed": invoice(status="past_due"),
    }
    return data[event_type]


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
