"""The native JSON shapes of what buyers cause: memberships, payments, refunds, members, payment methods."""

from datetime import datetime
from typing import Any

from quntedge.gateway.emulator.billing import processing_fees
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.records import Member, Membership, Method, Payment, Person, Refund
from quntedge.gateway.emulator.store import Store
from quntedge.gateway.emulator.wire import JsonObject, icons, iso, iso_or_none, money, money_or_none
from quntedge.kit.money import Money


class BuyerShapes:
    """Renders records the way API versions from 2026-09 on show them."""

    def __init__(self, config: EmulatorConfig, store: Store) -> None:
        self._config = config
        self._store = store

    def membership(self, membership: Membership) -> JsonObject:
        """A membership. Being paused shows in the latest action only."""
        product = self._store.tables.products[membership.product_id]
        action, action_at = self._latest_membership_action(membership)
        return {
            "id": membership.id,
            "account": {
                "id": self._config.account_id,
                "route": "emulator",
                "title": self._config.account_title,
                "logo_url": None,
            },
            "affiliate": None,
            "billing_period_days": membership.billing_period_days,
            "cancel_at_period_end": membership.cancel_at_period_end,
            "cancel_option": membership.cancel_option,
            "canceled_at": iso_or_none(membership.canceled_at),
            "cancellation_reason": membership.cancellation_reason,
            "collection_method": "charge_automatically",
            "created_at": iso(membership.created_at),
            "current_period_end": iso_or_none(membership.current_period_end),
            "current_period_start": iso_or_none(membership.current_period_start),
            "expires_at": iso_or_none(membership.expires_at),
            "feedback_option": None,
            "initial_price": money(membership.initial_price),
            "license_key": membership.license_key,
            "manage_url": self.manage_url(membership.member_id),
            "member": {
                "access_level": "no_access" if membership.ended else "customer",
                "last_accessed_at": None,
                "position": None,
            },
            "member_id": membership.member_id,
            "metadata": membership.metadata,
            "most_recent_action": action,
            "most_recent_action_at": iso_or_none(action_at),
            "phone_number": None,
            "plan_id": membership.plan_id,
            "product": {"id": product.id, "title": product.title, "logo_url": None},
            "product_id": membership.product_id,
            "promo_code_id": None,
            "renewal_price": money_or_none(membership.renewal_price),
            "split_pay_current_payments": None,
            "split_pay_required_payments": None,
            "status": membership.status,
            "updated_at": iso(membership.updated_at),
            "user_id": membership.user_id,
        }

    def manage_url(self, member_id: str) -> str:
        """Address of the buyer's portal."""
        return f"{self._config.public_base_url}/billing/manage/{member_id}/"

    def payment(self, payment: Payment, *, listed: bool = False) -> JsonObject:
        """A payment. In lists the values that open doors (recovery address, settlement time) are null."""
        person = self._store.tables.people[payment.user_id]
        zero = Money.zero(payment.total.currency)
        challenge = payment.status == "open" and payment.substatus == "incomplete"
        recovery = f"{self._config.public_base_url}/challenge/{payment.id}" if challenge and not listed else None
        return {
            **self._payment_references(payment),
            **self._payment_amounts(payment),
            "auto_refunded": False,
            "billing_address": None,
            "billing_reason": payment.billing_reason,
            "client_secret": None,
            "created_at": iso(payment.created_at),
            "customer_email": person.email,
            "customer_phone": None,
            "decline_code": payment.decline_code,
            "dispute_alerted_at": None,
            "failure_message": payment.failure_message,
            "financing_installments_count": None,
            "holds": [],
            "ip_address": None,
            "last_payment_attempt_at": iso_or_none(payment.last_payment_attempt_at),
            "line_items": [self._line_item(payment)],
            "metadata": payment.metadata,
            "needs_tracking": False,
            "next_payment_attempt_at": iso_or_none(payment.next_payment_attempt_at),
            "paid_at": iso_or_none(payment.paid_at),
            "payment_rule_matches": [],
            "payments_failed": payment.payments_failed,
            "recovery_url": recovery,
            "refundable": refundable(payment),
            "refunded_at": iso_or_none(payment.refunded_at),
            "retryable": self.retryable(payment),
            "risk_score": None,
            "risk_signals": None,
            "settlement_time_at": None if listed else iso_or_none(payment.paid_at),
            "shipping_address": None,
            "status": payment.status,
            "substatus": payment.substatus,
            "tax_amount": None,
            "tax_behavior": None,
            "tax_refunded_amount": money(zero),
            "three_ds_verified": payment.three_ds_verified,
            "updated_at": iso(payment.updated_at),
            "user": self.user(person),
            "verification_checks": None,
            "voidable": False,
        }

    def _payment_references(self, payment: Payment) -> JsonObject:
        method = self._store.tables.methods.get(payment.payment_method_id or "")
        return {
            "id": payment.id,
            "account_id": self._config.account_id,
            "checkout_configuration_id": payment.checkout_id,
            "member_id": payment.member_id,
            "membership_id": payment.membership_id,
            "payment_instrument": None if method is None else instrument(method),
            "payment_method_id": payment.payment_method_id,
            "payment_method_type": None if method is None else "card",
            "plan_id": payment.plan_id,
            "product_id": payment.product_id,
            "promo_code_id": None,
            "quote_id": None,
            "shipment_id": None,
        }

    def _payment_amounts(self, payment: Payment) -> JsonObject:
        total = payment.total
        net = Money.zero(total.currency)
        if payment.status == "paid":
            percentage, fixed = processing_fees(total)
            net = total - percentage - fixed - payment.refunded
        return {
            "currency": total.currency,
            "subtotal": money(total),
            "total": money(total),
            "presentment_total": money(total),
            "usd_total": money(total) if total.currency == "usd" else None,
            "amount_after_fees": money(net),
            "refunded_amount": money(payment.refunded) if payment.refunded else None,
        }

    def _line_item(self, payment: Payment) -> JsonObject:
        plan = self._store.tables.plans[payment.plan_id]
        product = self._store.tables.products[payment.product_id]
        return {
            "id": f"li_{payment.id.removeprefix('pay_')}",
            "label": plan.title or product.title,
            "plan_id": plan.id,
            "plan_title": plan.title,
            "product_id": product.id,
            "product_title": product.title,
            "quantity": 1,
            "sku": None,
            "subtotal": money(payment.total),
        }

    def retryable(self, payment: Payment) -> bool:
        """Whether POST /payments/{id}/retry would be accepted now."""
        if payment.status != "open" or payment.payments_failed == 0 or payment.membership_id is None:
            return False
        return self._store.tables.memberships[payment.membership_id].status in ("active", "trialing", "past_due")

    def payment_status(self, payment: Payment) -> JsonObject:
        """The short answer of GET /payments/{id}/status."""
        error = None
        if payment.status == "open" and payment.payments_failed:
            error = {
                "code": "card_declined",
                "decline_code": payment.decline_code,
                "message": payment.failure_message,
            }
        return {
            "id": payment.id,
            "object": "payment_status",
            "account": {"id": self._config.account_id, "title": self._config.account_title},
            "status": _progress(payment),
            "last_payment_error": error,
            "next_action": None,
            "processing_details": None,
            "return_url": None,
            "capture_expires_at": None,
            "auto_capture_at": None,
        }

    def fees(self, payment: Payment) -> list[JsonObject]:
        """What a paid payment cost the seller, as negative amounts."""
        percentage, fixed = processing_fees(payment.total)
        if payment.status != "paid" or not percentage:
            return []
        named = (
            (percentage, "payment_processing_percentage_fee", "Processing fee (2.7 %)"),
            (fixed, "payment_processing_fixed_fee", "Processing fee (fixed)"),
        )
        return [
            {
                "amount": money(-amount),
                "settlement_amount": money(-amount),
                "label": label,
                "description": None,
                "type": "processing_fee",
                "origin": origin,
                "collected_at": iso_or_none(payment.paid_at),
            }
            for amount, origin, label in named
        ]

    def refund(self, refund: Refund) -> JsonObject:
        """A refund as the API shows it; webhooks carry the legacy shape."""
        return {
            "id": refund.id,
            "account_id": self._config.account_id,
            "amount": money(refund.amount),
            "original_amount": money(refund.amount),
            "created_at": iso(refund.created_at),
            "failure_message": refund.failure_message,
            "failure_reason": refund.failure_reason,
            "metadata": refund.metadata,
            "payment_id": refund.payment_id,
            "provider": "stripe",
            "provider_created_at": iso(refund.created_at),
            "reason": refund.reason,
            "reference_status": "pending" if refund.status == "pending" else "unavailable",
            "reference_type": None,
            "reference_value": None,
            "status": refund.status,
            "updated_at": iso(refund.updated_at),
            "visa_rdr": False,
        }

    def user(self, person: Person) -> JsonObject:
        """A person, without the e-mail address."""
        return {
            "id": person.id,
            "name": person.name,
            "username": person.username,
            "profile_picture": {"url": "https://assets.invalid/avatar.png"},
        }

    def member(self, member: Member) -> JsonObject:
        """A customer record, with the e-mail address."""
        person = self._store.tables.people[member.user_id]
        has_access = any(not m.ended for m in self._store.memberships_of(member.id))
        return {
            "id": member.id,
            "access_level": "customer" if has_access else "no_access",
            "account_id": self._config.account_id,
            "created_at": iso(member.created_at),
            "display_name": person.name or person.username,
            "email": person.email,
            "joined_at": iso(member.joined_at),
            "last_accessed_at": None,
            "most_recent_action": "joined" if has_access else "left",
            "most_recent_action_at": iso(member.updated_at),
            "phone_number": None,
            "status": member.status,
            "token_balance": 0,
            "updated_at": iso(member.updated_at),
            "usd_total_spent": money(self.spent(member)),
            "user": self.user(person),
        }

    def spent(self, member: Member) -> Money:
        """What the member paid in US dollars, less refunds. Other currencies are not converted."""
        total = Money.zero("usd")
        for payment in self._store.payments_by(member.id):
            if payment.status == "paid" and payment.total.currency == "usd":
                total = total + payment.total - payment.refunded
        return total

    def method(self, method: Method, now: datetime) -> JsonObject:
        """A stored card."""
        return {
            "typename": "CardPaymentMethod",
            "id": method.id,
            "created_at": iso(method.created_at),
            "payment_method_type": "card",
            "has_payer_document": False,
            "icons": icons(method.brand),
            "card": {
                "brand": method.brand,
                "exp_month": method.exp_month,
                "exp_year": method.exp_year % 100,  # two digits here, four on payments: Whop's own inconsistency
                "expired": (method.exp_year, method.exp_month) < (now.year, now.month),
                "fingerprint": method.fingerprint,
                "funding_type": "credit",
                "last4": method.last4,
                "three_ds_verified": method.behaviour == "challenges",
            },
        }

    def _latest_membership_action(self, membership: Membership) -> tuple[str | None, datetime | None]:
        if membership.status == "canceled":
            return "canceled_on", membership.canceled_at
        if membership.paused_at is not None:
            return "paused_at", membership.paused_at
        if membership.status == "past_due":
            payment = self._store.open_payment(membership.id)
            if payment is not None and payment.next_payment_attempt_at is not None:
                return "next_payment_attempt", payment.next_payment_attempt_at
            return "past_due", membership.current_period_end
        if membership.cancel_at_period_end:
            name = "trial_canceling_on" if membership.status == "trialing" else "canceling_on"
            return name, membership.current_period_end
        if membership.status == "trialing":
            return "trial_ends_at", membership.current_period_end
        if membership.status == "active":
            return "renewing_on", membership.current_period_end
        return ("ending_on", membership.expires_at) if membership.expires_at else (None, None)


def refundable(payment: Payment) -> bool:
    """Whether anything of a payment can still be given back."""
    return payment.status == "paid" and payment.refunded < payment.total


def instrument(method: Method) -> dict[str, Any]:
    """How a payment shows its card."""
    return {
        "display_name": f"{method.brand.title()} {method.last4}",
        "payment_method_type": "card",
        "icons": icons(method.brand),
        "installment_count": None,
        "card": {
            "brand": method.brand,
            "last4": method.last4,
            "exp_month": method.exp_month,
            "exp_year": method.exp_year,
            "issuer_identification_number": None,
        },
    }


def _progress(payment: Payment) -> str:
    if payment.status == "paid":
        return "succeeded"
    if payment.status in ("void", "uncollectible"):
        return "canceled"
    if payment.substatus == "incomplete":
        return "requires_action"
    return "requires_confirmation" if payment.payments_failed else "processing"
