"""Commands are loaded when they are used: the list of them agrees with what their modules register."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import typer

from quntedge import commands
from quntedge.cli import MODULES, app


def registered(module: str) -> set[str]:
    part = typer.Typer()
    import_module(f"quntedge.commands.{module}").register(part)
    return set(typer.main.get_group(part).commands)


def test_each_module_registers_what_the_list_says() -> None:
    for module in set(MODULES.values()):
        assert registered(module) == {name for name, place in MODULES.items() if place == module}


def test_no_module_with_commands_is_missing() -> None:
    found = {module.name for module in iter_modules(commands.__path__)}
    with_commands = {name for name in found if hasattr(import_module(f"quntedge.commands.{name}"), "register")}
    assert with_commands == set(MODULES.values())


def test_a_name_that_is_no_command() -> None:
    group: Any = typer.main.get_command(app)
    assert group.get_command(typer.Context(group), "nothing") is None
