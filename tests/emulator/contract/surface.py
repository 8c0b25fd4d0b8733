"""What the official SDK can ask: each operation with its path, its parameters and its answer, read from the SDK's code.

The SDK is generated, so that all its operations are written alike: a method of a `Raw…Client` that makes exactly one
request with literal path and method, and parses the answer by one type. What is read here is checked against what the
running emulator is really asked (`recording.py`), so that a misreading shows.
"""

import ast
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from whop_sdk import AsyncWhop, WhopEnvironment

_PATH_CALL = re.compile(r"\{encode_path_param\((\w+)\)\}")


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operation, under its name on the wire."""

    name: str
    place: str
    """`path`, `query` or `body`."""
    annotation: Any
    required: bool


@dataclass(frozen=True)
class Operation:
    """One method of one module of the SDK."""

    module: str
    name: str
    http_method: str
    path: str
    """Relative to the API's base, with `{}` for what varies."""
    parameters: tuple[Parameter, ...]
    answer: Any
    """The type the answer is parsed by; None when there is none."""
    errors: frozenset[int]
    """Statuses for which the SDK raises an error of its own class."""

    @property
    def key(self) -> str:
        """As one would call it: `payments.refund`."""
        return f"{self.module}.{self.name}"

    def of_place(self, place: str) -> dict[str, Parameter]:
        """The parameters of one place, by name."""
        return {parameter.name: parameter for parameter in self.parameters if parameter.place == place}


MODULES = (
    "accounts",
    "accounts.preferences",
    "products",
    "variants",
    "plans",
    "checkout_configurations",
    "payment_quotes",
    "confirmation_tokens",
    "memberships",
    "payments",
    "payment_methods",
    "setup_intents",
    "refunds",
    "disputes",
    "dispute_alerts",
    "files",
    "resolution_center_cases",
    "invoices",
    "promo_codes",
    "members",
    "users",
    "webhooks",
    "exports",
    "financial_activity",
    "payouts",
    "access_tokens",
    "api_keys",
)
"""The modules a seller's billing has to do with; reading the code of the others would take seconds."""


def client_without_server() -> AsyncWhop:
    """A client to look at, not to call."""
    return AsyncWhop(token="none", environment=WhopEnvironment(api="http://x.invalid", vault="http://x.invalid"))


def other_modules() -> list[str]:
    """Top modules of the SDK that `MODULES` leaves out."""
    found = {name for name, value in vars(AsyncWhop).items() if isinstance(value, property)}
    return sorted(found - set(MODULES) - {"with_raw_response"})


def _request_call(tree: ast.AST) -> ast.Call | None:
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "request"
    ]
    return calls[0] if len(calls) == 1 else None


def _names(node: ast.expr | None) -> dict[str, str]:
    """Of `{"wire": python_name}`: wire name by python name."""
    if not isinstance(node, ast.Dict):
        return {}
    found = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant):
            continue
        names = [part.id for part in ast.walk(value) if isinstance(part, ast.Name)]
        found[next((name for name in names if name == key.value), names[-1])] = str(key.value)
    return found


def _answer_type(tree: ast.AST, module: dict[str, Any]) -> Any:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "parse_obj_as":
            for keyword in node.keywords:
                if keyword.arg == "type_":
                    return eval(compile(ast.Expression(keyword.value), "<sdk>", "eval"), module)
    return None


def _of_models(annotation: Any) -> list[Parameter]:
    """The members of a body that is given as one model, or as one of several."""
    models = typing.get_args(annotation) or (annotation,)
    found: dict[str, Parameter] = {}
    for model in models:
        for name, field in model.model_fields.items():
            everywhere = all(name in other.model_fields for other in models)
            found.setdefault(name, Parameter(name, "body", field.annotation, field.is_required() and everywhere))
    return list(found.values())


def _error_statuses(tree: ast.AST) -> frozenset[int]:
    """The numbers `_response.status_code` is compared with for equality."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
            (right,) = node.comparators
            if isinstance(right, ast.Constant) and isinstance(right.value, int):
                found.add(right.value)
    return frozenset(found)


def _operation(module: str, tree: ast.AsyncFunctionDef | ast.FunctionDef, method: Any) -> Operation | None:
    call = _request_call(tree)
    if call is None or not call.args:
        return None
    path = ast.unparse(call.args[0]).removeprefix("f").strip("'\"")
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    space = vars(sys.modules[method.__module__])
    hints = typing.get_type_hints(method, space)
    signature = inspect.signature(method)
    places = {argument: ("path", argument) for argument in _PATH_CALL.findall(path)}
    places |= {argument: ("query", wire) for argument, wire in _names(keywords.get("params")).items()}
    places |= {argument: ("body", wire) for argument, wire in _names(keywords.get("json")).items()}
    parameters = [
        Parameter(wire, place, hints[argument], signature.parameters[argument].default is inspect.Parameter.empty)
        for argument, (place, wire) in places.items()
    ]
    if "request" in signature.parameters:
        parameters += _of_models(hints["request"])
    verb = keywords["method"]
    assert isinstance(verb, ast.Constant)
    return Operation(
        module=module,
        name=tree.name,
        http_method=str(verb.value),
        path=_PATH_CALL.sub("{}", path),
        parameters=tuple(parameters),
        answer=_answer_type(tree, space),
        errors=_error_statuses(tree),
    )


def _operations_of(module: str, client: Any) -> Iterator[Operation]:
    raw = type(client.with_raw_response)
    source = ast.parse(inspect.getsource(sys.modules[raw.__module__]))
    (body,) = (node.body for node in source.body if isinstance(node, ast.ClassDef) and node.name == raw.__name__)
    for method in body:
        if isinstance(method, ast.AsyncFunctionDef | ast.FunctionDef) and not method.name.startswith("_"):
            operation = _operation(module, method, getattr(raw, method.name))
            if operation is not None:
                yield operation


@cache
def operations() -> dict[str, Operation]:
    """The operations of `MODULES` by key, in the order of the SDK's code within each module."""
    found: dict[str, Operation] = {}
    for module in MODULES:
        client: Any = client_without_server()
        for name in module.split("."):
            client = getattr(client, name)
        found |= {operation.key: operation for operation in _operations_of(module, client)}
    return found


def asked(method: str, path: str) -> Operation | None:
    """The operation whose request this is; the one with the fewest variable parts when several match."""
    parts = path.split("/")
    found = [
        operation
        for operation in operations().values()
        if operation.http_method == method and _matches(operation.path.split("/"), parts)
    ]
    return min(found, key=lambda operation: operation.path.count("{}"), default=None)


def _matches(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(one in ("{}", part) for one, part in zip(pattern, parts, strict=True))
