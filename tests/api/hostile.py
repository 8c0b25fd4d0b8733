"""What a hostile client would send to an operation of the API, worked out from its description."""

import copy
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import jsonschema_rs

UNKNOWN = "usr_01k4a2f0e8f9xa3s6m1q2r7v5z"
TEXTS = [
    "",
    "\x00",
    "a\x00b",
    "😀",
    "x" * 10_000,
    "\u202e",
    "' OR 1=1 --",
    "..\\..\\etc\\passwd",
    "%00",
    "-1",
    "0",
    "NaN",
    "1e2",
    "10.001",
    "１０",
    str(10**18),
    "2026-02-30",
    "9999-12-31T23:59:59Z",
    "0001-01-01",
    UNKNOWN,
]
LITERALS = [
    *("-1", "0", "NaN", "Infinity", "1e2", "1e400", "10.001", "10.0", str(10**18), "9" * 5_000),
    *("true", "null", "[]", "{}", "[[[[1]]]]", '{"a": {"b": 1}}', '"\\ud800"', '"\\u0000"'),
    *(json.dumps(one) for one in TEXTS),
]
BODIES = [b"", b"{", b"null", b"[]", b"1", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"{}x", b"[" * 100_000]
KEYS = [None, "", " ", "a b", "x" * 256, "é", "a\tb"]


@dataclass(frozen=True, slots=True)
class Attack:
    """One request. `refused` says that nothing but a 4xx will do; otherwise it may be a fair wish."""

    what: str
    path: str
    query: str = ""
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: bool = True

    @property
    def is_nowhere(self) -> bool:
        """Whether nothing can be at its path, whatever the description says of the route."""
        return "%00" in self.path

    @property
    def url(self) -> str:
        """The address with its query."""
        return f"{self.path}?{self.query}" if self.query else self.path


class Operation:
    """One operation of the description, and the ways to ask it wrongly."""

    def __init__(self, document: Mapping[str, Any], method: str, path: str) -> None:
        self.method, self.path = method.upper(), path
        self._found = document["paths"][path][method]
        self._components = document["components"]
        self._parameters = self._found.get("parameters", [])
        content = self._found.get("requestBody", {}).get("content", {})
        self._schema = next(iter(content.values()))["schema"] if content else None
        self.is_keyed = any(one["name"] == "Idempotency-Key" for one in self._parameters)

    @property
    def answers(self) -> set[int]:
        """The statuses that the description names."""
        return {int(status) for status in self._found["responses"]}

    def attacks(self) -> Iterator[Attack]:
        """All of them. Of an unsafe operation only those that have to be refused: nothing may come of the walk."""
        for attack in self._attacks():
            if attack.refused or self.method == "GET":
                yield attack

    def _attacks(self) -> Iterator[Attack]:
        body = self._example(self._schema) if self._schema is not None else None
        content = None if body is None else json.dumps(body).encode()
        for name, value in itertools.product(self._names("path"), TEXTS[1:]):
            # What is put somewhere may be new, and anything may be its name.
            refused = self.method != "PUT" or "\0" in value
            yield Attack(f"{name} {value[:30]!r}", self._at({name: value}), content=content, refused=refused)
        here = self._at({})
        for name in self._names("query"):
            for value in TEXTS:
                query = f"{name}={quote(value, safe='')}"
                yield Attack(f"?{query[:40]}", here, query, content, refused="\0" in value)
            yield Attack(f"?{name}= no UTF-8", here, f"{name}=%ff%fe", content, refused=False)
        if self._schema is not None:
            yield from self._bodies(here, body)
        for key in KEYS if self.is_keyed else ():
            headers = {} if key is None else {"Idempotency-Key": key}
            yield Attack(f"key {str(key)[:20]!r}", here, content=content, headers=headers)

    def _bodies(self, here: str, body: Any) -> Iterator[Attack]:
        validator = jsonschema_rs.validator_for({**(self._schema or {}), "components": self._components})

        def attack(what: str, content: bytes) -> Attack:
            return Attack(what, here, content=content, refused=not _fits(validator, content))

        for place, literal in itertools.product(_places(body), LITERALS):
            yield attack(f"{'.'.join(place)} is {literal[:30]}", _put(body, place, literal))
        for raw in BODIES:
            yield attack(f"body {raw[:10]!r}", raw)
        yield attack("a member too many", json.dumps({**body, "surprise": 1}).encode())
        for name in body:
            rest = {key: value for key, value in body.items() if key != name}
            yield attack(f"without {name}", json.dumps(rest).encode())
            twice = f"{json.dumps(body)[:-1]}, {json.dumps(name)}: {json.dumps(body[name])}}}"
            yield Attack(f"{name} twice", here, content=twice.encode())

    def _names(self, where: str) -> list[str]:
        return [one["name"] for one in self._parameters if one["in"] == where]

    def _at(self, values: Mapping[str, str]) -> str:
        path = self.path
        for name in self._names("path"):
            path = path.replace(f"{{{name}}}", quote(values.get(name, "nothere"), safe=""))
        return path

    def _example(self, schema: Mapping[str, Any]) -> Any:
        """Something that fits, or nearly."""
        while "$ref" in schema:
            schema = self._components["schemas"][schema["$ref"].rpartition("/")[2]]
        if schema.get("examples"):
            return copy.deepcopy(schema["examples"][0])
        if schema.get("default") is not None:
            return schema["default"]
        for kind in ("anyOf", "oneOf", "allOf"):
            if kind in schema:
                return self._example(schema[kind][0])
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "object":
                return {name: self._example(one) for name, one in schema.get("properties", {}).items()}
            case "array":
                return [self._example(schema["items"])]
            case "integer":
                return schema.get("minimum", 1)
            case "boolean":
                return True
            case _:
                return {"date-time": "2026-09-01T00:00:00Z", "date": "2026-09-01"}.get(schema.get("format", ""), "abc")


def _places(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield (*place, name)
            yield from _places(one, (*place, name))


def _put(body: Any, place: tuple[str, ...], literal: str) -> bytes:
    changed = copy.deepcopy(body)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = "@@here@@"
    return json.dumps(changed).replace('"@@here@@"', literal).encode()


def _fits(validator: Any, content: bytes) -> bool:
    """Whether the description allows this body."""
    try:
        return bool(validator.is_valid(json.loads(content, parse_constant=_no_json)))
    except (ValueError, RecursionError):
        return False


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
