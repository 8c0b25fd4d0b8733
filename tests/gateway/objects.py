"""Objects of Whop, native and legacy: fresh JSON-like dictionaries, see `payloads`."""

from decimal import Decimal
from typing import Any, Final

Json = dict[str, Any]

ACCOUNT_ID: Final = "biz_7Qa"
MEMBERSHIP_ID: Final = "mem_3Fd"
PAYMENT_ID: Final = "pay_A1"
PLAN_ID: Final = "plan_P1"
PRODUCT_ID: Final = "prod_1"
USER_ID: Final = "user_5"
MEMBER_ID: Final = "mber_9"
REFUND_ID: Final = "rf_1"
INVOICE_ID: Final = "inv_1"
CHECKOUT_ID: Final = "ch_1"

ABSENT: Final = object()
"""Give this as a value to leave a member out altogether."""


def money(amount: str, currency: str = "usd", decimals: int = 2) -> Json:
    """A native money object."""
    return {"amount": amount, "currency": currency, "decimals": decimals, "display_decimals": decimals}


def native_membership(**over: Any) -> Json:
    """An active monthly membership at 29 USD, in today's shape."""
    return with_members(
        {
            "id": MEMBERSHIP_ID,
            "account": {"id": ACCOUNT_ID, "route": "quntedge", "title": "QuntEdge", "logo_url": None},
            "user_id": USER_ID,
            "member_id": MEMBER_ID,
            "plan_id": PLAN_ID,
            "product_id": PRODUCT_ID,
            "product": {"id": PRODUCT_ID, "title": "QuntEdge", "logo_url": None},
            "status": "active",
            "cancel_at_period_end": False,
            "canceled_at": None,
            "cancel_option": None,
            "cancellation_reason": None,
            "feedback_option": None,
            "collection_method": "charge_automatically",
            "billing_period_days": 30,
            "current_period_start": "2026-09-29T10:15:20.000Z",
            "current_period_end": "2026-10-29T10:15:20.000Z",
            "expires_at": None,
            "initial_price": money("0.00"),
            "renewal_price": money("29.00"),
            "promo_code_id": None,
            "split_pay_current_payments": None,
            "split_pay_required_payments": None,
            "license_key": None,
            "manage_url": f"https://whop.com/billing/manage/{MEMBER_ID}/",
            "metadata": {"intent_id": "ci_42"},
            "most_recent_action": "renewing_on",
            "most_recent_action_at": "2026-10-29T10:15:20.000Z",
            "phone_number": None,
            "affiliate": None,
            "member": None,
            "created_at": "2026-09-29T10:15:20.000Z",
            "updated_at": "2026-09-29T10:15:30.000Z",
        },
        over,
    )


def legacy_membership(**over: Any) -> Json:
    """The same membership as an endpoint without a version pin describes it."""
    return with_members(
        {
            "id": MEMBERSHIP_ID,
            "status": "active",
            "company": {"id": ACCOUNT_ID, "title": "QuntEdge"},
            "plan": {"id": PLAN_ID, "metadata": None},
            "product": {"id": PRODUCT_ID, "title": "QuntEdge", "metadata": None},
            "user": {"id": USER_ID, "username": "kim", "name": "Kim", "email": "kim@example.org"},
            "member": {"id": MEMBER_ID},
            "promo_code": None,
            "cancel_at_period_end": False,
            "canceled_at": None,
            "cancel_option": None,
            "cancelation_status": None,
            "cancellation_reason": None,
            "feedback_option": None,
            "renewal_period_start": "2026-09-29T10:15:20.000Z",
            "renewal_period_end": "2026-10-29T10:15:20.000Z",
            "payment_collection_paused": False,
            "checkout_configuration_id": CHECKOUT_ID,
            "currency": "usd",
            "formatted_renewal_price": "$29.00 / month",
            "initial_price_paid": "$29.00",
            "joined_at": "2026-09-29T10:15:20.000Z",
            "license_key": None,
            "manage_url": f"https://whop.com/billing/manage/{MEMBER_ID}/",
            "custom_field_responses": [],
            "metadata": {"intent_id": "ci_42"},
            "created_at": "2026-09-29T10:15:20.000Z",
            "updated_at": "2026-09-29T10:15:30.000Z",
        },
        over,
    )


def native_payment(**over: Any) -> Json:
    """A paid first charge of 29 USD plus tax by card, in today's shape."""
    return with_members(
        {
            "id": PAYMENT_ID,
            "account_id": ACCOUNT_ID,
            "status": "paid",
            "substatus": "succeeded",
            "billing_reason": "subscription_create",
            "currency": "usd",
            "subtotal": money("29.00"),
            "total": money("31.61"),
            "presentment_total": money("31.61"),
            "usd_total": money("31.61"),
            "tax_amount": money("2.61"),
            "tax_behavior": "exclusive",
            "tax_refunded_amount": money("0.00"),
            "refunded_amount": None,
            "refunded_at": None,
            "amount_after_fees": money("30.35"),
            "membership_id": MEMBERSHIP_ID,
            "member_id": MEMBER_ID,
            "plan_id": PLAN_ID,
            "product_id": PRODUCT_ID,
            "promo_code_id": None,
            "checkout_configuration_id": CHECKOUT_ID,
            "payment_method_id": "payt_1",
            "quote_id": None,
            "shipment_id": None,
            "user": {
                "id": USER_ID,
                "username": "kim",
                "name": "Kim",
                "profile_picture": {"url": "https://x.test/a.png"},
            },
            "customer_email": "kim@example.org",
            "customer_phone": None,
            "metadata": {"intent_id": "ci_42"},
            "paid_at": "2026-09-29T10:15:29.000Z",
            "last_payment_attempt_at": "2026-09-29T10:15:29.000Z",
            "next_payment_attempt_at": None,
            "payments_failed": 0,
            "retryable": False,
            "refundable": True,
            "voidable": False,
            "auto_refunded": False,
            "decline_code": None,
            "failure_message": None,
            "recovery_url": None,
            "client_secret": None,
            "settlement_time_at": "2026-10-03T00:00:00.000Z",
            "payment_instrument": {
                "display_name": "Visa 4242",
                "payment_method_type": "card",
                "card": {
                    "brand": "visa",
                    "last4": "4242",
                    "exp_month": 4,
                    "exp_year": 2030,
                    "issuer_identification_number": "424242",
                },
                "icons": None,
            },
            "payment_method_type": "card",
            "line_items": [],
            "holds": [],
            "payment_rule_matches": [],
            "dispute_alerted_at": None,
            "risk_score": None,
            "three_ds_verified": False,
            "verification_checks": None,
            "billing_address": None,
            "shipping_address": None,
            "ip_address": None,
            "created_at": "2026-09-29T10:15:20.000Z",
            "updated_at": "2026-09-29T10:15:30.000Z",
        },
        over,
    )


def legacy_payment(**over: Any) -> Json:
    """The same payment as an endpoint without a version pin describes it: nested objects and plain numbers."""
    return with_members(
        {
            "id": PAYMENT_ID,
            "status": "paid",
            "substatus": "succeeded",
            "billing_reason": "subscription_create",
            "currency": "usd",
            "subtotal": Decimal("29.0"),
            "total": Decimal("31.61"),
            "usd_total": Decimal("31.61"),
            "tax_amount": Decimal("2.61"),
            "tax_behavior": "exclusive",
            "tax_refunded_amount": None,
            "refunded_amount": Decimal("0.0"),
            "refunded_at": None,
            "amount_after_fees": Decimal("30.35"),
            "settlement_amount": Decimal("31.61"),
            "settlement_currency": "usd",
            "settlement_exchange_rate": None,
            "application_fee": None,
            "company": {"id": ACCOUNT_ID, "title": "QuntEdge", "route": "quntedge"},
            "membership": {"id": MEMBERSHIP_ID, "status": "active"},
            "member": {"id": MEMBER_ID, "phone": None},
            "plan": {"id": PLAN_ID, "metadata": None},
            "product": {"id": PRODUCT_ID, "title": "QuntEdge", "route": "quntedge", "metadata": None},
            "promo_code": None,
            "user": {"id": USER_ID, "username": "kim", "name": "Kim", "email": "kim@example.org"},
            "payment_method": None,
            "payment_method_type": "card",
            "card_brand": "visa",
            "card_last4": "4242",
            "card_exp_month": 4,
            "card_exp_year": 2030,
            "checkout_configuration_id": CHECKOUT_ID,
            "metadata": {"intent_id": "ci_42"},
            "paid_at": "2026-09-29T10:15:29.000Z",
            "last_payment_attempt": "2026-09-29T10:15:29.000Z",
            "next_payment_attempt": None,
            "payments_failed": 0,
            "retryable": False,
            "refundable": True,
            "voidable": False,
            "auto_refunded": False,
            "decline_code": None,
            "failure_message": None,
            "recovery_url": None,
            "refunds": [],
            "disputes": [],
            "resolutions": [],
            "fees": [],
            "financing_transactions": [],
            "three_ds_verified": False,
            "created_at": "2026-09-29T10:15:20.000Z",
            "updated_at": "2026-09-29T10:15:30.000Z",
        },
        over,
    )


def failed_native_payment(**over: Any) -> Json:
    """A renewal whose first attempt was declined; Whop leaves it open and has planned a retry."""
    failed: Json = {
        "status": "open",
        "substatus": "past_due",
        "billing_reason": "subscription_cycle",
        "paid_at": None,
        "payments_failed": 1,
        "retryable": True,
        "refundable": False,
        "decline_code": "insufficient_funds",
        "failure_message": "Your card has insufficient funds.",
        "next_payment_attempt_at": "2026-09-30T10:15:29.000Z",
    }
    return native_payment(**(failed | over))


def failed_legacy_payment(**over: Any) -> Json:
    """The declined renewal in the legacy shape."""
    failed: Json = {
        "status": "open",
        "substatus": "past_due",
        "billing_reason": "subscription_cycle",
        "paid_at": None,
        "payments_failed": 1,
        "retryable": True,
        "refundable": False,
        "decline_code": "insufficient_funds",
        "failure_message": "Your card has insufficient funds.",
        "next_payment_attempt": "2026-09-30T10:15:29.000Z",
    }
    return legacy_payment(**(failed | over))


def native_refund(**over: Any) -> Json:
    """A partial refund of 5 USD as the API answers it."""
    return with_members(
        {
            "id": REFUND_ID,
            "payment_id": PAYMENT_ID,
            "account_id": ACCOUNT_ID,
            "amount": money("5.00"),
            "original_amount": money("5.00"),
            "status": "succeeded",
            "reason": "requested_by_customer",
            "failure_reason": None,
            "failure_message": None,
            "provider": "stripe",
            "provider_created_at": "2026-09-30T08:00:01.000Z",
            "reference_type": None,
            "reference_status": None,
            "reference_value": None,
            "visa_rdr": False,
            "metadata": {"refund_id": "ref_7"},
            "created_at": "2026-09-30T08:00:00.000Z",
            "updated_at": "2026-09-30T08:00:05.000Z",
        },
        over,
    )


def legacy_refund(**over: Any) -> Json:
    """The same refund as every webhook describes it, pinned or not."""
    return with_members(
        {
            "id": REFUND_ID,
            "amount": Decimal("5.0"),
            "currency": "usd",
            "status": "succeeded",
            "provider": "stripe",
            "provider_created_at": "2026-09-30T08:00:01.000Z",
            "reference_type": None,
            "reference_status": None,
            "reference_value": None,
            "metadata": {"refund_id": "ref_7"},
            "created_at": "2026-09-30T08:00:00.000Z",
            "payment": {
                "id": PAYMENT_ID,
                "total": Decimal("31.61"),
                "subtotal": Decimal("29.0"),
                "usd_total": Decimal("31.61"),
                "tax_amount": Decimal("2.61"),
                "currency": "usd",
                "paid_at": "2026-09-29T10:15:29.000Z",
                "billing_reason": "subscription_create",
                "card_brand": "visa",
                "card_last4": "4242",
                "payment_method_type": "card",
                "membership": {"id": MEMBERSHIP_ID, "status": "active"},
                "member": {"id": MEMBER_ID, "phone": None},
                "plan": {"id": PLAN_ID, "metadata": None},
                "product": {"id": PRODUCT_ID, "title": "QuntEdge", "route": "quntedge", "metadata": None},
                "user": {"id": USER_ID, "username": "kim", "name": "Kim", "email": "kim@example.org"},
                "metadata": {"intent_id": "ci_42"},
            },
        },
        over,
    )


def invoice(**over: Any) -> Json:
    """An open explicit invoice of 29 USD. Whop has only this one shape for invoices."""
    return with_members(
        {
            "id": INVOICE_ID,
            "status": "open",
            "number": "#0001",
            "collection_method": "send_invoice",
            "company": {"id": ACCOUNT_ID, "title": "QuntEdge"},
            "current_plan": {"id": PLAN_ID, "currency": "usd", "formatted_price": "$29.00"},
            "product": {"id": PRODUCT_ID, "title": "QuntEdge"},
            "line_items": [
                {
                    "id": "invli_1",
                    "label": "Monthly",
                    "quantity": Decimal("1.0"),
                    "unit_price": Decimal("29.0"),
                    "total": Decimal("29.0"),
                    "position": 0,
                }
            ],
            "member": {"id": MEMBER_ID},
            "user": {"id": USER_ID, "username": "kim", "name": "Kim"},
            "payment": None,
            "payment_processing": False,
            "email_address": "kim@example.org",
            "customer_name": "Kim",
            "mailing_address": None,
            "due_date": "2026-10-13T00:00:00.000Z",
            "automatically_finalizes_at": None,
            "subscription_billing_anchor_at": None,
            "charge_buyer_fee": False,
            "pay_online_url": None,
            "fetch_invoice_token": "secret-token",
            "created_at": "2026-09-29T10:15:20.000Z",
            "updated_at": "2026-09-29T10:15:30.000Z",
        },
        over,
    )


def with_members(document: Json, over: Json) -> Json:
    """The document with members replaced, and those given as `ABSENT` left out."""
    merged = document | over
    return {name: value for name, value in merged.items() if value is not ABSENT}
