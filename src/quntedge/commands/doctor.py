"""`quntedge doctor`: explains every setting, then tries what they lead to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from quntedge.commands.checks import findings
from quntedge.commands.output import complain
from quntedge.commands.running import run
from quntedge.kit.logging import configure_logging
from quntedge.settings import Settings, load_settings
from quntedge.wiring import build, database

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "bad": ("✗", "red")}
_STATE_STYLES = {"missing": "red", "environment": "green", ".env": "green", "default": "dim"}


@dataclass(frozen=True, slots=True)
class Explained:
    """A setting: where its value comes from, and the value as far as it may be shown."""

    name: str
    source: str
    shown: str
    description: str


def doctor() -> None:
    """Explain every setting, then check database, Whop, mail server and webhook address."""
    console = Console(markup=False, highlight=False)
    _print_settings(console)
    settings = load_settings()
    configure_logging(settings.log_format, "ERROR")
    run(_check(settings, console))


def explain_settings() -> Iterator[Explained]:
    """All settings in the order of the class. Secrets are never shown, only whether they are set."""
    # Empty values count as given, as they do when the settings are loaded.
    environment = EnvSettingsSource(Settings).env_vars
    file = DotEnvSettingsSource(Settings).env_vars
    for field in Settings.model_fields.values():
        name = str(field.validation_alias)
        value = environment.get(name.lower(), file.get(name.lower()))
        if name.lower() in environment:
            source = "environment"
        elif name.lower() in file:
            source = ".env"
        else:
            source = "missing" if field.is_required() else "default"
        yield Explained(name, source, _shown(field, name, value), field.description or "")


def _shown(field: FieldInfo, name: str, value: str | None) -> str:
    if value is None:
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        return "" if default in (None, []) else str(default)
    if _is_secret(field.annotation):
        return "(set)"
    # A database address may hold a password.
    return "…@" + value.rpartition("@")[2] if name == "DATABASE_URL" and "@" in value else value


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))


def _print_settings(console: Console) -> None:
    for setting in explain_settings():
        source = Text(setting.source, style=_STATE_STYLES[setting.source])
        console.print(Text.assemble((setting.name, "bold"), "  ", source, "  ", setting.shown), soft_wrap=True)
        console.print(Padding(Text(setting.description, style="dim"), (0, 0, 0, 4)))
    console.print()


async def _check(settings: Settings, console: Console) -> None:
    failed = 0
    with database(settings) as url:
        runtime = build(settings, url)
        try:
            async for finding in findings(runtime):
                mark, style = _MARKS[finding.level]
                console.print(Text.assemble((f"{mark} ", style), (f"{finding.about:<9}", "bold"), finding.text))
                failed += finding.level == "bad"
        finally:
            await runtime.close()
    if failed:
        complain("one check failed." if failed == 1 else f"{failed} checks failed.")
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Adds this command."""
    app.command()(doctor)
