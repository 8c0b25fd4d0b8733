"""Apply, drained: how fast one worker empties a full inbox, and how fast its SQL alone would go."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import world
from bench.children import child
from bench.database import settle
from bench.deliveries import EVENTS_PER_RENEWAL, Delivery, renewal_bodies
from bench.effects import check_renewals
from bench.figures import Figure, Group, ratio
from bench.plan import Bench
from quntedge.wiring import build

_TEMPLATE = "drain"


async def measure(bench: Bench) -> Group:
    """Alternates between the recorded statements and the worker, each on a fresh copy of the same full inbox."""
    plan = bench.plan
    bench.say("apply: filling an inbox")
    url = bench.server.migrated(_TEMPLATE)
    people = await world.seed(url, plan.customers, ago=world.PERIOD * 2)
    await _fill(url, renewal_bodies(people, plan.customers))
    events = plan.customers * EVENTS_PER_RENEWAL
    ours: list[dict[str, Any]] = []
    floor: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="quntedge-bench-") as folder:
        recording = Path(folder) / "statements.pickle"
        bench.say("apply: recording what the worker says to PostgreSQL")
        _record(bench, recording)
        for number in range(plan.rounds):
            bench.say(f"apply: round {number + 1} of {plan.rounds}")
            floor.append(_run(bench, "bench.floor_process", str(recording)))
            ours.append(_run(bench, "bench.worker_process", "drain"))
    return _group(events, ours, floor)


def _group(events: int, ours: Sequence[dict[str, Any]], floor: Sequence[dict[str, Any]]) -> Group:
    rates = tuple(events / run["seconds"] for run in ours)
    bare = tuple(events / run["seconds"] for run in floor)
    worker_us, sql_us = (1e6 * runs[-1]["cpu_seconds"] / events for runs in (ours, floor))
    database_us = 1e6 * ours[-1]["database_seconds"] / events
    return Group(
        f"Apply, drained: one worker empties an inbox of {events:,} renewal events",
        (
            Figure("drain", "events/s", rates),
            Figure("same SQL alone", "events/s", bare, is_floor=True),
            ratio("drain of same SQL alone", rates, bare, 50),
        ),
        (
            "Every event with all its effects: subscription, membership, history, transaction, numbered invoice, mail"
            " in the queue with its job, notifications. Checked after each round.",
            f"Processor time for each event: worker {worker_us:.0f} µs (same SQL alone {sql_us:.0f} µs), PostgreSQL"
            f" {database_us:.0f} µs.",
        ),
    )


async def _fill(url: str, deliveries: Sequence[Delivery]) -> None:
    """Puts deliveries into the inbox in the order in which they happened, as the endpoint would."""
    runtime = build(world.settings(url), url)
    try:
        for start in range(0, len(deliveries), 500):
            some = deliveries[start : start + 500]
            await asyncio.gather(*(runtime.inbox.accept(d.webhook_id, d.body) for d in some))
    finally:
        await runtime.close()
    settle(url)


def _record(bench: Bench, file: Path) -> None:
    with bench.server.clone(_TEMPLATE) as url:
        with child("bench.worker_process", "record", str(file), environment=world.environment(url)) as worker:
            worker.finish()
        check_renewals(url, bench.plan.customers)


def _run(bench: Bench, module: str, argument: str) -> dict[str, Any]:
    with bench.server.clone(_TEMPLATE) as url:
        before = bench.server.cpu_seconds()
        with child(module, argument, environment=world.environment(url)) as runner:
            result = runner.hear()
            result["database_seconds"] = bench.server.cpu_seconds() - before
            runner.finish()
        check_renewals(url, bench.plan.customers)
    return result
