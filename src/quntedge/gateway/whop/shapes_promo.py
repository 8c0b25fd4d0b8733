"""Promo codes as the port knows them."""

from typing import Final

from quntedge.gateway.acts import GatewayPromo
from quntedge.gateway.whop.fields import Fields

_MOST_USES: Final = 1_000_000_000


def promo_from(document: object) -> GatewayPromo:
    """Reads one promo code. Raises `UnusableEvent` when its id or status is unusable.

    An inactive code can be activated again and is therefore not archived.
    """
    fields = Fields(document, "promo")
    return GatewayPromo(
        promo_id=fields.required_id(),
        code=fields.text("code"),
        archived=fields.required_word("status") == "archived",
        uses=fields.integer("uses", 0, _MOST_USES) or 0,
    )
