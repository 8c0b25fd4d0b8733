"""Requests made up from the API's own description: whatever is sent, the answer is one that the description names."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.edge.limits import RateLimits
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.serving import serving
from tests.edge.shop import Shop, open_shop

EXAMPLES = 12


@pytest.fixture
async def unlimited(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> AsyncIterator[Shop]:
    """A shop in which every request comes minutes after the one before."""
    ticks = itertools.count(step=1000.0)
    limits = RateLimits(lambda: next(ticks))
    async with open_shop(settings, engine, units, clock, vault, changes={"limits": limits}) as shop:
        yield shop


@pytest.mark.long
@pytest.mark.parametrize(
    "caller",
    ["nobody", "customer", "service"],
)
async def test_every_answer_is_one_that_is_described(unlimited: Shop, caller: str) -> None:
    kim = await unlimited.sign_up()
    await unlimited.subscribe(kim.user_id)
    await unlimited.payment(kim.user_id)
    await unlimited.invoice(kim.user_id)
    headers = {
        "nobody": {},
        "customer": {"Cookie": f"quntedge_session={unlimited.cookie(kim)}", "X-CSRF-Token": kim.csrf},
        "service": {"Authorization": f"Bearer {await unlimited.api_key()}"},
    }[caller]
    document = unlimited.app.openapi()
    async with serving(unlimited.app) as url:
        statuses = await asyncio.to_thread(_fuzz, document, url, headers, kim.user_id)
    assert statuses.total() > 100
    assert statuses[200] >= {"nobody": 3, "customer": 60, "service": 10}[caller]


def _fuzz(document: dict[str, Any], url: str, headers: Mapping[str, str], user_id: str) -> Counter[int]:
    schema = schemathesis.openapi.from_dict(document)
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        if "Cookie" in headers and operation.path.endswith(("/sign-out", "/sign-in", "/sign-up")):
            continue  # each would end the session that the others need

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            case.cookies.clear()
            if "user" in case.query and statuses.total() % 2:
                case.query["user"] = user_id
            response = case.call(base_url=url, headers=dict(headers))
            statuses[response.status_code] += 1
            assert response.status_code < 500 or response.json()["code"] == "plan_unavailable", response.text
            case.validate_response(
                response,
                checks=[status_code_conformance, content_type_conformance, response_schema_conformance],
            )

        ask()
    return statuses
