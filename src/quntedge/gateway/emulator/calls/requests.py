"""Reading requests strictly and answering in Whop's form."""

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.state.records import Metadata, Record
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request, not_found
from quntedge.gateway.emulator.wire.values import JsonObject
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.money import InvalidMoney, Money
from quntedge.kit.paging import decode_cursor, encode_cursor

R = TypeVar("R", bound=Record)
MAX_BODY_BYTES = 256 * 1024
_MOST_NAMED = 20


def runtime_of(request: Request) -> Runtime:
    """The emulator a request is for."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def world_of(request: Request) -> World:
    """The world a request is for."""
    return runtime_of(request).world


def answer(data: object, status: int = 200) -> Response:
    """A JSON answer."""
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(body, status, media_type="application/json")


def fault_answer(fault: ApiFault) -> Response:
    """A fault as Whop would answer it."""
    response = answer(fault.body(), fault.status)
    response.headers.update(fault.headers)
    return response


def find(table: dict[str, R], request: Request, what: str) -> R:
    """The record named in the path; 404 when there is none."""
    record = table.get(request.path_params["id"])
    if record is None:
        raise not_found(what)
    return record


class Fields:
    """A JSON object whose members are taken one by one; what nobody took is refused as unknown."""

    def __init__(self, values: JsonObject) -> None:
        self._left = dict(values)

    @classmethod
    async def of(cls, request: Request) -> "Fields":
        """Reads the body; an empty one is an empty object. Raises ApiFault 400 for anything but a JSON object."""
        raw = await request.body()
        if len(raw) > MAX_BODY_BYTES:
            raise ApiFault(413, "payload_too_large", "The request body is too large.")
        if not raw.strip():
            return cls({})
        try:
            values = json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise bad_request("The request body is not valid JSON.") from error
        if not isinstance(values, dict):
            raise bad_request("The request body must be a JSON object.")
        return cls(values)

    def names(self) -> list[str]:
        """The members nobody has taken yet."""
        return list(self._left)

    def put(self, name: str, value: object) -> None:
        """Adds a member that was not given."""
        self._left[name] = value

    def has(self, name: str) -> bool:
        """Whether the member was given, null included."""
        return name in self._left

    def _take(self, name: str, kind: type | tuple[type, ...], wanted: str, *, required: bool) -> Any:
        value = self._left.pop(name, None)
        if value is None:
            if required:
                raise bad_request(f"`{name}` is required.")
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise bad_request(f"`{name}` must be {wanted}.")
        return value

    def text(self, name: str, *, required: bool = False, longest: int = 1000) -> str | None:
        """A string of at most `longest` characters; None when absent."""
        value: str | None = self._take(name, str, "a string", required=required)
        if value is not None and (len(value) > longest or not _is_storable(value)):
            raise bad_request(f"`{name}` must be text of at most {longest} characters.")
        if required and not str(value).strip():
            raise bad_request(f"`{name}` must not be empty.")
        return value

    def needed_text(self, name: str, *, longest: int = 1000) -> str:
        """A string that must be there and not be empty."""
        return str(self.text(name, required=True, longest=longest))

    def choice(self, name: str, options: Collection[str], default: str) -> str:
        """One of `options`, or `default` when absent."""
        value = self.text(name)
        if value is None:
            return default
        if value not in options:
            raise bad_request(f"`{name}` must be one of {', '.join(options)}.")
        return value

    def flag(self, name: str) -> bool | None:
        """true or false; None when absent."""
        value: bool | None = self._take(name, bool, "true or false", required=False)
        return value

    def integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number within bounds; None when absent."""
        value = self._take(name, (int, Decimal), "a whole number", required=False)
        if value is None:
            return None
        if not least <= value <= most or value != int(value):  # the range first: it refuses 1e999999 cheaply
            raise bad_request(f"`{name}` must be a whole number from {least} to {most}.")
        return int(value)

    def amount(self, name: str, currency: str, *, required: bool = False) -> Money | None:
        """A JSON number in major units."""
        value = self._take(name, (int, Decimal), "a number", required=required)
        if value is None:
            return None
        try:
            return Money.parse(value, currency)
        except InvalidMoney as error:
            raise bad_request(f"`{name}` is not an amount of {currency}: {error}") from error

    def decimal(self, name: str) -> Decimal | None:
        """An exact number below 10^12 in size; None when absent."""
        value = self._take(name, (int, Decimal), "a number", required=False)
        if value is None:
            return None
        if not abs(value) < 10**12:
            raise bad_request(f"`{name}` is out of range.")
        return Decimal(value)

    def currency(self, name: str, default: str = "usd") -> str:
        """A known ISO 4217 code in lower case."""
        code = self.text(name) or default
        try:
            return Money.zero(code.lower()).currency
        except InvalidMoney as error:
            raise bad_request(f"`{name}` is not a known currency.") from error

    def metadata(self, name: str = "metadata") -> Metadata | None:
        """At most 50 entries, keys up to 100 and values up to 500 characters."""
        value: Metadata | None = self._take(name, dict, "an object", required=False)
        if value is None:
            return None
        if len(value) > 50:
            raise bad_request(f"`{name}` may have at most 50 keys.")
        try:
            for key, item in value.items():
                text = item if isinstance(item, str) else json.dumps(item, default=str, ensure_ascii=False)
                if len(key) > 100 or len(text) > 500 or not _is_storable(key + text):
                    raise bad_request(f"`{name}`: keys may have 100 and values 500 characters.")
            return json.loads(json.dumps(value, default=_plain_number))  # type: ignore[no-any-return]
        except (ValueError, RecursionError) as error:
            raise bad_request(f"`{name}` has values that cannot be kept.") from error

    def time(self, name: str) -> datetime | None:
        """An ISO 8601 time with zone, in UTC; None when absent."""
        value = self.text(name)
        return None if value is None else read_time(name, value)

    def texts(self, name: str) -> list[str] | None:
        """A list of strings; None when absent."""
        value: list[Any] | None = self._take(name, list, "a list", required=False)
        if value is not None and not all(isinstance(item, str) and _is_storable(item) for item in value):
            raise bad_request(f"`{name}` must be a list of strings.")
        return value

    def object(self, name: str) -> "Fields | None":
        """A nested object, to be read like this one; None when absent."""
        value: JsonObject | None = self._take(name, dict, "an object", required=False)
        return None if value is None else Fields(value)

    def objects(self, name: str) -> "list[Fields] | None":
        """A list of objects, each to be read like this one; None when absent."""
        value: list[Any] | None = self._take(name, list, "a list", required=False)
        if value is not None and not all(isinstance(item, dict) for item in value):
            raise bad_request(f"`{name}` must be a list of objects.")
        return None if value is None else [Fields(item) for item in value]

    def done(self, *accepted: str) -> None:
        """Ends the reading. `accepted` are members Whop knows and the emulator does not act upon."""
        _refuse_unknown([name for name in self._left if name not in accepted])


def _refuse_unknown(names: list[str]) -> None:
    if names:
        shown = ", ".join(f"`{name[:100]}`" for name in names[:_MOST_NAMED])
        raise bad_request(f"Unknown parameter{'s' if len(names) > 1 else ''} {shown}.")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _plain_number(value: object) -> float:
    if isinstance(value, Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError("a number beyond what JSON readers hold")
        return number
    raise TypeError(f"{type(value).__name__} is not JSON")


def _is_storable(text: str) -> bool:
    """Refuses lone surrogates, which JSON can spell and UTF-8 cannot carry."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def read_time(name: str, text: str) -> datetime:
    """An ISO 8601 time with zone. Raises ApiFault 400."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"`{name}` must be an ISO 8601 time with a zone.") from error


def check_account(request: Request, given: str | None) -> None:
    """404 for an account other than ours: a key sees only its own."""
    if given is not None and given != world_of(request).config.account_id:
        raise not_found("Account")


def check_query(request: Request, known: Collection[str]) -> None:
    """400 for a query parameter this list does not know, and 404 for a foreign account."""
    _refuse_unknown([name for name in request.query_params if name.removesuffix("[]") not in known])
    check_account(request, request.query_params.get("account_id"))


def many(request: Request, *names: str) -> list[str]:
    """All values of a filter that may be repeated and may be spelled in several ways."""
    values: list[str] = []
    for name in names:
        values += request.query_params.getlist(name) + request.query_params.getlist(f"{name}[]")
    return values


PAGING = ("first", "after", "last", "before", "order", "direction", "created_after", "created_before", "account_id")


def by_creation(row: Record) -> datetime:
    """The order every list has."""
    return row.created_at


def page(
    request: Request,
    rows: Iterable[R],
    render: Callable[[R], object],
    orders: Mapping[str, Callable[[R], datetime]] | None = None,
) -> Response:
    """Answers a list in Whop's form: by time of creation, newest first unless `direction=asc`.

    `orders` names what else the list can be sorted by with `order`, and gives each row's place in that order.
    """
    query = request.query_params
    order = query.get("order", "created_at")
    time_of: Callable[[R], datetime] | None = by_creation if order == "created_at" else (orders or {}).get(order)
    if time_of is None:
        raise bad_request(f"`order` must be one of {', '.join(['created_at', *(orders or {})])}.")

    def place(row: R) -> tuple[datetime, str]:
        return time_of(row), row.id

    after_time, before_time = query.get("created_after"), query.get("created_before")
    earliest = None if after_time is None else read_time("created_after", after_time)
    latest = None if before_time is None else read_time("created_before", before_time)
    direction = query.get("direction", "desc")
    if direction not in ("asc", "desc"):
        raise bad_request("`direction` must be asc or desc.")
    kept = sorted(
        (
            row
            for row in rows
            if (earliest is None or row.created_at > earliest) and (latest is None or row.created_at < latest)
        ),
        key=place,
        reverse=direction == "desc",
    )
    start, stop = _window(request, [place(row) for row in kept], descending=direction == "desc")
    shown = kept[start:stop]
    return answer(
        {
            "data": [render(row) for row in shown],
            "page_info": {
                "start_cursor": encode_cursor(*place(shown[0])) if shown else None,
                "end_cursor": encode_cursor(*place(shown[-1])) if shown else None,
                "has_next_page": stop < len(kept),
                "has_previous_page": start > 0,
            },
        }
    )


def _window(request: Request, places: list[tuple[datetime, str]], *, descending: bool) -> tuple[int, int]:
    query = request.query_params
    start, stop = 0, len(places)
    if "after" in query:
        mark = _read_cursor(query["after"], "after")
        start = sum(place == mark or (place > mark) is descending for place in places)
    if "before" in query:
        mark = _read_cursor(query["before"], "before")
        stop = sum(place != mark and (place > mark) is descending for place in places)
    if "last" in query:
        start = max(start, stop - _size(query["last"], "last"))
    else:
        stop = min(stop, start + _size(query.get("first", "20"), "first"))
    return start, max(start, stop)


def _read_cursor(text: str, name: str) -> tuple[datetime, str]:
    try:
        return decode_cursor(text)
    except QuntedgeError as error:
        raise bad_request(f"`{name}` is not a cursor of this list.") from error


def _size(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100):
        raise bad_request(f"`{name}` must be a whole number from 1 to 100.")
    return int(text)
