"""The native JSON shapes of what buyers cause: memberships, members, payment methods; payments are inherited."""

from datetime import datetime

from quntedge.gateway.emulator.rules.discounts import next_price
from quntedge.gateway.emulator.shapes.payments import PaymentShapes
from quntedge.gateway.emulator.shapes.sellers import ACCOUNT_ROUTE
from quntedge.gateway.emulator.state.records import Member, Membership, Method
from quntedge.gateway.emulator.wire.values import JsonObject, icons, iso, iso_or_none, money, money_or_none
from quntedge.kit.money import Money


class BuyerShapes(PaymentShapes):
    """Renders records the way API versions from 2026-09 on show them."""

    def membership(self, membership: Membership) -> JsonObject:
        """A membership. Being paused shows in the latest action only."""
        product = self._store.tables.products[membership.product_id]
        action, action_at = self._latest_membership_action(membership)
        return {
            "id": membership.id,
            "account": {
                "id": self._config.account_id,
                "route": ACCOUNT_ROUTE,
                "title": self._config.account_title,
                "logo_url": None,
            },
            "affiliate": None,
            "billing_period_days": membership.billing_period_days,
            "cancel_at_period_end": membership.cancel_at_period_end,
            "cancel_option": membership.cancel_option,
            "canceled_at": iso_or_none(membership.canceled_at),
            "cancellation_reason": membership.cancellation_reason,
            "collection_method": membership.collection_method,
            "created_at": iso(membership.created_at),
            "current_period_end": iso_or_none(membership.current_period_end or membership.expires_at),
            "current_period_start": iso_or_none(membership.current_period_start),
            "expires_at": iso_or_none(membership.expires_at),
            "feedback_option": None if membership.feedback_label is None else {"label": membership.feedback_label},
            "initial_price": money(membership.initial_price),
            "license_key": membership.license_key,
            "manage_url": self.manage_url(membership.member_id),
            "member": None,  # what sellers see; buyers who ask for their own see it filled
            "member_id": membership.member_id,
            "metadata": membership.metadata,
            "most_recent_action": action,
            "most_recent_action_at": iso_or_none(action_at),
            "phone_number": None,
            "plan_id": membership.plan_id,
            "product": {"id": product.id, "title": product.title, "logo_url": None},
            "product_id": membership.product_id,
            "promo_code_id": membership.promo_code_id,
            "renewal_price": money_or_none(next_price(self._store.tables, membership)),
            "split_pay_current_payments": None,
            "split_pay_required_payments": None,
            "status": membership.status,
            "updated_at": iso(membership.updated_at),
            "user_id": membership.user_id,
        }

    def manage_url(self, member_id: str) -> str:
        """Address of the buyer's portal."""
        return f"{self._config.public_base_url}/billing/manage/{member_id}/"

    def member(self, member: Member) -> JsonObject:
        """A customer record, with the e-mail address."""
        person = self._store.tables.people[member.user_id]
        action, action_at = self.latest_action(member)
        return {
            "id": member.id,
            "access_level": self.access_level(member),
            "account_id": self._config.account_id,
            "created_at": iso(member.created_at),
            "display_name": person.name or person.username,
            "email": person.email,
            "joined_at": iso(member.joined_at),
            "last_accessed_at": None,
            "most_recent_action": action,
            "most_recent_action_at": iso(action_at),
            "phone_number": None,
            "status": member.status,
            "token_balance": 0,
            "usd_total_spent": money(self.spent(member)),
            "user": self.user(person),
        }

    def access_level(self, member: Member) -> str:
        """`customer` while any of a member's memberships goes on and the member is not banned."""
        if member.banned:
            return "no_access"
        return "customer" if any(not m.ended for m in self._store.memberships_of(member.id)) else "no_access"

    def latest_action(self, member: Member) -> tuple[str, datetime]:
        """What the membership that changed last says of a member, and since when."""
        latest = max(self._store.memberships_of(member.id), key=lambda one: one.updated_at, default=None)
        if latest is None or latest.status == "drafted":
            return "joined", member.joined_at
        if latest.ended:
            return "churned", latest.canceled_at or latest.updated_at
        if latest.cancel_at_period_end:
            return "canceling", latest.canceled_at or latest.updated_at
        if latest.paused_at is not None:
            return "paused", latest.paused_at
        if latest.status == "completed":
            return "paid_once" if latest.expires_at is None else "expiring", latest.created_at
        if latest.status != "active":
            return latest.status, latest.updated_at
        started = latest.current_period_start or latest.created_at
        return "renewing" if started > latest.created_at else "paid_subscriber", started

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
