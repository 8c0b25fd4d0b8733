"""Runs the benchmarks and prints a table. Nothing here fails because something is slow."""

import argparse
import gc
import sys
from pathlib import Path

import uvloop
from rich.console import Console

from bench import access, apply, intake, invoices, live, machine, report
from bench.database import bench_server
from bench.figures import Baseline, Group
from bench.plan import Bench, Plan

_BASELINE = Path(__file__).with_name("baseline.json")
_BENCHMARKS = {
    "intake": (intake.measure,),
    "apply": (apply.measure, live.measure),
    "access": (access.measure,),
    "invoices": (invoices.measure,),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=_BENCHMARKS, help="run one of them")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--save", action="store_true", help=f"make these figures the new {_BASELINE.name}")
    return parser.parse_args()


async def _measure(bench: Bench, only: str | None) -> list[Group]:
    chosen = [only] if only else list(_BENCHMARKS)
    groups = []
    for name in chosen:
        for measure in _BENCHMARKS[name]:
            groups.append(await measure(bench))
            gc.collect()
    return groups


def main() -> None:
    """Entry point."""
    arguments = _arguments()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    plan = Plan.quick() if arguments.quick else Plan.full(arguments.rounds)
    busy = machine.load_average()
    if busy > 0.5:
        console.print(f"[yellow]The machine is busy (load {busy:.1f}): trust the ratios, not the rates.[/yellow]")
    with bench_server() as server:
        facts = machine.describe(server.admin_url)
        groups = uvloop.run(_measure(Bench(server, plan, console), arguments.only))
    baseline = Baseline(_BASELINE)
    report.show(console, groups, facts, baseline)
    if arguments.save:
        baseline.save(groups, facts)
        console.print(f"Saved as {_BASELINE.name}.")


if __name__ == "__main__":
    main()
