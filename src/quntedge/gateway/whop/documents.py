"""Reading JSON text without losing exact amounts."""

import json
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from quntedge.gateway.port import UnusableEvent


def load_json(body: bytes | str) -> object:
    """Parses JSON with every fractional number as an exact `Decimal`.

    Raises `UnusableEvent("not_json")` for anything that is no JSON: bad UTF-8, NaN or Infinity, numbers of absurd
    length and nesting deeper than Python's recursion limit included.
    """
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
        document: object = _DECODER.decode(text)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise UnusableEvent("not_json", f"the body is no JSON ({type(error).__name__})") from error
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


# One for all: `json.loads` would build a decoder for each document.
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
