"""Saving a card without buying, on a page of Whop's."""

from collections.abc import Mapping

from quntedge.gateway.acts import SetupActs
from quntedge.gateway.port import GatewayCheckout
from quntedge.gateway.whop.calls import Calls
from quntedge.gateway.whop.shapes_catalogue import checkout_from


class SetupCalls(Calls, SetupActs):
    """Hosted pages that save a card. Whoever the buyer signs in as at Whop is who the card belongs to."""

    async def start_card_setup(
        self, redirect_url: str, *, metadata: Mapping[str, str], idempotency_key: str
    ) -> GatewayCheckout:
        """Opens a checkout in mode `setup`. It never expires, and whoever uses it saves a card of their own only."""
        return await self._write(
            "checkout_configurations.create",
            lambda sdk, options: sdk.checkout_configurations.create(
                account_id=self._settings.account_id,
                mode="setup",
                redirect_url=redirect_url,
                metadata=dict(metadata),
                request_options=options,
            ),
            lambda document: checkout_from(document, self._settings.storefront),
            idempotency_key,
        )
