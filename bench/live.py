"""Apply, live: deliveries come in at a steady rate while one web process stores and one worker applies them."""

import asyncio
import itertools
from dataclasses import dataclass
from time import monotonic

import psycopg

from bench import product, world
from bench.deliveries import EVENTS_PER_RENEWAL, renewals, signed
from bench.effects import check_renewals
from bench.figures import Figure, Group, percentile
from bench.load import Load, at_rate, steady_count
from bench.plan import Bench

_TEMPLATE = "live"
_TARGET_RATE = 1_800
_TARGET_LAG_MS = 250
# From the target upwards until the worker no longer keeps up.
_STEP = 300
_HIGHEST_RATE = 6_000
_KEPT_UP = 0.97
_CONNECTIONS = 64
_PATIENCE_SECONDS = 60
# A worker that has compiled and planned nothing yet would begin with a queue that takes long to go away.
_WARM_UP_SECONDS = 3

# The commit time is PostgreSQL's own record of the transaction that settled the event, so it is neither before the
# effects were durable nor after. `received_at` is taken before the delivery itself is durable: the lag holds both
# commits, the wait in the inbox and the work.
_LAGS = """
    SELECT 1000 * extract(epoch FROM processed_at - received_at)::float,
           1000 * extract(epoch FROM pg_xact_commit_timestamp(xmin) - received_at)::float,
           extract(epoch FROM pg_xact_commit_timestamp(xmin))::float
    FROM webhook_event ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run at one rate. Lags in milliseconds, the warm-up left out."""

    rate: float
    processed_per_second: float
    to_commit: list[float]
    to_decision: list[float]
    answers: Load
    cost: str

    @property
    def kept_up(self) -> bool:
        """Whether events were finished as fast as they came, and without a growing queue."""
        return self.processed_per_second >= _KEPT_UP * self.rate and percentile(self.to_commit, 99) < 1_000


async def measure(bench: Bench) -> Group:
    """Runs at the target rate, then raises the rate until the worker falls behind; all of it several times."""
    bench.say("apply, live: preparing")
    url = bench.server.migrated(_TEMPLATE)
    people = await world.seed(url, bench.plan.customers, ago=world.PERIOD * 24)
    at_target: list[Run] = []
    highest: list[Run] = []
    for number in range(bench.plan.rounds):
        at_target.append(await _run(bench, people, _TARGET_RATE, number))
        highest.append(await _saturate(bench, people, at_target[-1], number))
    return _group(at_target, highest)


async def _saturate(bench: Bench, people: world.World, first: Run, number: int) -> Run:
    best = first
    for rate in range(_TARGET_RATE + _STEP, _HIGHEST_RATE + 1, _STEP):
        if not best.kept_up:
            return best
        run = await _run(bench, people, rate, number)
        if not run.kept_up:
            # Beyond saturation the throughput is what it is at saturation; the lag is that of a growing queue.
            return max(best, run, key=lambda candidate: candidate.processed_per_second)
        best = run
    return best


def _group(at_target: list[Run], highest: list[Run]) -> Group:
    def lag(runs: list[Run], percent: float) -> tuple[float, ...]:
        return tuple(percentile(run.to_commit, percent) for run in runs)

    decided = percentile(at_target[-1].to_decision, 99)
    answered = 1000 * percentile(at_target[-1].answers.latencies_seconds, 99)
    return Group(
        f"Apply, live: one web process, one worker, PostgreSQL and the generator, at {_TARGET_RATE:,}/s and beyond",
        (
            Figure("live", "events/s", tuple(r.processed_per_second for r in highest), target=_TARGET_RATE),
            Figure("live lag p50", "ms", lag(at_target, 50), higher_is_better=False),
            Figure("live lag p99", "ms", lag(at_target, 99), higher_is_better=False, target=_TARGET_LAG_MS),
            Figure("live lag p99 at most events/s", "ms", lag(highest, 99), higher_is_better=False),
        ),
        (
            "Events/s: the highest rate at which all effects were committed. Lag at the target rate, from the arrival"
            " of the delivery to the commit of its effects as PostgreSQL recorded it.",
            f"p99 until the effects were decided but not committed: {decided:.0f} ms; of the sender's wait for its 200:"
            f" {answered:.0f} ms.",
            at_target[-1].cost,
        ),
    )


async def _run(bench: Bench, people: world.World, rate: float, number: int) -> Run:
    bench.say(f"apply, live: round {number + 1} of {bench.plan.rounds}, {rate:,.0f} events/s")
    plan = bench.plan
    count = steady_count(_WARM_UP_SECONDS + plan.live_seconds, rate, _WARM_UP_SECONDS)
    deliveries = list(itertools.islice(renewals(people), count))
    with (
        bench.server.clone(_TEMPLATE) as url,
        product.worker(url) as worker,
        product.web(url) as (web, port),
    ):
        before = worker.cpu_seconds(), web.cpu_seconds(), bench.server.cpu_seconds()
        answers = await at_rate(
            port,
            iter(signed(deliveries)),
            rate=rate,
            connections=_CONNECTIONS,
            warm_up_seconds=_WARM_UP_SECONDS,
            seconds=plan.live_seconds,
        )
        await _wait_until_applied(url)
        after = worker.cpu_seconds(), web.cpu_seconds(), bench.server.cpu_seconds()
        check_renewals(url, answers.acknowledged // EVENTS_PER_RENEWAL, begun=answers.acknowledged % EVENTS_PER_RENEWAL)
        return _result(url, rate, answers, _cost(before, after, answers.acknowledged))


def _cost(before: tuple[float, ...], after: tuple[float, ...], events: int) -> str:
    worker, web, database = (1e6 * (b - a) / events for a, b in zip(before, after, strict=True))
    return f"Processor time for each event: web {web:.0f} µs, worker {worker:.0f} µs, PostgreSQL {database:.0f} µs."


async def _wait_until_applied(url: str) -> None:
    give_up = monotonic() + _PATIENCE_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        while monotonic() < give_up:
            row = connection.execute(
                "SELECT count(*) FROM webhook_event WHERE state IN ('received', 'processing', 'retrying')"
            ).fetchone()
            if row == (0,):
                return
            await asyncio.sleep(0.2)
    raise TimeoutError(f"the worker did not finish within {_PATIENCE_SECONDS} seconds")


def _result(url: str, rate: float, answers: Load, cost: str) -> Run:
    with psycopg.connect(url) as connection:
        rows = connection.execute(_LAGS).fetchall()
    warm = rows[steady_count(_WARM_UP_SECONDS, rate, _WARM_UP_SECONDS) :]
    commits = sorted(row[2] for row in warm)
    # Commits come in batches: the rate is that from the first batch's end to the last one's.
    first = commits[0]
    later = sum(commit > first for commit in commits)
    return Run(
        rate=rate,
        processed_per_second=later / (commits[-1] - first),
        to_commit=[row[1] for row in warm],
        to_decision=[row[0] for row in warm],
        answers=answers,
        cost=cost,
    )
