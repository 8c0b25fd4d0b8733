"""The table people read."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.figures import Baseline, Figure, Group


def show(console: Console, groups: Sequence[Group], machine: dict[str, str], baseline: Baseline) -> None:
    """Prints all groups, the remarks below each, and what they were measured on."""
    for group in groups:
        console.print()
        console.print(_table(group, baseline))
        for note in group.notes:
            console.print(f"  [dim]{note}[/dim]")
    console.print()
    for name, value in machine.items():
        console.print(f"[dim]{name:>12}  {value}[/dim]", highlight=False)
    if baseline.machine is not None and baseline.machine.get("processor") != machine["processor"]:
        console.print("[yellow]The baseline is from another kind of machine: compare the ratios only.[/yellow]")


def _table(group: Group, baseline: Baseline) -> Table:
    table = Table(title=group.title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for name in ("median", "spread", "target", "baseline", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in group.figures:
        table.add_row(*_row(figure, baseline), style="dim" if figure.is_floor else None)
    return table


def _row(figure: Figure, baseline: Baseline) -> list[str]:
    before = baseline.median_of(figure.name)
    colour = {True: "green", False: "red", None: "default"}[figure.meets_target]
    sign = "≥" if figure.higher_is_better else "≤"
    return [
        figure.name,
        f"[{colour}]{_number(figure.median)} {figure.unit}[/{colour}]",
        f"{_number(min(figure.samples))} – {_number(max(figure.samples))}",
        "" if figure.target is None else f"{sign} {_number(figure.target)}",
        "" if before is None else _number(before),
        "" if not before else f"{100 * (figure.median / before - 1):+.0f} %",
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
