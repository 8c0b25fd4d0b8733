"""The emulator's clock: what time it is there, and moving it with everything that follows it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Protocol

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from quntedge.commands.errors import Explained
from quntedge.commands.output import CommandError, aside, moment, out
from quntedge.commands.times import parse_since

LINE_EVERY_SECONDS = 5.0
_WATCH_SECONDS = 10
_LEAST_PAUSE_SECONDS = 0.1
_INTERRUPTED = 130

app = typer.Typer(cls=Explained, no_args_is_help=True, help="The clock of the Whop emulator: look, and move it.")

Url = Annotated[
    str, typer.Option(envvar="QUNTEDGE_CLOCK_URL", help="Address of the emulator; over QUNTEDGE_CLOCK_URL.")
]
_LOCAL = "http://127.0.0.1:8090"


@app.command()
def show(url: Url = _LOCAL) -> None:
    """Show the emulator's time, and how far it is ahead of this machine's."""
    with _connected(url) as emulator:
        found = emulator.ask("GET", "clock")
    now, ahead = datetime.fromisoformat(found["now"]), found["offset_seconds"] / 86_400
    out().print(f"{moment(now)} UTC, {abs(ahead):,.1f} days {'behind' if ahead < 0 else 'ahead'}")


@app.command()
def advance(
    months: Annotated[int | None, typer.Option(min=1, max=240, help="Calendar months.")] = None,
    days: Annotated[float | None, typer.Option(min=0, max=7300, help="Days of 24 hours.")] = None,
    hours: Annotated[float | None, typer.Option(min=0, max=175_200, help="Hours.")] = None,
    to: Annotated[str | None, typer.Option(help="A time, such as 2027-01-01 or 2027-01-01T12:00Z.")] = None,
    url: Url = _LOCAL,
) -> None:
    """Move the clock forward, through everything that happens on the way.

    The emulator's renewals, retries and deliveries, and the mails, jobs and chores of a worker that follows it, take
    place in order, each at its own time. Ctrl-C stops at the instant reached.
    """
    steps = {"months": months, "days": days, "hours": hours, "to": to}
    given = {name: value for name, value in steps.items() if value is not None}
    if len(given) != 1:
        raise typer.BadParameter("give one of --months, --days, --hours, --to.")
    with _connected(url) as emulator:
        if to is not None:
            now = datetime.fromisoformat(emulator.ask("GET", "clock")["now"])
            given = {"to": parse_since(to, now).isoformat()}
        run: dict[str, Any] = {}
        try:
            with _uninterrupted():  # a run whose id we never heard could not be stopped
                run = emulator.ask("POST", "clock/advance", given | {"wait": False})
            run = _watch(emulator, run)
        except KeyboardInterrupt:
            if not run:
                raise
            run = emulator.ask("DELETE", f"clock/advance/{run['run']}")
    _conclude(run)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keeps Ctrl-C waiting for a moment."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Emulator:
    """The emulator's control API."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a request. Raises `CommandError` when there is none, or a refusal."""
        try:
            answer = self._client.request(method, path, json=body)
            found = answer.json()
            if answer.is_success:
                return dict(found)
            reason = str(found["error"]["message"])
        except httpx.TransportError:
            raise CommandError(
                f"No emulator answers at {self._url}; start one with `quntedge whop-emulator`, or name another "
                "address with --url."
            ) from None
        except (ValueError, KeyError, TypeError):
            raise CommandError(f"What answers at {self._url} is not an emulator's clock.") from None
        raise CommandError(f"The emulator refuses: {reason}")


@contextmanager
def _connected(url: str) -> Iterator[_Emulator]:
    base = url.rstrip("/").removesuffix("/_control")
    # Loopback by nature: a proxy from the environment has no business here.
    with httpx.Client(
        base_url=f"{base}/_control/", timeout=httpx.Timeout(5, read=_WATCH_SECONDS + 80), trust_env=False
    ) as client:
        yield _Emulator(client, base)


def _watch(emulator: _Emulator, run: dict[str, Any]) -> dict[str, Any]:
    """Follows a run to its end, showing how far it is."""
    with _shown() as progress:
        progress.show(run)
        while run["state"] == "running":
            # A year has hundreds of instants; nobody reads faster than this.
            time.sleep(_LEAST_PAUSE_SECONDS)
            path = f"clock/advance/{run['run']}?wait={_WATCH_SECONDS}&seen={run['changes']}"
            run = emulator.ask("GET", path)
            progress.show(run)
    return run


class _Shown(Protocol):
    def show(self, run: dict[str, Any]) -> None:
        """Shows how far a run is."""
        ...


@contextmanager
def _shown() -> Iterator[_Shown]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress)


class _Bar:
    """For people."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=1.0, counts="")

    def show(self, run: dict[str, Any]) -> None:
        """Moves the bar."""
        self._progress.update(
            self._task, description=_at(run), completed=fraction(run), counts=_counts(run), refresh=True
        )


class _Lines:
    """For logs: a line now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, run: dict[str, Any]) -> None:
        """Writes a line, unless the last one is only seconds old."""
        if time.monotonic() - self._last >= LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            aside(f"{_at(run)}  {fraction(run):.0%}  {_counts(run)}")


def fraction(run: dict[str, Any]) -> float:
    """How much of the way is done, from 0 to 1."""
    start, target, at = (datetime.fromisoformat(run[name]) for name in ("from", "to", "at"))
    way = (target - start).total_seconds()
    return 1.0 if way <= 0 else min(1.0, (at - start).total_seconds() / way)


def _at(run: dict[str, Any]) -> str:
    return f"{moment(datetime.fromisoformat(run['at']))} UTC"


def _counts(run: dict[str, Any]) -> str:
    return f"{run['happenings']:,} happenings, {run['deliveries']:,} deliveries"


def _conclude(run: dict[str, Any]) -> None:
    if run["hurried"]:
        aside(f"At {run['hurried']} instants the clock went on before the worker was done; its log says why.")
    if run["state"] == "failed":
        raise CommandError(f"The emulator stopped at {_at(run)}; its log says why.")
    if run["state"] == "canceled":
        out().print(f"Stopped at {_at(run)}: {_counts(run)}.")
        raise typer.Exit(_INTERRUPTED)
    out().print(f"It is {_at(run)} now: {_counts(run)}.")


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="clock")
