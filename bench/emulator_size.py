"""How large the emulator may grow: memory for each membership, renewals per second, copies of the state, start-up.

`python -m bench.emulator_size --memberships 100000`. It needs neither a database nor a network: time moves inside this
process, and no endpoint listens, so that what is measured is the billing engine alone.
"""

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from rich.console import Console

from bench import report
from bench.figures import Baseline, Figure, Group
from bench.machine import host, load_average
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.keeping.branches import Shelf
from quntedge.gateway.emulator.keeping.images import Image
from quntedge.gateway.emulator.keeping.keeper import Keeper
from quntedge.gateway.emulator.keeping.sqlite_state import StateFile
from quntedge.gateway.emulator.life import purchases
from quntedge.gateway.emulator.rules.cards import read_card
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.state.records import Plan, Product
from quntedge.kit.money import Money

START = datetime(2026, 9, 1, tzinfo=UTC)
_PORT = 18_097
_GOOD_CARD = "4242424242424242"


@dataclass(slots=True)
class Measured:
    """Samples by name, in the order in which they were taken."""

    figures: list[Figure]

    def add(self, name: str, unit: str, value: float, target: float | None = None, *, more: bool = False) -> None:
        """Keeps one sample."""
        self.figures.append(Figure(name, unit, (value,), higher_is_better=more, target=target))


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class _Laps:
    """A stop watch."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap, or since the start."""
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed


def _plan(world: World) -> Plan:
    at = world.now()
    product = Product(id=world.store.new_id("prod"), created_at=at, updated_at=at, title="QuntEdge", route="quntedge")
    plan = Plan(
        id=world.store.new_id("plan"),
        created_at=at,
        updated_at=at,
        product_id=product.id,
        plan_type="renewal",
        initial_price=Money.zero("usd"),
        renewal_price=Money(2900, "usd"),
        billing_period=30,
        title="Monthly",
    )
    world.store.add(world.store.tables.products, product)
    return world.store.add(world.store.tables.plans, plan)


def _sell(world: World, plan: Plan, count: int) -> None:
    """One membership each for so many buyers, a second apart, so that renewals are spread over hours."""
    card = read_card(_GOOD_CARD, "12/34", "123", START)
    for number in range(count):
        order = purchases.Order(plan, None, f"buyer{number}@customer.test", card)
        purchases.buy(world, order, START + timedelta(seconds=number % 86_400))


async def measure_engine(count: int, measured: Measured, *, copies: bool = True) -> None:
    """Sells, renews twice, and with `copies` copies and keeps the state."""
    runtime = Runtime(EmulatorConfig(start=START))
    gc.collect()
    empty, laps = _resident_bytes(), _Laps()
    laps.lap()
    _sell(runtime.world, _plan(runtime.world), count)
    measured.add("purchases", "/s", count / laps.lap(), more=True)
    gc.collect()
    sold = _resident_bytes()
    measured.add("memory, a membership as bought", "bytes", (sold - empty) / count)
    for month in (1, 2):
        laps.lap()
        advanced = await runtime.timeline.advance(START + timedelta(days=30 * month + 2))
        rate = advanced.events / laps.lap()
        if advanced.events != count:
            raise SystemExit(f"{advanced.events} renewals instead of {count}")
    measured.add("renewals", "/s", rate, more=True, target=10_000)
    measured.add("a million renewals", "s", 1_000_000 / rate, target=300)
    gc.collect()
    measured.add("memory, each further payment", "bytes", (_resident_bytes() - sold) / (2 * count))
    if copies:
        await _measure_copies(runtime, laps, measured)


async def _measure_copies(runtime: Runtime, laps: _Laps, measured: Measured) -> None:
    laps.lap()
    image = Image.of(runtime.world.store.tables, runtime.world.now())
    measured.add("snapshot", "s", laps.lap())
    measured.add("snapshot, compressed", "MiB", len(image.content) / 2**20)
    tables = image.tables()
    runtime.world.store.load(tables)
    runtime.world.rebuild_agenda()
    measured.add("restore", "s", laps.lap())
    await _measure_file(runtime, laps, measured)


async def _measure_file(runtime: Runtime, laps: _Laps, measured: Measured) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.sqlite"
        file = StateFile(path, "biz_emulator")
        keeper = Keeper(runtime.world, Shelf(), file, file.load())
        laps.lap()
        await keeper.close()
        measured.add("state file, all of it written", "s", laps.lap())
        measured.add("state file", "MiB", path.stat().st_size / 2**20)
        laps.lap()
        with closing(StateFile(path, "biz_emulator")) as opened:
            opened.load()
        measured.add("state file, read", "s", laps.lap())


def measure_start(measured: Measured) -> None:
    """From the command to the first answer, the best of five: the machine's mood only adds."""
    url, best = f"http://127.0.0.1:{_PORT}/health", float("inf")
    with httpx.Client(trust_env=False) as client:
        for _ in range(5):
            began = time.perf_counter()
            command = [sys.executable, "-m", "quntedge", "whop-emulator", "--port", str(_PORT)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                while not _answers(client, url):
                    if process.poll() is not None:
                        raise SystemExit("the emulator ended")
                    time.sleep(0.005)
                best = min(best, time.perf_counter() - began)
            finally:
                process.kill()
                process.wait()
    measured.add("start to first answer", "ms", 1000 * best, target=1000)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.TransportError:
        return False


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.emulator_size", description=__doc__)
    parser.add_argument("--memberships", type=int, default=100_000, help="how many (default 100,000)")
    parser.add_argument("--no-copies", action="store_true", help="leave out snapshot, restore and state file")
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    if load_average() > 0.5:
        console.print(f"[yellow]The machine is busy (load {load_average():.1f}).[/yellow]")
    measured = Measured([])
    measure_start(measured)
    asyncio.run(measure_engine(arguments.memberships, measured, copies=not arguments.no_copies))
    group = Group(f"The emulator with {arguments.memberships:,} memberships", tuple(measured.figures))
    report.show(console, [group], host(), Baseline(Path("none")))


if __name__ == "__main__":
    main()
