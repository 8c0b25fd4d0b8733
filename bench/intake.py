"""Intake: how many signed, distinct deliveries a second one web process makes durable."""

from statistics import fmean

import psycopg

from bench import product, world
from bench.deliveries import renewal_bodies, signed
from bench.figures import Figure, Group, percentile, ratio
from bench.hello import hello
from bench.load import Load, as_fast_as_possible
from bench.plan import Bench

_TEMPLATE = "intake"
# More than any machine of today takes in: running out of deliveries would end a round early.
_MOST_PER_SECOND = 14_000


async def measure(bench: Bench) -> Group:
    """Alternates between the floor and the product and counts the rows after each round."""
    bench.say("intake: preparing")
    url = bench.server.migrated(_TEMPLATE)
    people = await world.seed(url, 1_000)
    plan = bench.plan
    wanted = int((plan.warm_up_seconds + plan.seconds) * _MOST_PER_SECOND)
    deliveries = renewal_bodies(people, wanted // 3)
    floor: list[Load] = []
    ours: list[Load] = []
    cost: list[str] = []
    for number in range(plan.rounds):
        bench.say(f"intake: round {number + 1} of {plan.rounds}")
        floor.append(await hello(plan))
        load, used = await _round(bench, signed(deliveries))
        ours.append(load)
        cost.append(used)
    size = fmean(len(delivery.body) for delivery in deliveries)
    return Group(
        "Intake: signed, distinct, durable deliveries into one web process",
        _figures(ours, floor),
        (
            f"{plan.connections} connections, bodies of {size:,.0f} bytes on average; the load generator, the web"
            " process and PostgreSQL share the machine.",
            f"After each round there were as many rows as acknowledgements: {sum(x.acknowledged for x in ours):,}.",
            *cost[-1:],
        ),
    )


def _figures(ours: list[Load], floor: list[Load]) -> tuple[Figure, ...]:
    rates = tuple(load.per_second for load in ours)
    bare = tuple(load.per_second for load in floor)
    return (
        Figure("intake", "/s", rates, target=5_000),
        Figure("intake p50", "ms", _latency(ours, 50), higher_is_better=False),
        Figure("intake p99", "ms", _latency(ours, 99), higher_is_better=False),
        Figure("hello, beside intake", "/s", bare, is_floor=True),
        Figure("hello p99, beside intake", "ms", _latency(floor, 99), higher_is_better=False, is_floor=True),
        ratio("intake of hello", rates, bare, 20),
    )


def _latency(loads: list[Load], percent: float) -> tuple[float, ...]:
    return tuple(1000 * percentile(load.latencies_seconds, percent) for load in loads)


async def _round(bench: Bench, requests: list[bytes]) -> tuple[Load, str]:
    with bench.server.clone(_TEMPLATE) as url, product.web(url) as (web, port):
        before = web.cpu_seconds(), bench.server.cpu_seconds()
        load = await as_fast_as_possible(
            port,
            iter(requests),
            connections=bench.plan.connections,
            warm_up_seconds=bench.plan.warm_up_seconds,
            seconds=bench.plan.seconds,
        )
        used = web.cpu_seconds() - before[0], bench.server.cpu_seconds() - before[1]
        _check(url, load)
    web_us, database_us = (1e6 * seconds / load.acknowledged for seconds in used)
    return load, f"Processor time for each delivery: web {web_us:.0f} µs, PostgreSQL {database_us:.0f} µs."


def _check(url: str, load: Load) -> None:
    """What was acknowledged is there, body and all, and nothing else is."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT (SELECT count(*) FROM webhook_event WHERE state = 'received'), (SELECT count(*) FROM webhook_body)"
        ).fetchone()
    if found != (load.acknowledged, load.acknowledged):
        raise AssertionError(
            f"{load.acknowledged} deliveries were acknowledged, (events, bodies) in the inbox: {found}"
        )
