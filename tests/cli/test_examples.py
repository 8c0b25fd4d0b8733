"""Under the help of each command stands what can be typed, and it is what the command takes."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from quntedge.cli import app
from quntedge.commands.examples import EXAMPLES
from tests.cli.conftest import Cli


def commands() -> Iterator[tuple[str, Any]]:
    """Every command people can see, by its full name."""

    def walk(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name in group.list_commands(typer.Context(group)):
            command = group.get_command(typer.Context(group), name)
            if command.hidden:
                continue
            if not hasattr(command, "commands") or command.invoke_without_command:
                yield " ".join((*path, name)), command
            if hasattr(command, "commands"):
                yield from walk(command, (*path, name))

    return walk(typer.main.get_command(app), ())


def test_every_command_has_examples_that_it_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog.toml").touch()  # arguments that name a file want it to be there
    found = dict(commands())
    assert set(found) == set(EXAMPLES)
    for name, command in found.items():
        for line in EXAMPLES[name]:
            words = shlex.split(line)
            typed = ["quntedge", *name.split()]
            assert words[: len(typed)] == typed, line
            # Raises what the person at the terminal would be told.
            command.make_context(name, words[len(typed) :])


async def test_they_are_shown_under_the_help(cli: Cli) -> None:
    shown = await cli("ledger", "balances", "--help", TERMINAL_WIDTH="100", COLUMNS="100")
    assert "For example:" in shown.output
    assert "quntedge ledger balances --until 2026-10-01 --json" in shown.output
