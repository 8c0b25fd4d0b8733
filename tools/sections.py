"""The generated parts of the documentation, as Markdown."""

import re
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from itertools import groupby
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from quntedge.catalog import toml, toml_rules
from quntedge.edge.callers import Csrf
from quntedge.edge.limits import Limit
from quntedge.gateway.whop.events import EVENT_TYPES, EventType, Origin
from quntedge.promotions import file as promotion_file
from quntedge.schema import all_tables
from quntedge.settings import Settings
from quntedge.storage.base import Base
from tools import facts, machine
from tools.facts import CommandFact, ParameterFact, RouteFact
from tools.markdown import code, table

_ORIGINS = {
    Origin.WHOP: "Whop",
    Origin.PRODUCT: "product",
    Origin.RETIRED: "Whop, retired",
}
_FORGERY = {
    Csrf.NONE: "–",
    Csrf.TOKEN: "token",
    Csrf.JSON_ONLY: "JSON only",
    Csrf.NO_COOKIE: "key",
    Csrf.SIGNATURE: "signature",
}


def settings() -> str:
    """Every setting with its default and meaning."""
    rows = [
        (code(str(field.validation_alias)), _default(field), field.description or "")
        for field in Settings.model_fields.values()
    ]
    return table(("Name", "Default", "Meaning"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**" + (", secret" if _is_secret(field.annotation) else "")
    value = field.get_default(call_default_factory=True)
    shown = {None: "unset", "[]": "none", "False": "false"}.get(value if value is None else str(value))
    text = shown if shown is not None else code(str(value))
    return text + (", secret" if _is_secret(field.annotation) else "")


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))


def api_routes(known: Sequence[RouteFact]) -> str:
    """The routes for programs."""
    return _routes([fact for fact in known if _is_for_programs(fact)])


def pages(known: Sequence[RouteFact]) -> str:
    """The routes for people."""
    return _routes([fact for fact in known if not _is_for_programs(fact)])


def _is_for_programs(fact: RouteFact) -> bool:
    return fact.path.startswith(("/api/", "/health/")) or fact.path in ("/metrics", "/openapi.json")


def _routes(known: Sequence[RouteFact]) -> str:
    rows = [
        (
            fact.method, code(fact.path), fact.stamp.kind, code(fact.stamp.scope or ""),
            _FORGERY[fact.stamp.csrf] if fact.method != "GET" else "–",
            fact.summary + (" (demo only)" if fact.demo_only else ""),
        )
        for fact in sorted(known, key=lambda fact: (fact.path, fact.method))
    ]  # fmt: skip
    return table(("Method", "Path", "Caller", "Scope of a key", "Forgery guard", "What it does"), rows)


def errors() -> str:
    """Every error code under its status, with a heading whose anchor is the code."""
    parts = []
    for status, kinds in groupby(facts.errors(), key=lambda kind: kind.status):
        parts.append(f"## Status {status}")
        for kind in kinds:
            explanation = re.sub(r"^\d{3}: ", "", cleandoc(kind.__doc__ or ""))
            parts.append(f"### {kind.code}\n\n*{kind.title}.* {explanation[:1].upper()}{explanation[1:]}")
    return "\n\n".join(parts)


def limits() -> str:
    """The rate limits."""
    return table(
        ("Limit", "Requests", "In seconds"),
        [(code(rule.name), str(rule.amount), str(rule.seconds)) for rule in (limit.value for limit in Limit)],
    )


def commands() -> str:
    """Every command with its arguments and options."""
    options = _options(facts.global_options())
    return "\n\n".join([f"## quntedge\n\n{options}", *(_command(command) for command in facts.commands())])


def _command(command: CommandFact) -> str:
    arguments = [parameter.shown for parameter in command.parameters if not parameter.shown.startswith("-")]
    has_options = len(arguments) < len(command.parameters)
    usage = " ".join(["quntedge", command.name, *(["[OPTIONS]"] if has_options else []), *arguments])
    parts = [f"## quntedge {command.name}", f"```\n{usage}\n```", command.help]
    if command.parameters:
        parts.append(_options(command.parameters))
    if command.examples:
        parts.append("\n".join(("For example:\n\n```", *command.examples, "```")))
    return "\n\n".join(parts)


def _options(parameters: Sequence[ParameterFact]) -> str:
    return table(
        ("Option or argument", "Default", "Meaning"),
        [
            (code(parameter.shown), "required" if parameter.required else code(parameter.default), parameter.help)
            for parameter in parameters
        ],
    )


def event_types() -> str:
    """The event types that are acted upon."""
    rows = [
        (code(row.name), str(row.family), _ORIGINS[row.origin], "yes" if row.subscribed else "no", row.meaning)
        for row in EVENT_TYPES.values()
        if row.family is not None
    ]
    return table(("Type", "Object", "Sent by", "Subscribe", "Meaning"), rows)


def subscribed_events() -> str:
    """The names to choose for the webhook endpoint."""
    names = [row.name for row in EVENT_TYPES.values() if row.subscribed]
    return "```\n" + "\n".join(names) + "\n```"


def ignored_event_types() -> str:
    """The event types that are known and change nothing, by subject."""
    ignored = [row for row in EVENT_TYPES.values() if row.family is None]

    def subject(row: EventType) -> str:
        return row.meaning

    rows = [(meaning, ", ".join(code(row.name) for row in same)) for meaning, same in groupby(ignored, key=subject)]
    return table(("About", "Types"), rows)


def metrics() -> str:
    """Every metric with its labels."""
    rows = [(code(fact.name), fact.kind, ", ".join(map(code, fact.labels)), fact.help) for fact in facts.metric_facts()]
    return table(("Metric", "Type", "Labels", "Meaning"), rows)


def tables() -> str:
    """Every table in one line."""
    rows = [(f"[`{name}`](#{name})", _about(name)) for name in sorted(all_tables().tables)]
    return table(("Table", "What a row is"), rows)


def columns() -> str:
    """Every table with the type and the classification of each column."""
    parts = []
    for name, described in sorted(all_tables().tables.items()):
        rows = [
            (
                code(column.name) + (" (key)" if column.primary_key else ""),
                _type(column.type),
                "yes" if column.nullable else "no",
                str(column.info.get("classification", "unclassified")),
            )
            for column in described.columns
        ]
        parts.append(f"### {name}\n\n{table(('Column', 'Type', 'May be empty', 'Holds'), rows)}")
    return "\n\n".join(parts)


def _type(kind: Any) -> str:
    name = type(kind).__name__
    names = {
        "UtcDateTime": "time (UTC)",
        "SealedText": "sealed text",
        "BlindIndex": "blind index",
        "ARRAY": "list of text",
        "LargeBinary": "bytes",
        "SmallInteger": "small integer",
        "BigInteger": "big integer",
        "JSONB": "JSON",
    }
    return names.get(name, name.lower())


def _about(name: str) -> str:
    for mapper in Base.registry.mappers:
        if getattr(mapper.local_table, "name", None) == name:
            return " ".join(cleandoc(mapper.class_.__doc__ or "").split("\n\n")[0].split())
    return ""


def catalog_fields() -> str:
    """What may be written in a catalogue file, table by table."""
    parts = (
        ("At the top of the file", toml.TOP_FIELDS),
        ("`[[features]]`", toml.FEATURE_FIELDS),
        ("`[[plans]]`", toml.PLAN_FIELDS),
        ("`[plans.change]`", toml_rules.CHANGE_FIELDS),
        ("`[plans.dunning]`", toml_rules.DUNNING_FIELDS),
        ("`[plans.dispute]`", toml_rules.DISPUTE_FIELDS),
        ("`[plans.save_offer]`", toml_rules.SAVE_OFFER_FIELDS),
        ("`[[promotions]]`", promotion_file.FIELDS),
    )
    return "\n\n".join(
        f"### {title}\n\n{table(('Field', 'Meaning'), [(code(name), meaning) for name, meaning in fields.items()])}"
        for title, fields in parts
    )


def all_sections(known_routes: Sequence[RouteFact]) -> Mapping[str, Callable[[], str]]:
    """The makers of all generated regions, by the name that stands in the region's mark."""
    return {
        "settings": settings,
        "api-routes": lambda: api_routes(known_routes),
        "pages": lambda: pages(known_routes),
        "errors": errors,
        "limits": limits,
        "commands": commands,
        "event-types": event_types,
        "subscribed-events": subscribed_events,
        "ignored-event-types": ignored_event_types,
        "metrics": metrics,
        "subscription-statuses": machine.statuses,
        "subscription-triggers": machine.triggers,
        "subscription-transitions": machine.transitions,
        "subscription-diagram": machine.diagram,
        "subscription-entries": machine.entries,
        "tables": tables,
        "columns": columns,
        "catalog-fields": catalog_fields,
    }
