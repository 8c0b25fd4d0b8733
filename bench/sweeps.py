"""`python -m bench.sweeps`: what the sweeps read on a million subscriptions, of which only a few are due.

Each sweep of the product is started; the first statement with which it asks for its table is caught, and explained with
the same parameters. To add one, say in `SWEEPS` which table it finds its work in, how a few rows become due, and how it
is run.
"""

import argparse
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import psycopg
import uvloop

from bench import crowd, world
from bench.database import bench_server
from bench.recording import first_statement
from quntedge.notifications import outbox
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.wiring import Runtime, build

_TIMES = 5


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep: `due` is the assignment that makes a row of `table` due, `among` which rows it is for."""

    name: str
    table: str
    due: str
    among: str
    run: Callable[[Runtime], Awaitable[object]]


def _in_unit(chore: Callable[[Runtime, UnitOfWork], Awaitable[object]]) -> Callable[[Runtime], Awaitable[object]]:
    async def run(runtime: Runtime) -> object:
        async with runtime.units() as unit:
            return await chore(runtime, unit)

    return run


_AN_HOUR_AGO = "now() - interval '1 hour'"

SWEEPS = (
    Sweep(
        "renewals that were not seen",
        "subscription",
        f"renewal_check_at = {_AN_HOUR_AGO}, period_end = now() - interval '7 hours'",
        "status = 'active'",
        lambda runtime: runtime.renewals.check(),
    ),
    Sweep(
        "dunning: grace ends, attempts, reminders",
        "dunning_case",
        f"next_due_at = {_AN_HOUR_AGO}",
        "state = 'open'",
        lambda runtime: runtime.services.dunning.service.work_due(),
    ),
    Sweep(
        "processes: scheduled changes, next steps",
        "process",
        f"due_at = {_AN_HOUR_AGO}",
        "state = 'running'",
        lambda runtime: runtime.processes.resume_due(),
    ),
    Sweep(
        "trials: reminders",
        "trial",
        f"remind_at = {_AN_HOUR_AGO}",
        "state = 'running'",
        _in_unit(lambda runtime, unit: runtime.trials.remind(unit, unit.clock.now())),
    ),
    Sweep(
        "pauses: reminders",
        "pause",
        f"remind_at = {_AN_HOUR_AGO}",
        "state = 'running'",
        _in_unit(lambda runtime, unit: runtime.pauses.remind(unit, unit.clock.now())),
    ),
    Sweep(
        "pauses: ends",
        "pause",
        f"check_at = {_AN_HOUR_AGO}",
        "state = 'running'",
        lambda runtime: runtime.pauses.check_due(),
    ),
    Sweep(
        "checkouts: expiry",
        "checkout_intent",
        f"expires_at = {_AN_HOUR_AGO}",
        "state = 'open'",
        _in_unit(lambda runtime, unit: runtime.outcomes.expire(unit, unit.clock.now())),
    ),
    Sweep(
        "mails",
        "notification",
        f"due_at = {_AN_HOUR_AGO}",
        "state = 'queued'",
        _in_unit(lambda runtime, unit: outbox.claim(unit, limit=100, held=())),
    ),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sweep's statement read. `found` is how many rows it took, of `due`; `rows` how many it read of all tables,
    `own_rows` how many of those in its own."""

    sweep: Sweep
    table_rows: int
    due: int
    found: int
    own_rows: int
    rows: int
    buffers: int
    milliseconds: float
    scans: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """In words for the table."""
        if self.scans:
            return f"reads all of {', '.join(self.scans)}"
        if self.own_rows > 2 * self.found:
            return "reads rows that are not due"
        return "due rows only" if self.found == self.due else f"due rows only, {self.found} at a time"


def _read(connection: psycopg.Connection, sweep: Sweep, due: int, query: str, params: Any) -> Reading:
    samples = []
    document: dict[str, Any] = {}
    for _ in range(_TIMES):
        with connection.transaction(force_rollback=True):
            row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", params).fetchone()
        if row is None:
            raise LookupError("EXPLAIN says nothing")
        document = row[0][0]
        samples.append(float(document["Execution Time"]))
    nodes = list(_nodes(document["Plan"]))
    scans = [node for node in nodes if "Relation Name" in node and node["Node Type"] != "ModifyTable"]
    reader = next(node for node in scans if node["Relation Name"] == sweep.table)
    total = connection.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", (sweep.table,)).fetchone()
    big = {
        node["Relation Name"] for node in scans if node["Node Type"] == "Seq Scan" and _rows(node) > crowd.BIG_ENOUGH
    }
    return Reading(
        sweep=sweep,
        table_rows=int(total[0]) if total else 0,
        due=due,
        found=round(reader["Actual Rows"] * reader["Actual Loops"]),
        own_rows=sum(_rows(node) for node in scans if node["Relation Name"] == sweep.table),
        rows=sum(map(_rows, scans)),
        buffers=document["Plan"]["Shared Hit Blocks"] + document["Plan"]["Shared Read Blocks"],
        milliseconds=median(samples),
        scans=tuple(sorted(big)),
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> int:
    """What a scan read: the rows it gave, and those it threw away."""
    each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return round(each * node["Actual Loops"])


def _make_due(connection: psycopg.Connection, sweep: Sweep, count: int) -> None:
    """Some rows, spread over the table. The key is the first column of every table."""
    with connection.cursor() as cursor:
        key = cursor.execute(f"SELECT * FROM {sweep.table} LIMIT 0").description[0].name  # type: ignore[index]
        cursor.execute(
            f"UPDATE {sweep.table} SET {sweep.due} WHERE {key} IN"
            f" (SELECT {key} FROM {sweep.table} WHERE {sweep.among} ORDER BY md5({key}) LIMIT %s)",
            (count,),
        )
        if cursor.rowcount != count:
            raise LookupError(f"{sweep.table} has only {cursor.rowcount} rows that can become due")


async def _statement(database_url: str, sweep: Sweep) -> tuple[str, Any]:
    runtime = build(world.settings(database_url), database_url)
    try:
        return await first_statement(lambda: sweep.run(runtime), sweep.table)
    finally:
        await runtime.close()


def _print(readings: Sequence[Reading]) -> None:
    print("| Sweep | Table | Rows | Due | Read of it | Read in all | Per row due | Pages | ms | Verdict |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|---|")
    for one in readings:
        print(
            f"| {one.sweep.name} | `{one.sweep.table}` | {one.table_rows:,} | {one.due} | {one.own_rows} | {one.rows} |"
            f" {one.rows / one.found:.1f} | {one.buffers:,} | {one.milliseconds:.2f} | {one.verdict} |"
        )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.sweeps", description=__doc__)
    parser.add_argument("--rows", type=int, default=crowd.ROWS, help="subscriptions (default a million)")
    parser.add_argument("--due", type=int, default=40, help="rows that are due for each sweep (default 40)")
    arguments = parser.parse_args()
    with bench_server() as server:
        url = server.migrated("sweeps")
        began = time.perf_counter()
        uvloop.run(world.apply_catalog(url))
        crowd.fill(url, arguments.rows)
        print(f"{arguments.rows:,} subscriptions in {time.perf_counter() - began:.0f} s\n")
        readings = []
        for sweep in SWEEPS:
            with psycopg.connect(url, options="-c timezone=UTC") as connection:
                _make_due(connection, sweep, arguments.due)
                connection.commit()
                query, params = uvloop.run(_statement(url, sweep))
                readings.append(_read(connection, sweep, arguments.due, query, params))
    _print(readings)


if __name__ == "__main__":
    main()
