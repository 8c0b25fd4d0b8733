"""What is wrong with a request that does not fit its description: which field, and how to mend it."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

from quntedge.edge.errors import InvalidJson
from quntedge.kit.errors import FieldError, Malformed, QuntedgeError

_SHOWN = 20
_IN_DETAIL = 3
_LONGEST_NAME = 64
_PLACES = ("body", "query", "header", "path", "cookie")

# The library puts the kinds of value it tried among the names: `amount.int`, `amount.constrained-str`, `list[str]`.
_KINDS = frozenset({"str", "int", "float", "bool", "bytes", "dict", "list", "date", "datetime", "decimal", "none"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_TYPES = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "list": "a list",
    "date": "a day, as 2026-10-01",
    "datetime": "a time, as 2026-10-01T12:00:00Z",
}
_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "this is required",
    "extra_forbidden": lambda _: "there is no such field",
    "model_attributes_type": lambda _: "this must be a JSON object, sent with Content-Type: application/json",
    "dict_type": lambda _: "this must be a JSON object, sent with Content-Type: application/json",
    "int_from_float": lambda _: "this must be a whole number",
    "int_parsing_size": lambda _: "this number is too large",
    "timezone_aware": lambda _: "give the time with its zone, as 2026-10-01T12:00:00Z",
    "timezone_naive": lambda _: "give the time without a zone",
    "literal_error": lambda limits: f"this must be {limits['expected']}",
    "enum": lambda limits: f"this must be {limits['expected']}",
    "string_too_short": lambda limits: f"this needs {_count(limits['min_length'], 'character')} or more",
    "string_too_long": lambda limits: f"this may have {_count(limits['max_length'], 'character')} at most",
    "too_short": lambda limits: f"this needs {_count(limits['min_length'], 'item')} or more",
    "too_long": lambda limits: f"this may have {_count(limits['max_length'], 'item')} at most",
    "greater_than": lambda limits: f"this must be more than {limits['gt']}",
    "greater_than_equal": lambda limits: f"this must be {limits['ge']} or more",
    "less_than": lambda limits: f"this must be less than {limits['lt']}",
    "less_than_equal": lambda limits: f"this may be {limits['le']} at most",
    "string_pattern_mismatch": lambda limits: f"this must have the form {limits['pattern']}",
    "value_error": lambda limits: str(limits["error"]),
}


def explained(error: RequestValidationError) -> QuntedgeError:
    """The problem for a request that does not fit: each field by its path, as `lines[2].amount`, and what it must be.

    What was sent is never repeated.
    """
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return InvalidJson("The body could not be read as JSON. Send one JSON object in UTF-8.")
    fields: list[FieldError] = [
        {"field": _path(item["loc"], str(item["type"])), "message": _message(item)} for item in found[:_SHOWN]
    ]
    detail = "; ".join(f"{item['field']}: {item['message']}" for item in fields[:_IN_DETAIL])
    if len(found) > _IN_DETAIL:
        detail += f"; and {len(found) - _IN_DETAIL} more"
    return Malformed(detail, errors=fields)


def _path(location: Sequence[str | int], kind: str) -> str:
    """The path of a field. The first part says where it was (body, query …); where there are more, they do."""
    parts = location[1:] if len(location) > 1 and location[0] in _PLACES else location
    path = ""
    for position, part in enumerate(parts):
        if isinstance(part, int):
            path += f"[{part}]"
        elif _is_name(part, first=position == 0, sent=kind == "extra_forbidden" and position == len(parts) - 1):
            path += f".{part[:_LONGEST_NAME]}" if path else part[:_LONGEST_NAME]
    return path


def _is_name(part: str, *, first: bool, sent: bool) -> bool:
    """Whether a part is a name, and no kind of value. One that the sender made up may look like anything."""
    return first or sent or (part not in _KINDS and _NAME.fullmatch(part) is not None)


def _message(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    sentence = _SENTENCES.get(kind)
    if sentence is not None:
        return sentence(item.get("ctx", {}))
    # string_type, int_parsing, bool_parsing, datetime_from_date_parsing …
    wanted = _TYPES.get(kind.partition("_")[0])
    return f"this must be {wanted}" if wanted is not None else str(item["msg"])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
