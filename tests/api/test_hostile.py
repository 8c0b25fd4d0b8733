"""A hostile client walks the description of the API: what money routes are sent that no honest client would send.

Every answer is one that the description names, says what is wrong and how to mend it, and leaves every table as it was,
but for the audit log.
"""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.accounts.api_keys import SCOPES
from quntedge.edge.limits import RateLimits
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.api.hostile import Attack, Operation
from tests.edge.shop import Shop, open_shop


@pytest.fixture
async def unlimited(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> AsyncIterator[Shop]:
    """A shop in which every request comes minutes after the one before."""
    ticks = itertools.count(step=1000.0)
    limits = RateLimits(lambda: next(ticks))
    async with open_shop(settings, engine, units, clock, vault, changes={"limits": limits}) as shop:
        yield shop


async def fingerprints(shop: Shop) -> dict[str, tuple[int, str]]:
    """What is in every table but the audit log's: how many rows, and a digest of them."""
    async with shop.units() as unit:
        names = await unit.session.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'audit\\_%'")
        )
        query = " UNION ALL ".join(
            f"SELECT '{name}' AS name, count(*), md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))) "
            f'FROM "{name}" AS x'
            for name in names
        )
        return {row.name: tuple(row[1:]) for row in await unit.session.execute(text(query))}


async def attacks_that_got_through(shop: Shop, *, every: int) -> tuple[int, list[str]]:
    """How many attacks there were (each operation's in turn, every so many), and what was wrong with which answer."""
    kim, key = await shop.sign_up(), await shop.api_key(*SCOPES)
    people = {
        "/api/payment/": (kim.http, kim.headers()),
        "/api/admin/": (shop.client(), {"Authorization": f"Bearer {key}"}),
    }
    document: dict[str, Any] = shop.app.openapi()
    number, wrong = itertools.count(), []
    before = await fingerprints(shop)
    for (root, (http, headers)), path in itertools.product(people.items(), document["paths"]):
        for method in document["paths"][path] if path.startswith(root) else ():
            operation = Operation(document, method, path)
            for attack in operation.attacks():
                if (count := next(number)) % every:
                    continue
                sent = {"Content-Type": "application/json", **headers, **attack.headers}
                if operation.is_keyed and not attack.what.startswith("key "):
                    sent["Idempotency-Key"] = f"key-{count}"
                raw = [(name.encode(), value.encode()) for name, value in sent.items()]
                answer = await http.request(operation.method, attack.url, content=attack.content, headers=raw)
                wrong += [f"{method} {path}, {attack.what}: {why}" for why in complaints(operation, attack, answer)]
    after = await fingerprints(shop)
    return next(number), [*wrong, *(f"{table} was changed" for table in before if before[table] != after[table])]


def complaints(operation: Operation, attack: Attack, answer: httpx.Response) -> list[str]:
    """What is wrong with an answer."""
    found = []
    if answer.status_code not in operation.answers and not (attack.is_nowhere and answer.status_code == 404):
        found.append(f"{answer.status_code} is not described")
    if answer.status_code >= 500:
        found.append("it broke")
    if answer.status_code < 400:
        return [*found, "it was accepted"] if attack.refused else found
    problem = answer.json() if answer.headers["content-type"] == "application/problem+json" else {}
    if not problem.get("code") or len(problem.get("detail", "")) < 15 or problem.get("status") != answer.status_code:
        found.append(f"it is not explained: {answer.text[:200]}")
    return found


async def test_nothing_that_a_hostile_client_sends_gets_through(unlimited: Shop) -> None:
    number, wrong = await attacks_that_got_through(unlimited, every=41)
    assert wrong == []
    assert number > 4_000


@pytest.mark.long
async def test_nothing_at_all_gets_through(unlimited: Shop) -> None:
    _, wrong = await attacks_that_got_through(unlimited, every=1)
    assert wrong == []
