"""Finds out by asking what the emulator does with each parameter: act upon it, let it pass, or refuse it.

A parameter that is acted upon shows when its value is nonsense: the answer is an error that names it, or a list that
changed. One that is let pass takes any nonsense. One that is refused is called unknown, or not available.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

from tests.emulator.contract.recording import Exchange, Record
from tests.emulator.contract.served import routes, served
from tests.emulator.contract.strict import item_of, models_of, wire_fields
from tests.emulator.contract.surface import Operation, operations

_NAME = re.compile(r"[a-z][a-z_0-9]{1,40}")
_REFUSALS = ("not available", "not supported", "not emulated", "cannot be changed")
_NONSENSE: list[Any] = [[1]]
_NONSENSE_TEXT = "zzz"
_HELPERS = "quntedge.gateway.emulator.api."
_NEEDED = {"promo_codes.list": "account_id", "users.list": "query"}
_NOBODYS = "nobody_knows_this"
_TOGETHER = 20
"""So many unknown parameters the emulator names in one answer."""


class Handling(StrEnum):
    """What the emulator does with a parameter."""

    ACTS = "acts"
    IGNORES = "ignores"
    REFUSES = "refuses"


@dataclass(frozen=True)
class Probe:
    """What became of one parameter of one operation."""

    operation: Operation
    name: str
    handling: Handling


class Inconclusive(Exception):
    """The emulator refused for another reason before it came to the parameter."""


def _message(response: httpx.Response) -> str:
    answer = response.json()
    return str(answer["error"]["message"]) if isinstance(answer, dict) and "error" in answer else ""


def _called_unknown(response: httpx.Response) -> set[str]:
    message = _message(response)
    return set(re.findall("`([^`]*)`", message)) if message.startswith("Unknown parameter") else set()


def _refused(name: str, response: httpx.Response) -> bool:
    message = _message(response)
    unavailable = f"`{name}`" in message and any(word in message for word in _REFUSALS)
    return response.status_code == 400 and (unavailable or name in _called_unknown(response))


def bases(record: Record) -> dict[str, Exchange]:
    """For each served operation the last request that went well, or at all: what probes are added to. Reads come
    first, so that no probe of a list sees what another probe has made."""
    found = {exchange.operation.key: exchange for exchange in record.exchanges if exchange.status != 401}
    found |= {exchange.operation.key: exchange for exchange in record.exchanges if exchange.status < 300}
    known = {key: found[key] for key in served() if key in found}
    return dict(sorted(known.items(), key=lambda item: item[1].operation.http_method != "GET"))


def _query(base: Exchange) -> dict[str, str]:
    needed = _NEEDED.get(base.operation.key)
    short = {"first": "5"} if "first" in base.operation.of_place("query") else {}
    return short if needed is None else {**short, needed: base.query[needed]}


async def _ask(api: httpx.AsyncClient, base: Exchange, given: dict[str, Any]) -> httpx.Response:
    """The base request once more with other parameters: in the query of reads and removals, else in the body."""
    method = base.operation.http_method
    if method in ("GET", "DELETE"):
        return await api.request(method, base.path, params={**_query(base), **given})
    return await api.request(method, base.path, json={**base.asked, **given})


async def _probe_operation(api: httpx.AsyncClient, base: Exchange) -> list[Probe]:
    """What becomes of each parameter of one operation. Raises `Inconclusive`."""
    found = []
    in_query = base.operation.http_method in ("GET", "DELETE")
    plain = await _ask(api, base, {}) if base.operation.http_method == "GET" else None
    for name in base.operation.of_place("query" if in_query else "body"):
        response = await _ask(api, base, {name: _NONSENSE_TEXT if in_query else _NONSENSE})
        named = response.status_code == 400 and f"`{name}`" in _message(response)
        changed = plain is not None and response.text != plain.text
        if _refused(name, response):
            found.append(Probe(base.operation, name, Handling.REFUSES))
        elif named or changed:
            found.append(Probe(base.operation, name, Handling.ACTS))
        elif response.status_code in (400, 404) and not (in_query and name.endswith("_id")):
            raise Inconclusive(f"{base.operation.key} {name}: {response.status_code} {_message(response)}")
        else:
            acts = response.status_code == 404
            found.append(Probe(base.operation, name, Handling.ACTS if acts else Handling.IGNORES))
    return found


@dataclass(frozen=True)
class _Inside:
    """A parameter that is an object, or a list of them, in a request that went well."""

    base: Exchange
    name: str
    members: frozenset[str]
    """What the SDK's models of the object have."""

    def asked_with(self, member: str, value: object) -> dict[str, Any]:
        """The body of the request with one member of the object set."""
        given = self.base.asked[self.name]
        if isinstance(given, list):
            return {**self.base.asked, self.name: [{**given[0], member: value}, *given[1:]]}
        return {**self.base.asked, self.name: {**given, member: value}}


def _insides(record: Record) -> dict[tuple[str, str], _Inside]:
    found = {}
    for exchange in record.exchanges:
        for name, parameter in exchange.operation.of_place("body").items():
            models = models_of(item_of(parameter.annotation))
            if exchange.status < 300 and models and exchange.asked.get(name):
                members = frozenset(member for model in models for member in wire_fields(model))
                found[exchange.operation.key, name] = _Inside(exchange, name, members)
    return found


async def _probe_inside(api: httpx.AsyncClient, inside: _Inside, member: str, value: object) -> Probe:
    """What becomes of one member of an object. Raises `Inconclusive`."""
    operation = inside.base.operation
    response = await api.request(operation.http_method, inside.base.path, json=inside.asked_with(member, value))
    message = _message(response)
    if _refused(member, response):
        handling = Handling.REFUSES
    elif response.status_code == 400:
        if f"`{member}`" not in message:
            raise Inconclusive(f"{operation.key} {inside.name}.{member}: {message}")
        handling = Handling.ACTS
    else:
        handling = Handling.IGNORES
    return Probe(operation, f"{inside.name}.{member}", handling)


async def probe_all(api: httpx.AsyncClient, record: Record, known: dict[str, Exchange]) -> list[Probe]:
    """Every parameter the SDK has for every served operation, and every member of those that are objects.

    Raises:
        Inconclusive: a request that had gone well is refused by now.
    """
    found = [one for base in known.values() for one in await _probe_operation(api, base)]
    for inside in _insides(record).values():
        found += [await _probe_inside(api, inside, member, _NONSENSE) for member in sorted(inside.members)]
    return found


def _spelled(operation: Operation) -> set[str]:
    """Every name the emulator could possibly read in this operation: what the code behind its route spells."""
    route = routes()[operation.http_method, operation.path]
    endpoint = getattr(route.endpoint, "func", route.endpoint)
    module = sys.modules[endpoint.__module__]
    helpers = {
        value.__module__
        for value in vars(module).values()
        if inspect.isfunction(value) and value.__module__.startswith(_HELPERS)
    }
    names: set[str] = set()
    for source in {module.__name__, *helpers}:
        tree = ast.parse(inspect.getsource(sys.modules[source]))
        spelled = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        names |= {value for value in spelled if isinstance(value, str) and _NAME.fullmatch(value)}
    return names


def _strangers(operation: Operation) -> Iterator[str]:
    """Everything this operation might take by mistake: no parameter of it, and yet spelled nearby."""
    place = "query" if operation.http_method == "GET" else "body"
    lists = {name for other in operations().values() for name in other.of_place("query")}
    nearby = _spelled(operation) | (lists if place == "query" else set())
    yield from sorted(nearby - operation.of_place(place).keys())


async def accepted_inside(api: httpx.AsyncClient, record: Record) -> dict[str, set[str]]:
    """As `accepted_strangers`, for parameters that are objects: whether they take a member nobody knows."""
    found: dict[str, set[str]] = {}
    for inside in _insides(record).values():
        probed = await _probe_inside(api, inside, _NOBODYS, None)
        if probed.handling is not Handling.REFUSES:
            found.setdefault(probed.operation.key, set()).add(probed.name)
    return found


async def accepted_strangers(api: httpx.AsyncClient, known: dict[str, Exchange]) -> dict[str, set[str]]:
    """What served operations take although the SDK has no such parameter, by the operation's key.

    Reads and removals of one object are passed over: they look at no parameters at all.
    """
    found: dict[str, set[str]] = {}
    for key, base in known.items():
        if base.status >= 300:
            continue  # never lets anybody in, so that nothing is read
        a_list = "after" in base.operation.of_place("query")
        if a_list or base.operation.http_method in ("POST", "PATCH"):
            strangers = list(_strangers(base.operation))
            for start in range(0, len(strangers), _TOGETHER):
                names = strangers[start : start + _TOGETHER]
                accepted = set(names) - await _unknown_of(api, base, names)
                if accepted:
                    found.setdefault(key, set()).update(accepted)
    return found


async def _unknown_of(api: httpx.AsyncClient, base: Exchange, names: Sequence[str]) -> set[str]:
    # Null is of every type: a parameter that is read takes it without a word, or says that it is required.
    value = _NONSENSE_TEXT if base.operation.http_method == "GET" else None
    response = await _ask(api, base, dict.fromkeys(names, value))
    if response.status_code >= 400 and not _called_unknown(response):
        raise Inconclusive(f"{base.operation.key} with {', '.join(names)}: {response.status_code} {_message(response)}")
    return _called_unknown(response)
