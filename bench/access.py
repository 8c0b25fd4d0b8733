"""Access checks: a host application's server asks about one user after the other."""

import itertools
import random
from collections.abc import Sequence

from bench import product, world
from bench.figures import Figure, Group, percentile, ratio
from bench.hello import hello
from bench.load import Load, as_fast_as_possible
from bench.plan import Bench
from quntedge.wiring import build

_DATABASE = "access"
_FEATURE = "advanced_analytics"


async def measure(bench: Bench) -> Group:
    """Alternates between the floor and checks of users in random order."""
    plan = bench.plan
    bench.say("access: preparing")
    url = bench.server.migrated(_DATABASE)
    people = await world.seed(url, plan.access_customers)
    requests = _requests([customer.user_id for customer in people.customers], await _api_key(url))
    floor: list[Load] = []
    ours: list[Load] = []
    for number in range(plan.rounds):
        bench.say(f"access: round {number + 1} of {plan.rounds}")
        floor.append(await hello(plan))
        ours.append(await _round(bench, url, requests))
    rates = tuple(load.per_second for load in ours)
    bare = tuple(load.per_second for load in floor)
    p50, p99 = (tuple(1000 * percentile(load.latencies_seconds, percent) for load in ours) for percent in (50, 99))
    return Group(
        f"Access: checks of one feature by a service, users spread over {plan.access_customers:,} subscriptions",
        (
            Figure("access checks", "/s", rates),
            Figure("access p50", "ms", p50, higher_is_better=False),
            Figure("access p99", "ms", p99, higher_is_better=False),
            Figure("hello, beside access", "/s", bare, is_floor=True),
            ratio("access of hello", rates, bare, 40),
        ),
        (f"{plan.connections} connections; no cache of any kind, so a change counts at the next check.",),
    )


async def _api_key(url: str) -> str:
    runtime = build(world.settings(url), url)
    try:
        async with runtime.units() as unit:
            _, token = await runtime.services.api_keys.create(unit, "bench", ["access:read"])
            await unit.commit()
            return token
    finally:
        await runtime.close()


def _requests(user_ids: Sequence[str], token: str) -> list[bytes]:
    shuffled = list(user_ids)
    random.Random(1).shuffle(shuffled)
    return [
        (
            f"GET /api/subscription/access/{_FEATURE}?user={user_id} HTTP/1.1\r\nhost: bench.test\r\n"
            f"user-agent: bench\r\naccept: */*\r\nauthorization: Bearer {token}\r\n\r\n"
        ).encode()
        for user_id in shuffled
    ]


async def _round(bench: Bench, url: str, requests: Sequence[bytes]) -> Load:
    with product.web(url) as (_, port):
        return await as_fast_as_possible(
            port,
            itertools.cycle(requests),
            connections=bench.plan.connections,
            warm_up_seconds=bench.plan.warm_up_seconds,
            seconds=bench.plan.seconds,
        )
