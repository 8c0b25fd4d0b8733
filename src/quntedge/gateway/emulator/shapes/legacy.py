"""The legacy JSON shapes: what endpoints without a version pin receive, and every refund webhook."""

from decimal import Decimal

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.rules.discounts import next_price
from quntedge.gateway.emulator.shapes.buyers import BuyerShapes
from quntedge.gateway.emulator.shapes.payments import instrument, reference_status, reference_value
from quntedge.gateway.emulator.state.records import Member, Membership, Payment, Person, Refund
from quntedge.gateway.emulator.state.store import Store
from quntedge.gateway.emulator.wire.values import JsonObject, iso, iso_or_none, number


class LegacyShapes:
    """Renders records with nested objects and floating amounts, as API versions before 2026-07 did."""

    def __init__(self, config: EmulatorConfig, store: Store, native: BuyerShapes) -> None:
        self._config = config
        self._store = store
        self._native = native

    def _company(self) -> JsonObject:
        return {"id": self._config.account_id, "title": self._config.account_title, "route": "emulator"}

    def _user(self, person: Person) -> JsonObject:
        return {"id": person.id, "username": person.username, "name": person.name, "email": person.email}

    def _plan(self, plan_id: str) -> JsonObject:
        return {"id": plan_id, "metadata": self._store.tables.plans[plan_id].metadata, "internal_notes": None}

    def _product(self, product_id: str) -> JsonObject:
        product = self._store.tables.products[product_id]
        return {"id": product.id, "title": product.title, "route": product.route, "metadata": product.metadata}

    def membership(self, membership: Membership) -> JsonObject:
        """MembershipLegacy: nested objects, `renewal_period_*`."""
        person = self._store.tables.people[membership.user_id]
        renewal = next_price(self._store.tables, membership)
        paid = next((p.total for p in self._store.payments_of(membership.id) if p.status == "paid"), None)
        return {
            "id": membership.id,
            "cancel_at_period_end": membership.cancel_at_period_end,
            "cancel_option": membership.cancel_option,
            "cancelation_status": _cancelation_status(membership),
            "canceled_at": iso_or_none(membership.canceled_at),
            "cancellation_reason": membership.cancellation_reason,
            "checkout_configuration_id": membership.checkout_id,
            "company": {"id": self._config.account_id, "title": self._config.account_title},
            "created_at": iso(membership.created_at),
            "currency": membership.initial_price.currency,
            "custom_field_responses": [],
            "feedback_option": None,
            "formatted_renewal_price": None if renewal is None else renewal.format(),
            "initial_price_paid": (paid or membership.initial_price).format(),
            "joined_at": iso(membership.created_at),
            "license_key": membership.license_key,
            "manage_url": self._native.manage_url(membership.member_id),
            "member": {"id": membership.member_id},
            "metadata": membership.metadata,
            "payment_collection_paused": membership.paused_at is not None,
            "plan": _only(self._plan(membership.plan_id), "id", "metadata"),
            "product": _only(self._product(membership.product_id), "id", "title", "metadata"),
            "promo_code": None if membership.promo_code_id is None else {"id": membership.promo_code_id},
            "renewal_period_end": iso_or_none(membership.current_period_end),
            "renewal_period_start": iso_or_none(membership.current_period_start),
            "status": membership.status,
            "updated_at": iso(membership.updated_at),
            "user": {**self._user(person), "profile_pic": "https://assets.invalid/avatar.png"},
        }

    def payment(self, payment: Payment) -> JsonObject:
        """PaymentLegacy: amounts as JSON numbers, nested objects."""
        native = self._native.payment(payment)
        person = self._store.tables.people[payment.user_id]
        total, net = number(payment.total), float(native["amount_after_fees"]["amount"])
        return {
            **self._payment_card(payment),
            **self._payment_relations(payment),
            **{key: native[key] for key in _COMMON_PAYMENT_KEYS},
            "amount_after_fees": net,
            "application_fee": None,
            "company": self._company(),
            "disputes": [self._short_dispute(found) for found in payment.dispute_ids] or None,
            "fees": [],
            "financing_transactions": [],
            "last_payment_attempt": native["last_payment_attempt_at"],
            "next_payment_attempt": native["next_payment_attempt_at"],
            "refundable": native["refundable"],
            "refunded_amount": number(payment.refunded) if payment.refunded else None,
            "refunds": [self._short_refund(refund) for refund in self._store.refunds_of(payment.id)],
            "resolutions": None,
            "settlement_amount": net,
            "settlement_currency": payment.total.currency,
            "subtotal": total if payment.subtotal is None else number(payment.subtotal),
            "tax_amount": None if payment.tax is None else number(payment.tax),
            "tax_refunded_amount": 0 if payment.tax_refunded is None else number(payment.tax_refunded),
            "total": total,
            "usd_total": total if payment.total.currency == "usd" else None,
            "user": self._user(person),
        }

    def _payment_card(self, payment: Payment) -> JsonObject:
        method = self._store.tables.methods.get(payment.payment_method_id or "")
        if method is None:
            return {"card_brand": None, "card_last4": None, "payment_method": None, "payment_instrument": None}
        return {
            "card_brand": method.brand,
            "card_last4": method.last4,
            "card_exp_month": method.exp_month,
            "card_exp_year": method.exp_year,
            "payment_method_type": "card",
            "payment_instrument": {
                **instrument(method),
                "card": {"brand": method.brand, "last4": method.last4},
            },
            "payment_method": {
                "id": method.id,
                "created_at": iso(method.created_at),
                "payment_method_type": "card",
                "card": {
                    "brand": method.brand,
                    "last4": method.last4,
                    "exp_month": method.exp_month,
                    "exp_year": method.exp_year % 100,
                },
            },
        }

    def _payment_relations(self, payment: Payment) -> JsonObject:
        membership = self._store.tables.memberships.get(payment.membership_id or "")
        return {
            "member": {"id": payment.member_id, "phone": None},
            "membership": None if membership is None else {"id": membership.id, "status": membership.status},
            "plan": self._plan(payment.plan_id),
            "product": self._product(payment.product_id),
            "promo_code": self._promo(payment.promo_code_id),
        }

    def _promo(self, promo_id: str | None) -> JsonObject | None:
        promo = self._store.tables.promos.get(promo_id or "")
        if promo is None:
            return None
        return {
            "id": promo.id,
            "amount_off": float(Decimal(promo.amount_off)),
            "base_currency": promo.currency,
            "code": promo.code,
            "number_of_intervals": promo.promo_duration_months,
            "promo_type": promo.promo_type,
        }

    def _short_dispute(self, dispute_id: str) -> JsonObject:
        dispute = self._store.tables.disputes[dispute_id]
        return {
            "id": dispute.id,
            "amount": number(dispute.amount),
            "currency": dispute.amount.currency,
            "editable": dispute.editable,
            "needs_response_by": iso_or_none(dispute.evidence_due_at),
            "notes": None,
            "reason": dispute.reason,
            "status": "closed" if dispute.status == "prevented" else dispute.status,
        }

    def _short_refund(self, refund: Refund) -> JsonObject:
        return {
            "id": refund.id,
            "amount": number(refund.amount),
            "created_at": iso(refund.created_at),
            "currency": refund.amount.currency,
            "status": refund.status,
        }

    def refund(self, refund: Refund) -> JsonObject:
        """RefundLegacy: no `updated_at` and no reason, whatever the endpoint's pin."""
        payment = self._store.tables.payments[refund.payment_id]
        legacy_payment = self.payment(payment)
        shown = {key: legacy_payment[key] for key in _REFUND_PAYMENT_KEYS if key in legacy_payment}
        shown["plan"] = _only(shown["plan"], "id", "metadata")
        shown["product"] = _only(shown["product"], "id", "metadata")
        return {
            **self._short_refund(refund),
            "metadata": refund.metadata,
            "payment": shown,
            "provider": "stripe",
            "provider_created_at": iso(refund.created_at),
            "reference_status": reference_status(refund),
            "reference_type": "acquirer_reference_number" if refund.status == "succeeded" else None,
            "reference_value": reference_value(refund),
        }

    def member(self, member: Member) -> JsonObject:
        """MemberLegacy."""
        native = self._native.member(member)
        person = self._store.tables.people[member.user_id]
        return {
            "id": member.id,
            "access_level": native["access_level"],
            "company": self._company(),
            "company_token_balance": 0,
            "created_at": iso(member.created_at),
            "joined_at": iso(member.joined_at),
            "phone": None,
            "status": member.status,
            "updated_at": iso(member.updated_at),
            "usd_total_spent": number(self._native.spent(member)),
            "user": self._user(person),
        }


_COMMON_PAYMENT_KEYS = (
    "id",
    "auto_refunded",
    "billing_address",
    "billing_reason",
    "checkout_configuration_id",
    "created_at",
    "currency",
    "customer_phone",
    "decline_code",
    "dispute_alerted_at",
    "failure_message",
    "financing_installments_count",
    "metadata",
    "needs_tracking",
    "paid_at",
    "payments_failed",
    "recovery_url",
    "refunded_at",
    "retryable",
    "risk_score",
    "risk_signals",
    "settlement_time_at",
    "shipping_address",
    "status",
    "substatus",
    "tax_behavior",
    "three_ds_verified",
    "updated_at",
    "verification_checks",
    "voidable",
)

_REFUND_PAYMENT_KEYS = (
    "id",
    "billing_reason",
    "card_brand",
    "card_last4",
    "created_at",
    "currency",
    "dispute_alerted_at",
    "member",
    "membership",
    "metadata",
    "paid_at",
    "payment_method_type",
    "plan",
    "product",
    "subtotal",
    "tax_amount",
    "tax_behavior",
    "tax_refunded_amount",
    "total",
    "usd_total",
    "user",
)


def _cancelation_status(membership: Membership) -> str | None:
    if membership.status == "canceled":
        return "left"
    return "canceling" if membership.cancel_at_period_end else None


def _only(values: JsonObject, *names: str) -> JsonObject:
    """The named members: the legacy models nest the same things with more or fewer of them."""
    return {name: values[name] for name in names}
