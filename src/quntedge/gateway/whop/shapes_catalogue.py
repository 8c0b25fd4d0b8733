"""Plans, products and checkouts as the port knows them."""

from typing import Final

import httpx

from quntedge.gateway.port import GatewayCheckout, GatewayPlan, GatewayProduct
from quntedge.gateway.whop.fields import Fields, unusable

_MAX_DAYS: Final = 36_500


def plan_from(document: object) -> GatewayPlan:
    """Reads one plan (a "variant" in Whop's newer words). Raises `UnusableEvent` when its id or price is unusable.

    The price is what each period costs, or what the single purchase costs; for a recurring plan Whop's `initial_price`
    is an extra on top of the first period and always zero in the plans we make.
    """
    fields = Fields(document, "plan")
    one_time = fields.word("plan_type") == "one_time"
    return GatewayPlan(
        plan_id=fields.required_id(),
        product_id=fields.id("product_id", "product"),
        title=fields.text("title"),
        price=fields.amount("initial_price" if one_time else "renewal_price", fields.word("currency")),
        period_days=None if one_time else fields.integer("billing_period", 1, _MAX_DAYS),
        trial_days=fields.integer("trial_period_days", 0, _MAX_DAYS),
        archived=fields.word("visibility") == "archived",
        metadata=fields.metadata(),
    )


def product_from(document: object) -> GatewayProduct:
    """Reads one product. Raises `UnusableEvent` when its id is unusable."""
    fields = Fields(document, "product")
    product_id = fields.required_id()
    return GatewayProduct(product_id, fields.text("title") or product_id, fields.metadata())


def product_account(document: object) -> str | None:
    """The account a product belongs to, where the answer tells."""
    return Fields(document, "product").id("account_id", "account")


def checkout_from(document: object, storefront: str) -> GatewayCheckout:
    """Reads one checkout configuration; a relative purchase address is joined with `storefront`.

    Raises `UnusableEvent` for an address a customer must not be sent to: another scheme than https, unless the
    storefront itself has it, as a local stand-in may.
    """
    fields = Fields(document, "checkout")
    address = fields.text("purchase_url")
    if address is None:
        raise unusable("checkout.purchase_url", "is missing")
    base = httpx.URL(storefront)
    try:
        url = base.join(address)
    except httpx.InvalidURL as error:
        raise unusable("checkout.purchase_url", "is no address") from error
    if url.scheme not in ("https", base.scheme) or not url.host:
        raise unusable("checkout.purchase_url", "is no https address")
    return GatewayCheckout(fields.required_id(), str(url))
