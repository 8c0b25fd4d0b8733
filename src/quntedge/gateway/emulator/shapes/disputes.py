"""The JSON shapes of disputes and alerts, native and legacy."""

from typing import Any

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.rules.billing import ALERT_FEE, DISPUTE_FEE
from quntedge.gateway.emulator.shapes.payments import PaymentShapes, instrument
from quntedge.gateway.emulator.state.money_records import Dispute, DisputeAlert
from quntedge.gateway.emulator.state.records import Payment
from quntedge.gateway.emulator.state.store import Store
from quntedge.gateway.emulator.wire.values import JsonObject, iso, iso_or_none, money, number

TEXTS = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "customer_email_address",
    "customer_name",
    "notes",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
)
"""The texts of the evidence."""

ATTACHMENTS = (
    "cancellation_policy_attachment",
    "customer_communication_attachment",
    "refund_policy_attachment",
    "uncategorized_attachment",
)
"""The four fixed places for files."""

_LEGACY_ALERTS = {"dispute_alert": "dispute", "rapid_dispute_resolution": "dispute_rdr", "early_fraud_warning": "fraud"}


class DisputeShapes:
    """Renders disputes and alerts as API versions from 2026-08-10 on show them, and as older endpoints get them."""

    def __init__(self, config: EmulatorConfig, store: Store) -> None:
        self._config = config
        self._store = store
        self._payments = PaymentShapes(config, store)

    def _payment(self, payment_id: str) -> Payment:
        return self._store.tables.payments[payment_id]

    def dispute(self, dispute: Dispute) -> JsonObject:
        """A dispute; its amount is a JSON number."""
        payment = self._payment(dispute.payment_id)
        person = self._store.tables.people[payment.user_id]
        return {
            "id": dispute.id,
            "acceptable": dispute.acceptable,
            "account_id": self._config.account_id,
            "amount": number(dispute.amount),
            "buyer": {
                "email": person.email,
                "member_id": payment.member_id,
                "name": person.name,
                "user_id": person.id,
                "username": person.username,
            },
            "created_at": iso(dispute.created_at),
            "currency": dispute.amount.currency,
            "evidence": {
                **{name: dispute.evidence.get(name) for name in (*TEXTS, *ATTACHMENTS)},
                "documents": dispute.documents,
            },
            "evidence_due_at": iso_or_none(dispute.evidence_due_at),
            "evidence_editable": dispute.editable,
            "evidence_locked_reason": dispute.locked_reason,
            "evidence_submitted_at": iso_or_none(dispute.evidence_submitted_at),
            "fee": None if dispute.inquiry else money(DISPUTE_FEE),
            "inquiry": dispute.inquiry,
            "issuer_comments": dispute.comments,
            "line_items": [self._payments.line_item(payment)],
            "payment": self._short_payment(payment),
            "plan_id": payment.plan_id,
            "product_id": payment.product_id,
            "reason": dispute.reason,
            "reason_code": dispute.reason_code,
            "status": dispute.status,
            "updated_at": iso(dispute.updated_at),
        }

    def _short_payment(self, payment: Payment) -> JsonObject:
        method = self._store.tables.methods.get(payment.payment_method_id or "")
        return {
            "id": payment.id,
            "amount": number(payment.total),
            "card_brand": None if method is None else method.brand,
            "card_last4": None if method is None else method.last4,
            "created_at": iso(payment.created_at),
            "currency": payment.total.currency,
            "payment_instrument": None if method is None else instrument(method),
            "payment_method_type": None if method is None else "card",
            "payment_processor": "stripe",
        }

    def alert(self, alert: DisputeAlert) -> JsonObject:
        """An alert; its amount is a JSON number."""
        payment = self._payment(alert.payment_id)
        method = self._store.tables.methods.get(payment.payment_method_id or "")
        return {
            "id": alert.id,
            "account_id": self._config.account_id,
            "amount": number(alert.amount),
            "auto_refunded": alert.auto_refunded,
            "card_brand": None if method is None else method.brand,
            "created_at": iso(alert.created_at),
            "currency": alert.amount.currency,
            "fee": money(ALERT_FEE) if alert.fee_charged else None,
            "fee_charged": alert.fee_charged,
            "issuer": "Emulated Bank",
            "payment_id": alert.payment_id,
            "product_id": payment.product_id,
            "reported_at": iso(alert.reported_at),
            "transaction_at": iso_or_none(payment.paid_at),
            "type": alert.type,
            "updated_at": iso(alert.updated_at),
        }

    def legacy_dispute(self, dispute: Dispute) -> JsonObject:
        """DisputeLegacy: evidence at the top level, nested objects, `closed` for what is `prevented` now."""
        tables, payment = self._store.tables, self._payment(dispute.payment_id)
        product = tables.products[payment.product_id]
        return {
            **{name: dispute.evidence.get(name) for name in TEXTS},
            **{name: _legacy_attachment(dispute.evidence.get(name)) for name in ATTACHMENTS},
            "id": dispute.id,
            "amount": number(dispute.amount),
            "company": {"id": self._config.account_id, "title": self._config.account_title},
            "created_at": iso(dispute.created_at),
            "currency": dispute.amount.currency,
            "editable": dispute.editable,
            "needs_response_by": iso_or_none(dispute.evidence_due_at),
            "payment": {**self._legacy_payment(payment), "payment_instrument": self._legacy_instrument(payment)},
            "plan": {"id": payment.plan_id},
            "product": {"id": product.id, "title": product.title},
            "reason": dispute.reason,
            "reason_code": dispute.reason_code,
            "status": legacy_status(dispute),
            "visa_rdr": False,
        }

    def legacy_alert(self, alert: DisputeAlert) -> JsonObject:
        """DisputeAlertLegacy."""
        payment = self._payment(alert.payment_id)
        return {
            "id": alert.id,
            "alert_type": _LEGACY_ALERTS[alert.type],
            "amount": number(alert.amount),
            "charge_for_alert": alert.fee_charged,
            "created_at": iso(alert.created_at),
            "currency": alert.amount.currency,
            "dispute": None,
            "payment": self._legacy_payment(payment),
            "transaction_date": iso_or_none(payment.paid_at),
        }

    def _legacy_instrument(self, payment: Payment) -> dict[str, Any] | None:
        method = self._store.tables.methods.get(payment.payment_method_id or "")
        if method is None:
            return None
        shown = instrument(method)
        square = shown["icons"]["square"]
        icons = {"square": {mode: {"svg": square[mode]["svg"]} for mode in ("dark", "light")}}
        return {name: shown[name] for name in shown if name != "card"} | {"icons": icons}

    def _legacy_payment(self, payment: Payment) -> dict[str, Any]:
        tables = self._store.tables
        person, short = tables.people[payment.user_id], self._short_payment(payment)
        membership = tables.memberships.get(payment.membership_id or "")
        total = number(payment.total)
        return {
            **{key: short[key] for key in _SHORT_KEYS},
            "billing_reason": payment.billing_reason,
            "dispute_alerted_at": iso_or_none(payment.dispute_alerted_at),
            "member": {"id": payment.member_id, "phone": None},
            "membership": None if membership is None else {"id": membership.id, "status": membership.status},
            "paid_at": iso_or_none(payment.paid_at),
            "subtotal": total if payment.subtotal is None else number(payment.subtotal),
            "total": total,
            "usd_total": total if payment.total.currency == "usd" else None,
            "user": {"id": person.id, "username": person.username, "name": person.name, "email": person.email},
        }


_SHORT_KEYS = (
    "id",
    "card_brand",
    "card_last4",
    "created_at",
    "currency",
    "payment_method_type",
)


def _legacy_attachment(attachment: dict[str, Any] | None) -> dict[str, Any] | None:
    """An attachment without what older versions did not tell: who uploaded it."""
    return None if attachment is None else {name: attachment[name] for name in attachment if name != "platform"}


def legacy_status(dispute: Dispute) -> str:
    """The status in the words of older versions, which know no `prevented`."""
    return "closed" if dispute.status == "prevented" else dispute.status
