"""The native JSON shapes of money that moves: payments, their progress and fees, refunds."""

from typing import Any

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.rules.billing import ALERT_FEE, DISPUTE_FEE, processing_fees
from quntedge.gateway.emulator.rules.exchange import FEE_BASIS_POINTS, rate_at, settled
from quntedge.gateway.emulator.state.finance_records import ExchangeRate
from quntedge.gateway.emulator.state.records import Method, Payment, Person, Refund
from quntedge.gateway.emulator.state.store import Store
from quntedge.gateway.emulator.wire.values import JsonObject, icons, iso, iso_or_none, money, money_or_none
from quntedge.kit.money import Money


class PaymentShapes:
    """Renders payments and refunds the way API versions from 2026-09 on show them."""

    def __init__(self, config: EmulatorConfig, store: Store) -> None:
        self._config = config
        self._store = store

    def user(self, person: Person) -> JsonObject:
        """A person, without the e-mail address."""
        return {
            "id": person.id,
            "name": person.name,
            "username": person.username,
            "profile_picture": {"url": "https://assets.invalid/avatar.png"},
        }

    def payment(self, payment: Payment, *, listed: bool = False) -> JsonObject:
        """A payment. In lists the values that open doors (recovery address, settlement time) are null."""
        person = self._store.tables.people[payment.user_id]
        return {
            **self._payment_references(payment),
            **self._payment_amounts(payment),
            "auto_refunded": payment.auto_refunded,
            "billing_address": None if person.country is None else _address(person),
            "billing_reason": payment.billing_reason,
            "client_secret": None if listed else f"{payment.id}_secret_emulated",
            "created_at": iso(payment.created_at),
            "customer_email": person.email,
            "customer_phone": None,
            "decline_code": payment.decline_code,
            "dispute_alerted_at": iso_or_none(payment.dispute_alerted_at),
            "failure_message": payment.failure_message,
            "financing_installments_count": None,
            "holds": [],
            "ip_address": None,
            "last_payment_attempt_at": iso_or_none(payment.last_payment_attempt_at),
            "line_items": [self.line_item(payment)],
            "metadata": payment.metadata,
            "needs_tracking": False,
            "next_payment_attempt_at": iso_or_none(payment.next_payment_attempt_at),
            "paid_at": iso_or_none(payment.paid_at),
            "payment_rule_matches": [],
            "payments_failed": payment.payments_failed,
            "recovery_url": None if listed else self.recovery_url(payment),
            "refundable": self.refundable(payment),
            "refunded_at": iso_or_none(payment.refunded_at),
            "retryable": self.retryable(payment),
            "risk_score": None,
            "risk_signals": None,
            "settlement_time_at": None if listed else iso_or_none(payment.paid_at),
            "shipping_address": None,
            "status": payment.status,
            "substatus": payment.substatus,
            "three_ds_verified": payment.three_ds_verified,
            "updated_at": iso(payment.updated_at),
            "user": self.user(person),
            "verification_checks": None,
            "voidable": voidable(payment),
        }

    def recovery_url(self, payment: Payment) -> str | None:
        """Where the buyer answers the bank; None when the bank asks nothing."""
        waits = payment.status == "open" and payment.substatus == "incomplete"
        return f"{self._config.public_base_url}/challenge/{payment.id}" if waits else None

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
            "promo_code_id": payment.promo_code_id,
            "quote_id": payment.quote_id,
            "shipment_id": None,
        }

    def _payment_amounts(self, payment: Payment) -> JsonObject:
        total, zero = payment.total, Money.zero(payment.total.currency)
        net = zero
        if payment.status == "paid":
            net = total - payment.refunded
            for amount, *_ in self._fee_lines(payment):
                if amount.currency == total.currency:
                    net = net - amount
        return {
            "currency": total.currency,
            "subtotal": money(total if payment.subtotal is None else payment.subtotal),
            "total": money(total),
            "presentment_total": money(total),
            "usd_total": money(total) if total.currency == "usd" else None,
            "tax_amount": money_or_none(payment.tax),
            "tax_behavior": payment.tax_behavior,
            "tax_refunded_amount": money(payment.tax_refunded or zero),
            "amount_after_fees": money(net),
            "refunded_amount": money(self._refunded(payment)) if payment.refunded else None,
        }

    def line_item(self, payment: Payment) -> JsonObject:
        """The one thing a payment is for."""
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
            "subtotal": money(payment.total if payment.subtotal is None else payment.subtotal),
        }

    def retryable(self, payment: Payment) -> bool:
        """Whether POST /payments/{id}/retry would be accepted now."""
        if payment.status != "open" or payment.payments_failed == 0 or payment.substatus == "incomplete":
            return False
        if payment.membership_id is None:
            return payment.by_api
        return self._store.tables.memberships[payment.membership_id].status in ("active", "trialing", "past_due")

    def refundable(self, payment: Payment) -> bool:
        """Whether anything of a payment can be given back now. Whoever disputes it cannot be refunded."""
        left = payment.status == "paid" and payment.refunded < payment.total
        return left and not self.disputed(payment)

    def disputed(self, payment: Payment) -> bool:
        """Whether a dispute of the payment is open, or was lost: the money is gone already."""
        disputes = (self._store.tables.disputes[found] for found in payment.dispute_ids)
        return any(dispute.is_open or dispute.took_the_money for dispute in disputes)

    def payment_status(self, payment: Payment) -> JsonObject:
        """The short answer of GET /payments/{id}/status."""
        error, recovery = None, self.recovery_url(payment)
        if payment.status == "open" and payment.payments_failed:
            error = {
                "code": "card_declined",
                "decline_code": payment.decline_code,
                "message": payment.failure_message,
            }
        held, pending = payment.status == "authorized", payment.status == "pending"
        return {
            "id": payment.id,
            "object": "payment_status",
            "account": {"id": self._config.account_id, "title": self._config.account_title},
            "status": _progress(payment),
            "last_payment_error": error,
            "next_action": None if recovery is None else redirect_action(recovery),
            "processing_details": {"expected_by": iso_or_none(payment.collects_at)} if pending else None,
            "return_url": payment.return_url,
            "capture_expires_at": iso_or_none(payment.released_at) if held else None,
            "auto_capture_at": iso_or_none(payment.released_at) if held and payment.auto_capture_minutes else None,
        }

    def _fee_lines(self, payment: Payment) -> list[tuple[Money, str, str, str]]:
        """Positive amount, type, origin, label."""
        lines: list[tuple[Money, str, str, str]] = []
        percentage, fixed = processing_fees(payment.total)
        if payment.status != "paid" or not percentage:
            return lines
        kind = "processing_fee"
        lines.append((percentage, kind, "payment_processing_percentage_fee", "Processing fee (2.7 %)"))
        lines.append((fixed, kind, "payment_processing_fixed_fee", "Processing fee (fixed)"))
        if self._rate(payment, payment.total) is not None:
            conversion = payment.total.percent(FEE_BASIS_POINTS)
            lines.append((conversion, kind, "fx_percentage_fee", "Currency conversion (1 %)"))
        if payment.tax:
            lines.append((payment.tax, "other_fee", "sales_tax_remittance", "Sales tax remitted"))
        for found in payment.dispute_ids:
            dispute = self._store.tables.disputes[found]
            if not dispute.inquiry:
                lines.append((DISPUTE_FEE, "other_fee", "dispute_fee", "Dispute fee"))
        if payment.dispute_alerted_at is not None:
            lines += [
                (ALERT_FEE, "other_fee", "dispute_alert_fee", "Dispute alert fee")
                for alert in self._store.tables.dispute_alerts.values()
                if alert.payment_id == payment.id and alert.fee_charged
            ]
        return lines

    def _rate(self, payment: Payment, amount: Money) -> ExchangeRate | None:
        rates, at = self._store.tables.exchange_rates.values(), payment.paid_at or payment.created_at
        return rate_at(rates, amount.currency, at)

    def _settled(self, refund: Refund) -> Money:
        rates = self._store.tables.exchange_rates.values()
        return settled(refund.amount, rate_at(rates, refund.amount.currency, refund.updated_at))

    def _refunded(self, payment: Payment) -> Money:
        """What went back, as it settled, each part at the rate of its own time; as it was paid where they settled in
        different currencies."""
        if not self._store.tables.exchange_rates:
            return payment.refunded
        parts = [self._settled(one) for one in self._store.refunds_of(payment.id) if one.status == "succeeded"]
        if len({part.currency for part in parts}) != 1:
            return payment.refunded
        return sum(parts[1:], parts[0])

    def fees(self, payment: Payment) -> list[JsonObject]:
        """What a paid payment cost the seller, as negative amounts."""
        return [
            {
                "amount": money(-amount),
                "settlement_amount": money(settled(-amount, self._rate(payment, amount))),
                "label": label,
                "description": None,
                "type": kind,
                "origin": origin,
                "collected_at": iso_or_none(payment.paid_at),
            }
            for amount, kind, origin, label in self._fee_lines(payment)
        ]

    def refund(self, refund: Refund) -> JsonObject:
        """A refund as the API shows it; webhooks carry the legacy shape."""
        settled = refund.status == "succeeded"
        return {
            "id": refund.id,
            "account_id": self._config.account_id,
            "amount": money(self._settled(refund)),
            "original_amount": money(refund.amount),
            "created_at": iso(refund.created_at),
            "failure_message": refund.failure_message,
            "failure_reason": refund.failure_reason,
            "metadata": refund.metadata,
            "payment_id": refund.payment_id,
            "provider": "stripe",
            "provider_created_at": iso(refund.created_at),
            "reason": refund.reason,
            "reference_status": reference_status(refund),
            "reference_type": "acquirer_reference_number" if settled else None,
            "reference_value": reference_value(refund),
            "status": refund.status,
            "updated_at": iso(refund.updated_at),
            "visa_rdr": refund.visa_rdr,
        }


def reference_status(refund: Refund) -> str:
    """Whether the buyer's bank can be given a number to look the refund up."""
    return {"succeeded": "available", "pending": "pending"}.get(refund.status, "unavailable")


def reference_value(refund: Refund) -> str | None:
    """The acquirer's number of a refund that went through: 23 digits made from its id."""
    if refund.status != "succeeded":
        return None
    return f"{int.from_bytes(refund.id.encode()) % 10**23:023d}"


def voidable(payment: Payment) -> bool:
    """Whether a payment can be given up: a reserved amount, or a first payment nobody has paid."""
    return payment.status == "authorized" or (payment.status == "open" and payment.membership_id is None)


def redirect_action(url: str) -> JsonObject:
    """What a buyer has to do: go to an address."""
    return {"type": "redirect", "data": {"url": url, "frame_max_width": None}, "render": ["full_page"]}


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


def _address(person: Person) -> JsonObject:
    unknown = dict.fromkeys(("city", "line1", "line2", "postal_code", "state"))
    return {**unknown, "country": (person.country or "").upper(), "name": person.name}


def _progress(payment: Payment) -> str:
    if payment.status == "paid":
        return "succeeded"
    if payment.status == "authorized":
        return "requires_capture"
    if payment.status in ("void", "uncollectible"):
        return "canceled"
    if payment.substatus == "incomplete":
        return "requires_action"
    return "requires_confirmation" if payment.payments_failed else "processing"
