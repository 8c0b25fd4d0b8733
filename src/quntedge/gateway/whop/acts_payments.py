"""Charges, retries and refunds, done by Whop. Their answer is the payment as it is then, which is rarely the end."""

from collections.abc import Mapping
from datetime import datetime

from quntedge.gateway.acts import ChargeRequest, PaymentActs
from quntedge.gateway.port import PaymentSnapshot
from quntedge.gateway.saved import ReceiptActs, ReceiptLink
from quntedge.gateway.whop.calls import PAGE_SIZE, Calls
from quntedge.gateway.whop.fields import Fields
from quntedge.gateway.whop.money import request_number
from quntedge.gateway.whop.shapes_payment import payment_snapshot
from quntedge.gateway.whop.shapes_setup import receipt_link
from quntedge.kit.money import Money


class PaymentCalls(Calls, PaymentActs, ReceiptActs):
    """Payments one by one, of a membership, or of a member."""

    async def payment(self, payment_id: str) -> PaymentSnapshot:
        """The payment as it is now."""
        return await self._read(
            "payments.retrieve",
            lambda sdk, options: sdk.payments.retrieve(payment_id, request_options=options),
            payment_snapshot,
        )

    async def payments_of(self, membership_id: str) -> list[PaymentSnapshot]:
        """All payments of a membership, newest first. Whop leaves some values out of lists."""
        return await self._all(
            "payments.list",
            lambda sdk, options, after: sdk.payments.list(
                account_id=self._settings.account_id,
                membership_id=membership_id,
                order="created_at",
                direction="desc",
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            payment_snapshot,
        )

    async def payments_of_member(self, member_id: str, *, created_after: datetime) -> list[PaymentSnapshot]:
        """A member's payments created later than this, newest first, with or without a membership.

        Whop's clock is not ours: who looks for a charge of its own leaves room before the time it was sent.
        """
        return await self._all(
            "payments.list",
            lambda sdk, options, after: sdk.payments.list(
                account_id=self._settings.account_id,
                member_id=member_id,
                created_after=created_after,
                order="created_at",
                direction="desc",
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            payment_snapshot,
        )

    async def receipt(self, payment_id: str) -> ReceiptLink:
        """A fresh link to Whop's receipt. Each call makes one of its own, so it needs no key and may be repeated."""
        return await self._write(
            "payments.generate_pdf",
            lambda sdk, options: sdk.payments.generate_pdf(payment_id, request_options=options),
            receipt_link,
            None,
        )

    async def charge(self, request: ChargeRequest, *, idempotency_key: str) -> PaymentSnapshot:
        """Charges a saved method with nobody present. The answer is open as a rule: Whop collects in the background.

        Raises `GatewayNotFound` for a member, method or plan that does not exist or does not belong together,
        `GatewayRejected` for a promo code that this purchase cannot use.
        """
        body: dict[str, object] = {
            "account_id": self._settings.account_id,
            "member_id": request.member_id,
            "payment_method_id": request.method_id,
            "plan_id": request.plan_id,
            "metadata": dict(request.metadata),
            # With a buyer present Whop would wait for a confirmation that nobody gives.
            "off_session": True,
        }
        if request.promo_code is not None:
            body["promo_code"] = request.promo_code
        if request.quote_id is not None:
            body["quote_id"] = request.quote_id
        if request.country is not None:
            # A quote is for one place, and Whop refuses a charge that puts the buyer elsewhere.
            body["shipping_address"] = {"country": request.country}
        return await self._write(
            "payments.create",
            lambda sdk, options: sdk.payments.create(**body, request_options=options),
            payment_snapshot,
            idempotency_key,
        )

    async def quote_price(
        self, plan_id: str, *, promo_code: str | None, country: str | None, idempotency_key: str
    ) -> str:
        """Fixes the price of a plan for one charge; the quote's id. No buyer is named, so no trial applies.

        Raises `GatewayRejected` for a promo code that cannot be used, and where taxes need the buyer's country and
        none is given.
        """
        body: dict[str, object] = {"account_id": self._settings.account_id, "plan_id": plan_id}
        if promo_code is not None:
            body["promo_code"] = promo_code
        if country is not None:
            body["shipping_address"] = {"country": country}
        return await self._write(
            "payment_quotes.create",
            lambda sdk, options: sdk.payment_quotes.create(**body, request_options=options),
            lambda document: Fields(document, "payment quote").required_id(),
            idempotency_key,
        )

    async def void_payment(self, payment_id: str, *, idempotency_key: str) -> PaymentSnapshot:
        """Gives up a first payment that nobody has paid, or a reserved amount. Raises `GatewayRejected` otherwise."""
        return await self._write(
            "payments.void",
            lambda sdk, options: sdk.payments.void(payment_id, request_options=options),
            payment_snapshot,
            idempotency_key,
        )

    async def retry_payment(self, payment_id: str, *, idempotency_key: str) -> PaymentSnapshot:
        """Tries an open payment again. Raises `GatewayRejected` when Whop does not allow that now."""
        return await self._write(
            "payments.retry",
            lambda sdk, options: sdk.payments.retry(payment_id, request_options=options),
            payment_snapshot,
            idempotency_key,
        )

    async def refund_payment(
        self, payment_id: str, *, amount: Money | None, metadata: Mapping[str, str], idempotency_key: str
    ) -> PaymentSnapshot:
        """Gives back `amount`, which is in the payment's currency, or all that is left.

        Raises `GatewayRejected` when more is asked than is left and when the payment cannot be refunded (any more),
        `ValueError` for an amount that is not more than zero.
        """
        body: dict[str, object] = {"metadata": dict(metadata)}
        if amount is not None:
            if amount.amount_minor <= 0:
                # Whop gives everything back when no amount is sent; nobody should find out what zero does.
                raise ValueError("a refund is more than zero")
            body["partial_amount"] = request_number(amount)
        return await self._write(
            "payments.refund",
            lambda sdk, options: sdk.payments.refund(payment_id, **body, request_options=options),
            payment_snapshot,
            idempotency_key,
        )
