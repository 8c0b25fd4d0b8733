"""What the program knows about itself: routes, commands, errors, metrics. The documentation is made from this."""

import base64
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any

import typer
from fastapi.routing import iter_route_contexts
from prometheus_client.metrics import MetricWrapperBase

import quntedge
from quntedge.cli import app as command_line
from quntedge.commands.examples import EXAMPLES
from quntedge.duties import build_worker
from quntedge.edge.app import Application
from quntedge.edge.callers import Stamp
from quntedge.edge.walk import walk
from quntedge.jobs.ticker import Sweep
from quntedge.kit import metrics
from quntedge.kit.crypto import new_key
from quntedge.kit.errors import QuntedgeError, error_types
from quntedge.main import create_app
from quntedge.settings import Settings
from quntedge.wiring import Runtime, build

# Importing these does something, or they are no part of the product proper.
_NOT_IMPORTED = ("quntedge.__main__", "quntedge.storage.migrations")
_EMULATOR = "quntedge.gateway.emulator"


@dataclass(frozen=True, slots=True)
class RouteFact:
    """One address and method, with its caller and a sentence about it."""

    method: str
    path: str
    stamp: Stamp
    summary: str
    bare: bool
    in_schema: bool
    demo_only: bool


@dataclass(frozen=True, slots=True)
class ParameterFact:
    """One option or argument of a command. `shown` is how it is written."""

    shown: str
    required: bool
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class CommandFact:
    """One command, by its full name without the program's."""

    name: str
    help: str
    parameters: Sequence[ParameterFact]
    examples: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MetricFact:
    """One metric under the name Prometheus shows."""

    name: str
    kind: str
    labels: Sequence[str]
    help: str


def settings_for_docs(*, demo: bool) -> Settings:
    """Settings that open nothing: enough to build the application and look at it."""
    values: dict[str, Any] = {
        "_env_file": None,
        "database_url": "postgresql://nobody@localhost/documentation",
        "secret_key": "documentation-documentation-documentation",
        "encryption_keys": f"documentation:{base64.b64encode(new_key()).decode()}",
        "whop_environment": "custom",
        "whop_base_url": "http://127.0.0.1:1/api/v1",
        "whop_api_key": "documentation",
        "whop_account_id": "biz_documentation",
        "whop_webhook_secrets": "ws_documentation_documentation",
        "trusted_proxies": [],
        "demo": demo,
        "clock_url": None,
    }
    return Settings(**values)


async def routes() -> list[RouteFact]:
    """All routes of the application; those that only the demo has are marked."""
    plain = {(fact.method, fact.path) for fact in await _routes_of(demo=False)}
    found = await _routes_of(demo=True)
    return [
        RouteFact(
            fact.method, fact.path, fact.stamp, fact.summary, fact.bare, fact.in_schema,
            demo_only=(fact.method, fact.path) not in plain,
        )
        for fact in found
    ]  # fmt: skip


async def _routes_of(*, demo: bool) -> list[RouteFact]:
    settings = settings_for_docs(demo=demo)
    runtime = build(settings, str(settings.database_url))
    try:
        app = create_app(runtime)
        summaries = _summaries(app)
        bare = {route.path for route in app.bare_routes}
        return [
            RouteFact(
                fact.method, fact.path, fact.stamps[0], summaries.get((fact.method, fact.path), ""),
                bare=fact.path in bare, in_schema=fact.in_schema, demo_only=False,
            )
            for fact in walk(list(app.routes), app.bare_routes)
        ]  # fmt: skip
    finally:
        await runtime.close()


def _summaries(app: Application) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for route in app.bare_routes:
        for method in route.methods:
            operation = route.openapi.get(method.lower(), {})
            found[method, route.path] = operation.get("summary", "") or first_sentence(route.endpoint.__doc__)
    for context in iter_route_contexts(app.routes):
        original: Any = context.original_route
        summary = getattr(original, "summary", None) or first_sentence(getattr(original.endpoint, "__doc__", ""))
        for method in context.methods or ():
            found[method, context.path or ""] = summary
    return found


def first_sentence(text: str | None) -> str:
    """The first line of a docstring, without its full stop and without what it raises."""
    first = cleandoc(text or "").partition("\n")[0]
    return first.partition(" Raises ")[0].rstrip(".")


def commands() -> list[CommandFact]:
    """All commands a person may type, in the order of the help."""
    return list(_commands(typer.main.get_command(command_line), ()))


def global_options() -> list[ParameterFact]:
    """The options that stand before the command."""
    return _parameters(typer.main.get_command(command_line))


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[CommandFact]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command.hidden:
            continue
        if not hasattr(command, "commands") or command.invoke_without_command:
            full_name = " ".join((*path, name))
            yield CommandFact(
                full_name, cleandoc(command.help or ""), _parameters(command), EXAMPLES.get(full_name, ())
            )
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))


def _parameters(command: Any) -> list[ParameterFact]:
    return [
        ParameterFact(
            shown=_shown(parameter),
            required=parameter.required,
            default=_default(parameter),
            help=getattr(parameter, "help", None) or "",
        )
        for parameter in command.params
        if not getattr(parameter, "hidden", False) and "--help" not in parameter.opts
    ]


def _shown(parameter: Any) -> str:
    names = [*parameter.opts, *parameter.secondary_opts]
    if not names[0].startswith("-"):
        name = str(parameter.name).upper()
        return name if parameter.required else f"[{name}]"
    text = ", ".join(names)
    return text if getattr(parameter, "is_flag", False) else f"{text} {str(parameter.name).rstrip('_').upper()}"


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value == "" or value is False or callable(value):
        return ""
    return str(value) if value is not True else parameter.opts[0]


def errors() -> list[type[QuntedgeError]]:
    """Every error a caller can meet, one for each code, by status and code."""
    import_everything()
    ours = (kind for kind in error_types() if kind.__module__.startswith("quntedge."))
    by_code: dict[str, type[QuntedgeError]] = {}
    for kind in ours:
        # The class that a feature gives its own words wins over the general one with the same code.
        if not kind.__module__.startswith(_EMULATOR):
            by_code[kind.code] = kind
    return sorted(by_code.values(), key=lambda kind: (kind.status, kind.code))


def chores(runtime: Runtime) -> list[Sweep]:
    """The recurring chores of a worker on this runtime."""
    worker, _ = build_worker(runtime)
    # The worker shows its chores to nobody else: only the documentation wants to know them.
    return list(worker._ticker._sweeps)


def import_everything() -> None:
    """Imports every module, so that no class is missing because nothing has needed it yet."""
    for module in pkgutil.walk_packages(quntedge.__path__, "quntedge."):
        if not module.name.startswith(_NOT_IMPORTED):
            importlib.import_module(module.name)


def metric_facts() -> list[MetricFact]:
    """The metrics of the registry, in the order of the module that makes them."""
    found = []
    for collector in vars(metrics).values():
        if isinstance(collector, MetricWrapperBase):
            (family,) = collector.describe()
            suffix = "_total" if family.type == "counter" else ""
            labels = tuple(str(label) for label in collector._labelnames)
            found.append(MetricFact(f"{family.name}{suffix}", family.type, labels, family.documentation))
    return found
