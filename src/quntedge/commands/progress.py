"""How far a long piece of work is: a bar for people, a line now and then for logs, both on standard error."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from quntedge.commands.output import aside

LINE_EVERY_SECONDS = 10.0


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how many of `total` are done, such as "subscriptions"; the block calls what it is given with how many more
    there are."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.advance(task, more)


def _lines(what: str, total: int) -> Callable[[int], None]:
    done, last = 0, time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, last
        done += more
        if time.monotonic() - last >= LINE_EVERY_SECONDS:
            last = time.monotonic()
            aside(f"{done:,} of {total:,} {what}")

    return advance


@contextmanager
def shared(what: str) -> Iterator[Callable[[float, str], None]]:
    """Shows how much of a whole is done; the block calls what it is given with the share (0 to 1) and what it is at."""
    console = Console(stderr=True)
    if not console.is_terminal:
        last = [time.monotonic()]

        def line(share: float, at: str) -> None:
            if time.monotonic() - last[0] >= LINE_EVERY_SECONDS:
                last[0] = time.monotonic()
                aside(f"{what}: {share:.0%} ({at})")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share, at: progress.update(task, completed=share, description=f"{what}: {at}")
