"""A new price of the customer's plan on the billing page: what, from when, and that they can leave before."""

from collections.abc import Sequence

from quntedge.kit.money import Money
from quntedge.plan_migrations.moving import moves_at, open_item
from quntedge.web.actions import Offer, Panel, Situation


async def offers(situation: Situation) -> Sequence[Offer]:
    """Nothing to do, but something to know: what has been announced and has not begun."""
    row = situation.standing.subscription
    item = None if row is None else await open_item(situation.unit.session, row.id)
    if row is None or item is None or item.new_price_minor is None or row.cancel_at_period_end:
        return ()
    data = {
        "old": Money(item.old_price_minor, item.currency),
        "new": Money(item.new_price_minor, item.currency),
        "from_day": moves_at(item, situation.unit.clock.now()),
        "exact": item.state == "moving" or item.move_at == row.period_end,
    }
    return (Panel("_manage_new_terms.html", data),)
