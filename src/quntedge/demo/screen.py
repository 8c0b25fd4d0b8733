"""What the demo shows in the terminal: a tick for each step, then everything a newcomer needs."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from quntedge.demo.customers import CARDS, DEMO, PASSWORD
from quntedge.demo.family import ChildDied
from quntedge.demo.places import Places, Ports

_WIDTH = 100


class Screen:
    """Progress as it happens. In a terminal a spinner says what is being waited for; in a file there are only ticks."""

    def __init__(self, console: Console | None = None) -> None:
        """Shows on standard output unless told otherwise."""
        self.console = console or Console(highlight=False, markup=False)
        self._status = self.console.status("")
        self._since = time.monotonic()

    def __enter__(self) -> Self:
        """Begins."""
        self.console.print(Text("QuntEdge demo", style="bold"))
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes the spinner away."""
        self._status.stop()

    def doing(self, what: str) -> None:
        """Says what is being waited for."""
        self._status.update(f"{what} …")

    def done(self, what: str, detail: str = "") -> None:
        """A step is done."""
        now = time.monotonic()
        line = Text.assemble(("✓ ", "green"), f"{what:<12}", (detail, "dim"))
        line.append(f"  {now - self._since:.1f} s", style="dim")
        self._since = now
        self.console.print(line)

    def note(self, what: str) -> None:
        """A sentence on the way."""
        self._status.stop()
        self.console.print(Text(what, style="dim"))

    def died(self, error: ChildDied) -> None:
        """Says which part has stopped, and what it said last."""
        self._status.stop()
        self.console.print(Text(f"✗ {error}. Its log, {error.child.log}, ends with:", style="bold red"), soft_wrap=True)
        for line in error.last_lines or ["(nothing)"]:
            self.console.print(Text(f"  {line}", style="dim"), soft_wrap=True)

    def ready(self, places: Places, ports: Ports, api_key: str, user_id: str) -> None:
        """The demo runs: where, as whom, with which cards, and what to try."""
        self._status.stop()
        width = min(self.console.width, _WIDTH)
        self.console.print()
        self.console.print(
            Panel(
                _overview(ports), title="QuntEdge is running", title_align="left", border_style="green", width=width,
                padding=(1, 2),
            )
        )  # fmt: skip
        # Outside the frame, so that they can be copied.
        for heading, command in _commands(ports, api_key, user_id):
            self.console.print(Text(heading, style="bold"))
            self.console.print(Text(f"  {command}\n"), soft_wrap=True)
        self.console.print(Text(_farewell(places), style="dim"), soft_wrap=True)


def _overview(ports: Ports) -> RenderableType:
    return Group(
        _section(
            (
                ("Pricing", f"{ports.web_url}/pricing"),
                ("Billing", f"{ports.web_url}/billing"),
                ("Mailbox", f"{ports.web_url}/demo/mailbox"),
                ("Whop emulator", f"{ports.emulator_url}  (clock, payments, webhooks)"),
            )
        ),
        _heading("Sign in, or sign up as somebody new"),
        _section((("E-mail", DEMO.email), ("Password", PASSWORD))),
        _heading("Pay with one of these cards (any future date, any CVC)"),
        _section(CARDS),
        _heading("A month later"),
        Text("Press “+1 month” in the Whop emulator: everything follows its clock."),
    )


def _section(rows: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _commands(ports: Ports, api_key: str, user_id: str) -> Sequence[tuple[str, str]]:
    return (
        (
            "Ask as a host application's server what the demo customer may use:",
            f"curl -H 'Authorization: Bearer {api_key}' '{ports.web_url}/api/subscription/access?user={user_id}'",
        ),
        (
            "Move the clock by a month from the command line:",
            f"curl -X POST {ports.emulator_url}/_control/clock/advance -d '{{\"months\": 1}}'",
        ),
    )


def _farewell(places: Places) -> str:
    return (
        f"Ctrl-C stops everything; the data stays for next time. Logs: {_short(places.logs)}. "
        "Begin anew: make demo-reset, or `quntedge demo --fresh`."
    )


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
