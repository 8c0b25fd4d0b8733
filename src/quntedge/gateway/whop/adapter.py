"""The port's gateway, done by Whop."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import httpx

from quntedge.gateway.port import (
    CheckoutRequest,
    Gateway,
    GatewayCheckout,
    GatewayPlan,
    GatewayProduct,
    InvoiceSnapshot,
    MembershipSnapshot,
    PaymentSnapshot,
    PlanRequest,
    RefundSnapshot,
    WebhookEndpoint,
)
from quntedge.gateway.whop.acts_account import AccountCalls
from quntedge.gateway.whop.acts_disputes import DisputeCalls
from quntedge.gateway.whop.acts_finance import FinanceCalls
from quntedge.gateway.whop.acts_memberships import MembershipCalls
from quntedge.gateway.whop.acts_methods import MethodCalls
from quntedge.gateway.whop.acts_payments import PaymentCalls
from quntedge.gateway.whop.acts_promos import PromoCalls
from quntedge.gateway.whop.acts_setup import SetupCalls
from quntedge.gateway.whop.calls import MAX_CRAWL_PAGES, PAGE_SIZE
from quntedge.gateway.whop.config import WhopSettings
from quntedge.gateway.whop.exchange import READ_RETRIES, Exchange
from quntedge.gateway.whop.fields import Fields
from quntedge.gateway.whop.limiter import Limiter
from quntedge.gateway.whop.money import request_number
from quntedge.gateway.whop.shapes_catalogue import checkout_from, plan_from, product_account, product_from
from quntedge.gateway.whop.shapes_invoice import invoice_snapshot
from quntedge.gateway.whop.shapes_membership import membership_snapshot
from quntedge.gateway.whop.shapes_payment import payment_snapshot
from quntedge.gateway.whop.shapes_refund import refund_snapshot
from quntedge.gateway.whop.shapes_webhook import endpoint_from

_OPEN_STATUSES: Final[Sequence[str]] = ("active", "trialing", "past_due", "completed", "canceling", "paused")
"""Whop's `active`, `trialing` and `past_due` leave out what is set to cancel: `canceling` has those."""


def connect(
    settings: WhopSettings,
    *,
    limiter: Limiter | None = None,
    read_retries: int = READ_RETRIES,
    transport: httpx.AsyncBaseTransport | None = None,
) -> "WhopGateway":
    """A gateway ready for use; nothing is sent yet. Close it with `close()`.

    `transport` stands in for the network, `read_retries` is how often a failed read is sent again.
    """
    exchange = Exchange(settings, limiter=limiter or Limiter(), read_retries=read_retries, transport=transport)
    return WhopGateway(settings, exchange)


class WhopGateway(
    MembershipCalls,
    PaymentCalls,
    MethodCalls,
    SetupCalls,
    PromoCalls,
    DisputeCalls,
    FinanceCalls,
    AccountCalls,
    Gateway,
):
    """Whop as the product sees it: the port, and all of `gateway.acts`. Safe for concurrent use within one event loop.

    Here is what sells and what watches; what is done to existing objects is in the `acts_*` modules.
    """

    async def account_id(self) -> str:
        """The account our key belongs to."""
        return await self._read(
            "accounts.me",
            lambda sdk, options: sdk.accounts.me(request_options=options),
            lambda document: Fields(document, "account").required_id(),
        )

    async def products(self) -> list[GatewayProduct]:
        """Our products. The account is always named: without it Whop lists its whole marketplace."""
        documents = await self._pages(
            "products.list",
            lambda sdk, options, after: sdk.products.list(
                account_id=self._settings.account_id, first=PAGE_SIZE, after=after, request_options=options
            ),
        )
        ours = (None, self._settings.account_id)
        return [
            self._understood("products.list", product_from, item) for item in documents if self._owner(item) in ours
        ]

    async def create_product(self, title: str, *, metadata: Mapping[str, str], idempotency_key: str) -> GatewayProduct:
        """Makes a product."""
        return await self._write(
            "products.create",
            lambda sdk, options: sdk.products.create(
                title=title, account_id=self._settings.account_id, metadata=dict(metadata), request_options=options
            ),
            product_from,
            idempotency_key,
        )

    async def plans(self) -> list[GatewayPlan]:
        """Our plans, archived ones included where Whop lists them."""
        return await self._all(
            "variants.list",
            lambda sdk, options, after: sdk.variants.list(
                account_id=self._settings.account_id, first=PAGE_SIZE, after=after, request_options=options
            ),
            plan_from,
        )

    async def create_plan(self, request: PlanRequest, *, idempotency_key: str) -> GatewayPlan:
        """Makes a plan. It is hidden at Whop: a purchase that did not start with us could not be linked to anybody."""
        price = request_number(request.price)
        recurring = request.period_days is not None
        body: dict[str, object] = {
            "account_id": self._settings.account_id,
            "product_id": request.product_id,
            "title": request.title,
            "currency": request.price.currency,
            "plan_type": "renewal" if recurring else "one_time",
            # The first charge of a recurring plan is initial_price + renewal_price.
            "initial_price": 0 if recurring else price,
            "visibility": "hidden",
            "release_method": "buy_now",
            "unlimited_stock": True,
            "metadata": dict(request.metadata),
        }
        if recurring:
            body |= {"renewal_price": price, "billing_period": request.period_days}
        if request.trial_days:
            body["trial_period_days"] = request.trial_days
        if request.description is not None:
            body["description"] = request.description
        return await self._write(
            "variants.create",
            lambda sdk, options: sdk.variants.create(**body, request_options=options),
            plan_from,
            idempotency_key,
        )

    async def create_checkout(self, request: CheckoutRequest, *, idempotency_key: str) -> GatewayCheckout:
        """Opens a hosted checkout. Its link never expires at Whop: retire it when it has served."""
        return await self._write(
            "checkout_configurations.create",
            lambda sdk, options: sdk.checkout_configurations.create(
                account_id=self._settings.account_id,
                plan_id=request.plan_id,
                mode="payment",
                redirect_url=request.redirect_url,
                metadata=dict(request.metadata),
                request_options=options,
            ),
            lambda document: checkout_from(document, self._settings.storefront),
            idempotency_key,
        )

    async def retire_checkout(self, checkout_id: str) -> None:
        """Makes a checkout link unusable. Missing is as good as retired, and retiring twice does no harm."""
        await self._remove(
            "checkout_configurations.delete",
            lambda sdk, options: sdk.checkout_configurations.delete(checkout_id, request_options=options),
        )

    async def refund(self, refund_id: str) -> RefundSnapshot:
        """The refund as it is now."""
        return await self._read(
            "refunds.retrieve",
            lambda sdk, options: sdk.refunds.retrieve(refund_id, request_options=options),
            refund_snapshot,
        )

    async def invoice(self, invoice_id: str) -> InvoiceSnapshot:
        """The explicit invoice as it is now."""
        return await self._read(
            "invoices.retrieve",
            lambda sdk, options: sdk.invoices.retrieve(invoice_id, request_options=options),
            invoice_snapshot,
        )

    async def refunds_of(self, payment_id: str) -> list[RefundSnapshot]:
        """All refunds of one payment, failed ones included."""
        return await self._all(
            "refunds.list",
            lambda sdk, options, after: sdk.refunds.list(
                account_id=self._settings.account_id,
                payment_id=payment_id,
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            refund_snapshot,
        )

    async def memberships_open(self) -> AsyncIterator[list[MembershipSnapshot]]:
        """Pages of the memberships that have not ended, those set to cancel, paused and completed ones included."""
        pages = self._each_page(
            "memberships.list",
            lambda sdk, options, after: sdk.memberships.list(
                account_id=self._settings.account_id,
                statuses=list(_OPEN_STATUSES),
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            MAX_CRAWL_PAGES,
        )
        async for page in pages:
            yield [self._understood("memberships.list", membership_snapshot, item) for item in page]

    async def payments_since(self, created_after: datetime) -> AsyncIterator[list[PaymentSnapshot]]:
        """Pages of the payments created after this time. Whop leaves some values out of lists."""
        pages = self._each_page(
            "payments.list",
            lambda sdk, options, after: sdk.payments.list(
                account_id=self._settings.account_id,
                created_after=created_after,
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            MAX_CRAWL_PAGES,
        )
        async for page in pages:
            yield [self._understood("payments.list", payment_snapshot, item) for item in page]

    async def webhook_endpoints(self) -> list[WebhookEndpoint]:
        """Where Whop sends the events of our account."""
        return await self._all(
            "webhooks.list",
            lambda sdk, options, after: sdk.webhooks.list(
                account_id=self._settings.account_id, first=PAGE_SIZE, after=after, request_options=options
            ),
            endpoint_from,
        )

    async def redeliver(self, endpoint_id: str, *, failed_since: datetime, idempotency_key: str) -> None:
        """Has failed deliveries sent again. They keep their ids, so what was applied already is dropped as known."""
        await self._exchange.write(
            "webhooks.replay",
            lambda sdk, options: sdk.webhooks.replay(
                endpoint_id, sent_after=failed_since.isoformat(), failed_only=True, request_options=options
            ),
            idempotency_key=idempotency_key,
        )

    async def close(self) -> None:
        """Closes the connections; the gateway cannot be used afterwards."""
        await self._exchange.close()

    def _owner(self, document: object) -> str | None:
        return self._understood("products.list", product_account, document)
