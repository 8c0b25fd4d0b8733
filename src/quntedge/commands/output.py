"""How commands talk to people: results on standard output, complaints on standard error, one sentence each."""

import socket
import sys
from datetime import datetime

from rich.console import Console
from rich.table import Table

_WIDTH_FOR_PROGRAMS = 400


class CommandError(Exception):
    """A command cannot do what it was asked for. The text is one sentence for the person who asked."""


def out() -> Console:
    """Standard output as it is now; values are never taken for markup."""
    return Console(markup=False, highlight=False, soft_wrap=True)


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


def show(shown: Table) -> None:
    """Prints a table; as wide as the terminal, or as it needs where it is read by a program."""
    width = None if sys.stdout.isatty() else _WIDTH_FOR_PROGRAMS
    Console(markup=False, highlight=False, width=width).print(shown)


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
