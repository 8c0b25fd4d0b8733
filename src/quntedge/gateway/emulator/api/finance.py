"""API: the account's balance. The feed of all its movements, and payouts; both can only be read."""

from datetime import UTC, date, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import answer, check_query, find, many, page, read_time, world_of
from quntedge.gateway.emulator.life.balance import movements
from quntedge.gateway.emulator.life.payouts import STATUSES
from quntedge.gateway.emulator.shapes import finance
from quntedge.gateway.emulator.state.finance_records import Line, Payout
from quntedge.gateway.emulator.wire.errors import bad_request
from quntedge.gateway.emulator.wire.values import JsonObject
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.paging import decode_cursor, encode_cursor

_MOST = 100
_DEFAULT = 20
_FILTERS = ("line_types", "direction", "resource_id", "payment_id", "activity_id", "currency")
_TIMES = ("posted_after", "posted_before", "available_after", "available_before")
_FLAGS = ("include_resource", "exclude_internal_movements")
_NOT_EMULATED = ("user_id", "include_owned_accounts", "balance_type", "withdrawal_id")
_PAYOUT_PAGING = ("first", "after", "last", "before", "created_after", "created_before", "account_id")
_SOURCES = ("api", "dashboard", "automatic")


async def list_activity(request: Request) -> Response:
    """GET /financial_activity: newest first, with a cursor of its own instead of the other lists' paging."""
    world, query = world_of(request), request.query_params
    check_query(request, ("account_id", "limit", "cursor", *_FILTERS, *_TIMES, *_FLAGS, *_NOT_EMULATED))
    for name in _NOT_EMULATED:
        if name in query:
            raise bad_request(f"`{name}` is not available here.")
    if query.get("direction") not in (None, "money_in", "money_out"):
        raise bad_request("`direction` must be money_in or money_out.")
    rich = _flag(request, "include_resource") is not False
    _flag(request, "exclude_internal_movements")
    earliest, latest = _instant(request, "posted_after"), _instant(request, "posted_before")
    first_day, last_day = _day(request, "available_after"), _day(request, "available_before")

    def during(at: datetime) -> bool:
        return (
            (earliest is None or at > earliest)
            and (latest is None or at < latest)
            and (first_day is None or at.date() >= first_day)
            and (last_day is None or at.date() <= last_day)
        )

    wanted = [line for line in movements(world.store, during) if _matches(request, line)]
    wanted.sort(key=_place, reverse=True)
    start, size = 0, _size(query.get("limit"))
    if "cursor" in query:
        mark = _cursor(query["cursor"])
        start = sum(_place(line) >= mark for line in wanted)
    shown = wanted[start : start + size]
    return answer(
        {
            "data": [finance.movement(world.store, line, rich=rich) for line in shown],
            "page_info": {
                "start_cursor": encode_cursor(*_place(shown[0])) if shown else None,
                "end_cursor": encode_cursor(*_place(shown[-1])) if shown else None,
                "has_next_page": start + size < len(wanted),
                "has_previous_page": start > 0,
            },
        }
    )


def _matches(request: Request, line: Line) -> bool:
    query = request.query_params
    kinds, direction = many(request, "line_types"), query.get("direction")
    return (
        (not kinds or line.line_type in kinds)
        and (direction is None or (line.units > 0) is (direction == "money_in"))
        and query.get("payment_id") in (None, line.payment_id)
        and query.get("resource_id") in (None, line.source[1])
        and query.get("activity_id") in (None, line.id)
        and query.get("currency") in (None, line.currency)
    )


def _place(line: Line) -> tuple[datetime, str]:
    return line.created_at, line.id


def _cursor(text: str) -> tuple[datetime, str]:
    try:
        return decode_cursor(text)
    except QuntedgeError as error:
        raise bad_request("`cursor` is not a cursor of this list.") from error


def _size(text: str | None) -> int:
    if text is None:
        return _DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= _MOST):
        raise bad_request(f"`limit` must be a whole number from 1 to {_MOST}.")
    return int(text)


def _flag(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name)
    if text not in (None, "true", "false"):
        raise bad_request(f"`{name}` must be true or false.")
    return None if text is None else text == "true"


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    return None if text is None else read_time(name, text)


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if "currency" not in request.query_params:
        raise bad_request(f"`{name}` requires `currency`.")
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise bad_request(f"`{name}` must be a day such as 2026-09-01.") from error


async def list_payouts(request: Request) -> Response:
    """GET /payouts: newest first."""
    world, query = world_of(request), request.query_params
    check_query(request, (*_PAYOUT_PAGING, "user_id", "currency", "status", "source", "payout_method_id"))
    if "user_id" in query:
        raise bad_request("`user_id` is not available here.")
    status, source = query.get("status"), query.get("source")
    if status is not None and status not in STATUSES:
        raise bad_request("`status` is no status of payouts.")
    if source is not None and source not in _SOURCES:
        raise bad_request("`source` must be api, dashboard or automatic.")
    rows = (
        made
        for made in world.store.tables.payouts.values()
        if status in (None, made.status)
        and source in (None, made.source)
        and query.get("currency") in (None, made.amount.currency)
        and "payout_method_id" not in query  # none is saved here, and an unknown one matches nothing
    )
    return page(request, rows, _shown)


def _shown(made: Payout) -> JsonObject:
    return finance.payout(made)


async def read_payout(request: Request) -> Response:
    """GET /payouts/{id}."""
    shown = finance.payout(find(world_of(request).store.tables.payouts, request, "Payout"))
    return answer(shown | {"timeline": []})


ROUTES = [
    Route("/financial_activity", list_activity),
    Route("/payouts", list_payouts),
    Route("/payouts/{id}", read_payout),
]
