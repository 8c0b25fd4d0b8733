"""Which of the SDK's operations the emulator serves, and why it does not serve the others."""

import re
from functools import cache

from starlette.routing import Route

from quntedge.gateway.emulator.app import API_ROUTES
from tests.emulator.contract.surface import Operation, operations

NOT_SERVED = {
    "accounts.*": "one account, made with the emulator; nothing is configured on it but preferences",
    "confirmation_tokens.*": "made by Whop Elements in a browser, which the emulator's pages do not use",
    "resolution_center_cases.*": "complaints inside Whop; refunds and disputes are emulated",
    "payouts.*": "made in the dashboard; here by `/_control/payouts`",
    "files.complete": "files are put in one piece",
    "exports.*": "files for bookkeeping; lists say the same",
    "api_keys.*": "the keys are settings of the emulator",
    "memberships.invite": "memberships come from purchases only",
    "memberships.assign_affiliate": "no affiliates",
    "products.publish": "no marketplace and nobody who reviews products for it",
    "products.unpublish": "as `products.publish`",
    "users.*": "profiles of people belong to Whop; what they may enter is served",
}
"""The operations of `MODULES` the emulator leaves out, by pattern, with the reason."""


@cache
def routes() -> dict[tuple[str, str], Route]:
    """The API's routes by method and path, variable parts as `{}`."""
    found = {}
    for route in API_ROUTES:
        assert isinstance(route, Route)
        path = re.sub(r"\{[^}]*\}", "{}", route.path.lstrip("/"))
        for method in (route.methods or set()) - {"HEAD"}:
            found[method, path] = route
    return found


def served() -> dict[str, Operation]:
    """The SDK's operations that have a route, by key."""
    return {
        key: operation for key, operation in operations().items() if (operation.http_method, operation.path) in routes()
    }


def not_served() -> dict[str, Operation]:
    """The SDK's operations of the same modules that have none."""
    return {key: operation for key, operation in operations().items() if key not in served()}


def reason(key: str) -> str | None:
    """Why an operation is not served; None when nobody said."""
    return NOT_SERVED.get(key) or NOT_SERVED.get(f"{key.rpartition('.')[0]}.*")
