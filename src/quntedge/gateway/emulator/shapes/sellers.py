"""The native JSON shapes of what the seller sets up: catalogue, checkouts, invoices, promo codes, webhooks, account."""

import json
from collections import Counter
from decimal import Decimal

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.rules.billing import first_charge
from quntedge.gateway.emulator.state.records import Checkout, Delivery, Endpoint, Invoice, Plan, Product, Promo
from quntedge.gateway.emulator.state.store import Store
from quntedge.gateway.emulator.wire.event_names import TESTABLE
from quntedge.gateway.emulator.wire.values import JsonObject, iso, iso_or_none, money, number

ACCOUNT_ROUTE = "emulator"
OWNER_ID = "user_emulatorowner"
"""The account's owner: no buyer, and yet allowed everywhere."""

_NOT_IN_PRODUCT_LISTS = ("custom_cta", "custom_cta_url", "custom_statement_descriptor", "marketplace_status")
_NOT_IN_PLAN_LISTS = ("collect_tax", "deletable", "tax_type")
_LISTED_OF_INVOICES = (
    "id",
    "created_at",
    "due_date",
    "email_address",
    "fetch_invoice_token",
    "line_items",
    "number",
    "payment_processing",
    "status",
)


class SellerShapes:
    """Renders the seller's objects the way API versions from 2026-09 on show them."""

    def __init__(self, config: EmulatorConfig, store: Store) -> None:
        self._config = config
        self._store = store

    def _account_summary(self) -> JsonObject:
        return {"id": self._config.account_id, "title": self._config.account_title}

    def account(self) -> JsonObject:
        """The one account there is."""
        return {
            **self._account_summary(),
            "route": ACCOUNT_ROUTE,
            "description": "An emulated account",
            "email": None,
            "logo_url": None,
            "balances": [],
            "can_transfer_pending_balance_to_children": False,
            "collect_vat_id": False,
            "company_formation": {},
            "country": "us",
            "created_at": "2026-01-01T00:00:00.000000Z",
            "dispute_fighter_enabled": False,
            "economic_intelligence": False,
            "home_preferences": [],
            "metadata": {},
            "orchestration_enabled": False,
            "owner": {
                "id": OWNER_ID,
                "name": "Emulated owner",
                "username": "owner",
                "profile_picture": {"url": "https://assets.invalid/avatar.png"},
            },
            "platform_credits": [],
            "require_2fa": False,
            "send_customer_emails": False,
            "show_joined_whops": False,
            "show_reviews_dtc": False,
            "show_user_directory": False,
            "social_links": [],
            "status": "active",
            "store_page_config": {"whop_affiliate_link": False},
            "tax_collection_enabled_states": [],
            "tax_identifiers": [],
            "use_logo_as_opengraph_image_fallback": False,
            "verification": {},
        }

    def product(self, product: Product) -> JsonObject:
        """A product."""
        members = {m.member_id for m in self._store.tables.memberships.values() if m.product_id == product.id}
        return {
            "id": product.id,
            "account": self._account_summary(),
            "average_review_rating": 0,
            "created_at": iso(product.created_at),
            "custom_cta": "subscribe",
            "custom_cta_url": None,
            "custom_statement_descriptor": None,
            "default_plan": None,
            "description": product.description,
            "external_identifier": product.external_identifier,
            "gallery_images": [],
            "headline": product.headline,
            "labels": [],
            "marketplace_status": "not_available",
            "member_count": len(members),
            "metadata": product.metadata,
            "published_reviews_count": 0,
            "route": product.route,
            "title": product.title,
            "updated_at": iso(product.updated_at),
            "verified": False,
            "visibility": product.visibility,
        }

    def listed_product(self, product: Product) -> JsonObject:
        """A product as lists show it."""
        return {name: value for name, value in self.product(product).items() if name not in _NOT_IN_PRODUCT_LISTS}

    def plan(self, plan: Plan) -> JsonObject:
        """A plan, also called variant; prices are JSON numbers in major units."""
        product = self._store.tables.products[plan.product_id]
        counts = Counter(m.plan_id for m in self._store.tables.memberships.values() if not m.ended)
        due = first_charge(plan, trial=bool(plan.trial_period_days))
        return {
            "id": plan.id,
            "account": self._account_summary(),
            "product": {"id": product.id, "title": product.title},
            "adaptive_pricing_enabled": False,
            "billing_period": plan.billing_period,
            "collect_tax": bool(self._store.tables.tax_rates),
            "created_at": iso(plan.created_at),
            "currency": plan.currency,
            "custom_fields": [],
            "deletable": counts[plan.id] == 0,
            "description": plan.description,
            "expiration_days": plan.expiration_days,
            "formatted_price": formatted_price(plan),
            "initial_price": number(plan.initial_price),
            "initial_price_due": money(due),
            "internal_notes": plan.internal_notes,
            "member_count": counts[plan.id],
            "metadata": plan.metadata,
            "offer_cancel_discount": False,
            "payment_method_configuration": None,
            "plan_type": plan.plan_type,
            "purchase_url": f"{self._config.public_base_url}/checkout/{plan.id}",
            "release_method": plan.release_method,
            "renewal_price": number(plan.renewal_price),
            "sku": None,
            "split_pay_required_payments": None,
            "stock": plan.stock,
            "tax_type": plan.tax_type,
            "three_ds_level": None,
            "title": plan.title,
            "trial_period_days": plan.trial_period_days,
            "unlimited_stock": plan.unlimited_stock,
            "updated_at": iso(plan.updated_at),
            "visibility": plan.visibility,
        }

    def listed_plan(self, plan: Plan) -> JsonObject:
        """A plan as lists show it."""
        return {name: value for name, value in self.plan(plan).items() if name not in _NOT_IN_PLAN_LISTS}

    def checkout(self, checkout: Checkout) -> JsonObject:
        """A checkout configuration with its purchase address."""
        plan = self._store.tables.plans.get(checkout.plan_id or "")
        base = self._config.public_base_url
        page = f"setup/{checkout.id}" if plan is None else f"checkout/{plan.id}?session={checkout.id}"
        return {
            "id": checkout.id,
            "account_id": self._config.account_id,
            "affiliate_code": checkout.affiliate_code,
            "created_at": iso(checkout.created_at),
            "currency": checkout.currency,
            "metadata": checkout.metadata,
            "mode": checkout.mode,
            "payment_method_configuration": None,
            "plan": None if plan is None else self._checkout_plan(plan),
            "purchase_url": f"{base}/{page}",
            "redirect_url": checkout.redirect_url,
            "three_ds_level": checkout.three_ds_level,
            "updated_at": iso(checkout.updated_at),
        }

    def _checkout_plan(self, plan: Plan) -> JsonObject:
        return {
            "id": plan.id,
            "adaptive_pricing_enabled": False,
            "billing_period": plan.billing_period,
            "currency": plan.currency,
            "expiration_days": plan.expiration_days,
            "initial_price": number(plan.initial_price),
            "plan_type": plan.plan_type,
            "release_method": plan.release_method,
            "renewal_price": number(plan.renewal_price),
            "three_ds_level": None,
            "trial_period_days": plan.trial_period_days,
            "visibility": plan.visibility,
        }

    def invoice(self, invoice: Invoice) -> JsonObject:
        """An invoice: no total of its own, lines as JSON numbers."""
        plan = self._store.tables.plans[invoice.plan_id]
        product = self._store.tables.products[invoice.product_id]
        payable = invoice.status in ("open", "past_due")
        lines = [
            {
                "label": line.label,
                "position": position,
                "quantity": line.quantity,
                "unit_price": number(line.unit_price),
                "total": number(line.total),
            }
            for position, line in enumerate(invoice.lines)
        ]
        return {
            "id": invoice.id,
            "automatically_finalizes_at": iso_or_none(invoice.finalizes_at),
            "charge_buyer_fee": invoice.charge_buyer_fee,
            "collection_method": invoice.collection_method,
            "company": {"id": self._config.account_id},
            "created_at": iso(invoice.created_at),
            "current_plan": {
                "id": plan.id,
                "currency": plan.currency,
                "description": plan.description,
                "formatted_price": formatted_price(plan),
            },
            "customer_name": invoice.customer_name,
            "due_date": iso_or_none(invoice.due_date),
            "email_address": invoice.email_address,
            "fetch_invoice_token": f"emulated-{invoice.id}",
            "line_items": lines,
            "mailing_address": None,
            "member": None if invoice.member_id is None else {"id": invoice.member_id},
            "number": invoice.number,
            "pay_online_url": f"{self._config.public_base_url}/invoice/{invoice.id}" if payable else None,
            "payment": None if invoice.payment_id is None else {"id": invoice.payment_id},
            "payment_processing": self._is_processing(invoice),
            "product": {"id": product.id, "title": product.title},
            "status": invoice.status,
            "subscription_billing_anchor_at": iso_or_none(invoice.anchor_at),
            "updated_at": iso(invoice.updated_at),
            "user": self._invoice_user(invoice),
        }

    def listed_invoice(self, invoice: Invoice) -> JsonObject:
        """An invoice as lists show it: the short form."""
        whole = self.invoice(invoice)
        short = {name: whole[name] for name in _LISTED_OF_INVOICES}
        short["current_plan"] = {name: whole["current_plan"][name] for name in ("id", "currency", "formatted_price")}
        user = whole["user"]
        short["user"] = None if user is None else {name: user[name] for name in ("id", "name", "username")}
        return short

    def _is_processing(self, invoice: Invoice) -> bool:
        payment = self._store.tables.payments.get(invoice.payment_id or "")
        return payment is not None and payment.collects_at is not None

    def _invoice_user(self, invoice: Invoice) -> JsonObject | None:
        member = self._store.tables.members.get(invoice.member_id or "")
        if member is None:
            return None
        person = self._store.tables.people[member.user_id]
        return {"id": person.id, "email": person.email, "name": person.name, "username": person.username}

    def promo(self, promo: Promo) -> JsonObject:
        """A promo code; a percentage is a fraction."""
        product = self._store.tables.products.get(promo.product_id or "")
        return {
            "id": promo.id,
            "account": self._account_summary(),
            "amount_off": float(Decimal(promo.amount_off)),
            "churned_users_only": promo.churned_users_only,
            "code": promo.code,
            "created_at": iso(promo.created_at),
            "currency": promo.currency,
            "duration": _duration(promo.promo_duration_months),
            "existing_memberships_only": promo.existing_memberships_only,
            "expires_at": iso_or_none(promo.expires_at),
            "metadata": promo.metadata,
            "new_users_only": promo.new_users_only,
            "one_per_customer": promo.one_per_customer,
            "product": None if product is None else {"id": product.id, "title": product.title},
            "promo_duration_months": promo.promo_duration_months,
            "promo_type": promo.promo_type,
            "status": promo.status,
            "stock": promo.stock,
            "unlimited_stock": promo.unlimited_stock,
            "updated_at": iso(promo.updated_at),
            "uses": promo.uses,
        }

    def listed_promo(self, promo: Promo) -> JsonObject:
        """A promo code as lists show it."""
        return {name: value for name, value in self.promo(promo).items() if name != "account"}

    def endpoint(self, endpoint: Endpoint, *, reveal_secret: bool = False) -> JsonObject:
        """A webhook endpoint. The secret is shown once, in the answer to its creation."""
        return {
            "id": endpoint.id,
            "api_version": "v1",
            "api_version_date": endpoint.api_version_date,
            "child_resource_events": endpoint.child_resource_events,
            "consecutive_failures": endpoint.consecutive_failures,
            "created_at": iso(endpoint.created_at),
            "disabled_at": iso_or_none(endpoint.disabled_at),
            "disabled_reason": endpoint.disabled_reason,
            "enabled": endpoint.enabled,
            "events": endpoint.events,
            "failing_since": iso_or_none(endpoint.failing_since),
            "last_failure_at": iso_or_none(endpoint.last_failure_at),
            "resource_id": self._config.account_id,
            "testable_events": [event for event in endpoint.events if event in TESTABLE],
            "url": endpoint.url,
            "webhook_secret": endpoint.secret if reveal_secret else None,
        }

    def listed_endpoint(self, endpoint: Endpoint) -> JsonObject:
        """A webhook endpoint as lists show it."""
        return {name: value for name, value in self.endpoint(endpoint).items() if name != "testable_events"}

    def delivery(self, delivery: Delivery, request_body: JsonObject) -> JsonObject:
        """One attempt, with the body that was sent."""
        return {
            "id": delivery.id,
            "event": delivery.event,
            "replayed_from": delivery.replayed_from,
            "request_body": request_body,
            "resource_id": self._config.account_id,
            "response_body": response_document(delivery.response_body),
            "response_code": delivery.response_code,
            "sent_at": iso(delivery.created_at),
            "success": delivery.success,
            "total_time": delivery.total_time_ms / 1000,
        }


def response_document(text: str) -> JsonObject | None:
    """An endpoint's answer as the list of deliveries shows it: its JSON object, or what it said instead."""
    if not text:
        return None
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    return {"error": "The response is not a JSON object.", "raw_body": text[:100]}


def formatted_price(plan: Plan) -> str:
    """A plan's price for people, e.g. `$29.00 / 30 days`."""
    if not plan.recurring:
        return plan.initial_price.format()
    text = f"{plan.renewal_price.format()} / {plan.billing_period} days"
    return f"{plan.initial_price.format()} + {text}" if plan.initial_price else text


def _duration(months: int | None) -> str:
    if months is None or months == 0:
        return "forever"
    return "once" if months == 1 else "repeating"
