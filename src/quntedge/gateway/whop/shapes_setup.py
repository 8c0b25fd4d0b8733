"""Setup intents, native and legacy, and links to receipts."""

from urllib.parse import urlsplit

from quntedge.gateway.saved import ReceiptLink, SetupSnapshot
from quntedge.gateway.whop.fields import Fields, unusable

_LEGACY_MARKS = frozenset({"company", "member", "payment_method"})


def setup_snapshot(document: object) -> SetupSnapshot:
    """Reads one setup intent. Raises `UnusableEvent` when its id or status cannot be read."""
    fields = Fields(document, "data")
    return SetupSnapshot(
        setup_id=fields.required_id(),
        raw_status=fields.required_word("status"),
        member_id=fields.id("member_id", "member"),
        method_id=fields.id("payment_method_id", "payment_method"),
        checkout_id=fields.id("checkout_configuration_id", "checkout_configuration"),
        metadata=fields.metadata(),
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape="native" if _LEGACY_MARKS.isdisjoint(fields.raw) else "legacy",
        warnings=tuple(fields.warnings),
    )


def receipt_link(document: object) -> ReceiptLink:
    """Reads the address of a receipt. Raises `UnusableEvent` when it is none that a browser may be sent to."""
    fields = Fields(document, "receipt")
    url = fields.text("url")
    parts = urlsplit(url or "")
    if url is None or parts.scheme not in ("https", "http") or not parts.hostname:
        raise unusable("receipt.url", "must be a web address")
    return ReceiptLink(url, fields.instant("expires_at"))
