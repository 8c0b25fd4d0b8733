"""How commands talk to people: results on standard output, complaints on standard error, one sentence each."""

import json
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

_WIDTH_FOR_PROGRAMS = 400
_PROSE = 30
"""Columns that a text of several words can be squeezed into."""
_FIGURES = re.compile(r"[-−]?[^\w\s]?[\d.,]*\d%?(?: [A-Z]{3})?|–|")


class CommandError(Exception):
    """A command cannot do what it was asked for. The text is one sentence for the person who asked."""


def out() -> Console:
    """Standard output as it is now; values are never taken for markup."""
    return Console(markup=False, highlight=False, soft_wrap=True)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """Prints a document for programs, moments in ISO 8601."""
    out().print(json.dumps(document, indent=2, ensure_ascii=False, default=_written))


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def complain(sentence: str) -> None:
    """Says on standard error why a command failed."""
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Error: {sentence}", style="bold red")


def table(*columns: str) -> Table:
    """A plain table. Its first column, the id, is never cut in two."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=position == 0)
    return made


def show(shown: Table, spare: Sequence[str] = ()) -> None:
    """Prints a table; as wide as it needs where it is read by a program.

    On a terminal too narrow for it the columns in `spare` are left out, one after the other. Where that is not enough
    each row becomes a block of lines: values cut in two can be neither read nor copied.
    """
    width = None if sys.stdout.isatty() else _WIDTH_FOR_PROGRAMS
    console = Console(markup=False, highlight=False, width=width)
    for column in shown.columns:
        # Figures are compared digit by digit: the ends of their columns stand below each other, headings included.
        if all(_FIGURES.fullmatch(str(text)) for text in column.cells):
            column.justify = "right"
    for name in spare:
        if _needs(shown) > console.width:
            shown.columns = [column for column in shown.columns if column.header != name]
    if shown.row_count and _needs(shown) > console.width:
        _show_blocks(console, shown)
    else:
        console.print(shown)


def _needs(shown: Table) -> int:
    """The width in which nothing but prose is cut in two."""
    columns = [[str(column.header), *map(str, column.cells)] for column in shown.columns]
    widths = [
        max(min(cell_len(text), _PROSE) if " " in text else cell_len(text) for text in cells) for cells in columns
    ]
    return sum(widths) + 2 * (len(widths) - 1)


def _show_blocks(console: Console, shown: Table) -> None:
    first, *others = shown.columns
    labels = [str(column.header) for column in others]
    margin = max(map(cell_len, labels), default=0)
    for heading, *values in zip(first.cells, *(column.cells for column in others), strict=True):
        console.print(str(heading), style="bold", soft_wrap=True)
        for label, value in zip(labels, values, strict=True):
            if str(value):
                console.print(f"  {label:<{margin}}  {value}", soft_wrap=True)


def aside(sentence: str) -> None:
    """Says something on standard error that does not belong to the result."""
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    console.print(sentence, style="yellow")


def moment(at: datetime | None) -> str:
    """A time, to the second, in UTC."""
    return "–" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def require_free_port(host: str, port: int, flag: str) -> None:
    """Raises `CommandError` when nobody can listen there. `flag` is how another port is chosen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise CommandError(f"{host} is not an address of this machine; choose another one with --host.") from None
    with socket.socket(family, kind, protocol) as probe:
        # What the servers do as well: a port whose last connections are still fading away counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise CommandError(f"Port {port} needs more rights than yours; choose another one with {flag}.") from None
        except OverflowError:
            raise CommandError(f"{port} is not a port; choose one from 1 to 65535 with {flag}.") from None
        except OSError as error:
            raise CommandError(
                f"Port {port} on {host} cannot be used ({(error.strerror or str(error)).lower()}); "
                f"stop what uses it, or choose another port with {flag}."
            ) from None
