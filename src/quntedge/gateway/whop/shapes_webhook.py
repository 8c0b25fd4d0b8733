"""Webhook endpoints as the port knows them."""

from typing import Final

from quntedge.gateway.port import WebhookEndpoint
from quntedge.gateway.whop.fields import Fields, unusable

_MOST_FAILURES: Final = 1_000_000_000


def endpoint_from(document: object) -> WebhookEndpoint:
    """Reads one endpoint. Raises `UnusableEvent` when its id, address or state is unusable."""
    fields = Fields(document, "webhook")
    url, enabled = fields.text("url"), fields.flag("enabled")
    if url is None:
        raise unusable("webhook.url", "is missing")
    if enabled is None:
        raise unusable("webhook.enabled", "is missing")
    return WebhookEndpoint(
        endpoint_id=fields.required_id(),
        url=url,
        enabled=enabled,
        consecutive_failures=fields.integer("consecutive_failures", 0, _MOST_FAILURES) or 0,
        failing_since=fields.instant("failing_since"),
        disabled_reason=fields.word("disabled_reason"),
    )
