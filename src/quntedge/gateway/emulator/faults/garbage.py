"""Answers that cannot be right: what proxies, half-written bodies and confused servers send under a good status."""

import json
import random

_PAGE = b"<!doctype html><title>502</title><h1>Bad gateway</h1><p>The upstream server did not answer.</p>"
KINDS = ("", "html", "empty", "truncated", "null", "list", "wrong_types", "binary")
"""`""` stands for a kind drawn from the rule's seed."""


def spoil(body: bytes, kind: str, draw: random.Random) -> tuple[bytes, str]:
    """A bad body in place of a good one, and its content type."""
    kind = kind or draw.choice(KINDS[1:])
    json_type = "application/json"
    match kind:
        case "html":
            return _PAGE, "text/html; charset=utf-8"
        case "empty":
            return b"", json_type
        case "truncated":
            return body[: len(body) // 2], json_type
        case "null":
            return b"null", json_type
        case "list":
            return b"[]", json_type
        case "wrong_types":
            return _confused(body), json_type
        case _:
            return draw.randbytes(200), "application/octet-stream"


def _confused(body: bytes) -> bytes:
    """The right members with values of other types."""
    try:
        document = json.loads(body)
    except ValueError:
        return b"{}"
    if not isinstance(document, dict):
        return b"{}"
    swapped: dict[str, object] = {}
    for name, value in document.items():
        swapped[name] = 17 if isinstance(value, str) else str(value)
    return json.dumps(swapped).encode()
