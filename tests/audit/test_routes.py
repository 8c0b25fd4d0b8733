"""Every route on which somebody can be denied something about money or the catalogue names its act."""

import re
from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from quntedge.edge.audited import Audited
from quntedge.edge.callers import SAFE_METHODS
from tests.edge.fixtures import shop
from tests.edge.shop import Shop

__all__ = ["shop"]

ABOUT_MONEY = ("/api/payment/", "/api/subscription/", "/api/admin/")
NOTHING_IS_DONE = {
    "/api/admin/catalog/diff",
    "/api/admin/mails/{kind}/{locale}/preview",
    "/api/admin/plan-migrations/preview",
    "/api/subscription/access/check",
    "/api/subscription/change/preview",
    "/api/subscription/withdraw/preview",
}
"""Routes that take a body and change nothing."""


def _acts(dependant: Dependant) -> Iterator[str]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Audited):
            yield inner.call.act


async def test_every_route_that_does_something_names_its_act(shop: Shop) -> None:
    found: dict[str, list[str]] = {}
    for context in iter_route_contexts(list(shop.app.routes)):
        route = context.original_route
        if isinstance(route, APIRoute) and set(context.methods or ()) - SAFE_METHODS:
            found.setdefault(str(context.path), []).extend(_acts(route.dependant))
    money = {path: acts for path, acts in found.items() if path.startswith(ABOUT_MONEY)}
    assert {path for path, acts in money.items() if not acts} == NOTHING_IS_DONE
    assert len(money) > 25
    acts = [act for acts in money.values() for act in acts]
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", act) for act in acts)
