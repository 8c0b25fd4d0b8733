"""API: the account, and its preferences as far as they concern subscriptions."""

from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import PAGING, Fields, answer, check_account, check_query, world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.shapes.sellers import ACCOUNT_ROUTE
from quntedge.gateway.emulator.wire.errors import bad_request, conflict, not_found
from quntedge.gateway.emulator.wire.values import JsonObject, iso

SETTLEMENT_CHANGES_EVERY = timedelta(days=7)
_CURRENCIES = ("usd", "eur", "gbp", "cad", "aud")
CANCEL_CATEGORIES = (
    "too_expensive",
    "switching",
    "missing_features",
    "technical_issues",
    "bad_experience",
    "unused",
    "other",
)
_MOST_OPTIONS = 50
_UNUSED = (
    "ads_certifications",
    "ads_payment_methods",
    "ads_reporting_currency",
    "ads_scheduling_timezone",
    "ads_triple_whale_integration",
    "cards_auto_top_up",
    "cards_notifications",
    "dispute_fighter_enabled",
    "economic_intelligence_auto_renew",
    "economic_intelligence_duration_key",
)


async def me(request: Request) -> Response:
    """GET /accounts/me: the account of the key."""
    check_query(request, ("include_trading",))
    return answer(world_of(request).sellers.account())


async def account(request: Request) -> Response:
    """GET /accounts/{id}, by id or public route; 404 for any but ours."""
    check_query(request, ("include_trading",))
    world = world_of(request)
    if request.path_params["id"] not in (world.config.account_id, ACCOUNT_ROUTE):
        raise not_found("Account")
    return answer(world.sellers.account())


async def list_accounts(request: Request) -> Response:
    """GET /accounts: the one account there is, which has no connected ones."""
    check_query(request, (*PAGING, "status", "query", "volume_min", "volume_max", "parent_account_id", "owner_id"))
    world, query = world_of(request), request.query_params
    wanted = query.get("query", "").casefold() in f"{world.config.account_title} {world.config.account_id}".casefold()
    elsewhere = query.get("status") == "suspended" or "parent_account_id" in query
    shown = [world.sellers.account()] if wanted and not elsewhere else []
    info = {"start_cursor": None, "end_cursor": None, "has_next_page": False, "has_previous_page": False}
    return answer({"data": shown, "page_info": info})


async def read_preferences(request: Request) -> Response:
    """GET /accounts/{id}/preferences."""
    check_account(request, request.path_params["id"])
    return answer(_shape(world_of(request)))


async def change_preferences(request: Request) -> Response:
    """PATCH: what is given is replaced as a whole, the rest stays."""
    check_account(request, request.path_params["id"])
    world, fields = world_of(request), await Fields.of(request)
    known = world.store.tables.preferences
    fresh: dict[str, Any] = {}
    if fields.has("subscription_failure_behavior"):
        fresh["subscription_failure_behavior"] = fields.choice(
            "subscription_failure_behavior", ("cancel", "none"), world.failure_behavior
        )
    if fields.has("feedback_options"):
        fresh["feedback_options"] = _options(world, fields)
    if fields.has("preferred_settlement_currency"):
        currency = fields.text("preferred_settlement_currency")
        if currency is not None and currency not in _CURRENCIES:
            raise bad_request(f"`preferred_settlement_currency` must be one of {', '.join(_CURRENCIES)}, or null.")
        if currency != known.get("preferred_settlement_currency"):
            _check_changeable(world)
            fresh["preferred_settlement_currency"] = currency
            fresh["settlement_changeable_at"] = iso(world.now() + SETTLEMENT_CHANGES_EVERY)
    fields.done(*_UNUSED)
    for option in fresh.get("feedback_options", ()):
        option["id"] = option["id"] or world.store.new_id("fo")
    known.update(fresh)
    world.store.changes += 1
    return answer(_shape(world))


def _options(world: World, fields: Fields) -> list[JsonObject]:
    """The account's own reasons to cancel. Those with an id are kept, those without are new."""
    options = fields.objects("feedback_options") or []
    if len(options) > _MOST_OPTIONS:
        raise bad_request(f"`feedback_options` may have at most {_MOST_OPTIONS} entries.")
    known = {option["id"] for option in world.store.tables.preferences.get("feedback_options", ())}
    read: list[JsonObject] = []
    for option in options:
        option_id = option.text("id")
        if option_id is not None and option_id not in known:
            raise not_found("Feedback option")
        category, label = option.needed_text("category"), option.needed_text("label", longest=100)
        if category not in CANCEL_CATEGORIES:
            raise bad_request(f"`category` must be one of {', '.join(CANCEL_CATEGORIES)}.")
        option.done()
        read.append({"id": option_id, "category": category, "label": label})
    return read


def _changeable_at(world: World) -> datetime | None:
    """When the settlement currency may change next; None when it may now."""
    text = world.store.tables.preferences.get("settlement_changeable_at")
    at = None if text is None else datetime.fromisoformat(text)
    return at if at is not None and at > world.now() else None


def _check_changeable(world: World) -> None:
    at = _changeable_at(world)
    if at is not None:
        raise conflict(f"`preferred_settlement_currency` can be changed again at {iso(at)}.")


def _shape(world: World) -> JsonObject:
    known = world.store.tables.preferences
    changeable = _changeable_at(world)
    return {
        "ads_agreement": {
            "accepted_at": None,
            "agreement_version": None,
            "printed_name": None,
            "status": "not_required",
        },
        "ads_certifications": [],
        "ads_payment_methods": None,
        "ads_reporting_currency": "usd",
        "ads_scheduling_timezone": "America/New_York",
        "ads_triple_whale_integration": {"masked_api_key": None, "shop_domain": None, "status": "not_connected"},
        "cards_auto_top_up": False,
        "cards_notifications": True,
        "dispute_fighter_enabled": False,
        "economic_intelligence": False,
        "economic_intelligence_auto_renew": False,
        "economic_intelligence_ends_at": None,
        "economic_intelligence_fee_percentage": None,
        "economic_intelligence_first_renewal_at": None,
        "economic_intelligence_offers": [],
        "economic_intelligence_previous_period": None,
        "feedback_options": known.get("feedback_options", []),
        "preferred_settlement_currency": known.get("preferred_settlement_currency"),
        "preferred_settlement_currency_changeable_at": None if changeable is None else iso(changeable),
        "subscription_failure_behavior": world.failure_behavior,
    }


ROUTES = [
    Route("/accounts", list_accounts),
    Route("/accounts/me", me),
    Route("/accounts/{id}", account),
    Route("/accounts/{id}/preferences", read_preferences),
    Route("/accounts/{id}/preferences", change_preferences, methods=["PATCH"]),
]
