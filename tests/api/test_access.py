"""The bare access addresses."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.edge.callers import customer
from quntedge.edge.features import require_feature
from quntedge.kit.clock import FrozenClock
from quntedge.kit.ids import new_id
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import Person, Shop, open_shop

router = APIRouter(prefix="/api/test")


@router.get("/analytics", dependencies=[Depends(customer), Depends(require_feature("advanced_analytics"))])
async def analytics() -> dict[str, str]:
    return {"answer": "here"}


@pytest.fixture
async def service(shop: Shop) -> httpx.AsyncClient:
    """A host application's server."""
    return shop.client(headers={"Authorization": f"Bearer {await shop.api_key('access:read')}"})


async def test_one_feature(shop: Shop, kim: Person, service: httpx.AsyncClient) -> None:
    await shop.subscribe(kim.user_id)
    expected = {
        "user": kim.user_id,
        "feature": "advanced_analytics",
        "allowed": True,
        "reason": "subscription_active",
        "until": "2026-10-01T12:00:00Z",
        "grace": False,
        "value": None,
    }
    asked = await service.get(f"/api/subscription/access/advanced_analytics?user={kim.user_id}")
    assert (asked.status_code, asked.json()) == (200, expected)
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["cache-control"] == "no-store"
    assert "x-request-id" in asked.headers
    own = await kim.http.get("/api/subscription/access/advanced_analytics")
    assert own.json() == expected


async def test_all_features(shop: Shop, kim: Person, service: httpx.AsyncClient) -> None:
    for answer in (
        await service.get(f"/api/subscription/access?user={kim.user_id}"),
        await kim.http.get("/api/subscription/access"),
    ):
        assert answer.json()["user"] == kim.user_id
        assert len(answer.json()["features"]) == 9
        assert answer.json()["features"]["community_access"]["allowed"]
        assert not answer.json()["features"]["api_access"]["allowed"]


async def test_an_end_counts_at_once(shop: Shop, kim: Person, service: httpx.AsyncClient) -> None:
    await shop.subscribe(kim.user_id, cancel_at_period_end=True)
    path = f"/api/subscription/access/advanced_analytics?user={kim.user_id}"
    assert (await service.get(path)).json()["allowed"]
    shop.clock.advance(timedelta(days=30))
    answer = (await service.get(path)).json()
    assert (answer["allowed"], answer["reason"], answer["until"]) == (False, "subscription_ended", None)


async def test_a_revoked_key_counts_at_once(shop: Shop, kim: Person, service: httpx.AsyncClient) -> None:
    path = f"/api/subscription/access?user={kim.user_id}"
    assert (await service.get(path)).status_code == 200
    async with shop.units() as unit:
        (key,) = await shop.services.api_keys.list(unit)
        await shop.services.api_keys.revoke(unit, key.id)
        await unit.commit()
    assert (await service.get(path)).status_code == 401


BAD_QUESTIONS = [
    ("/access/no_such?user={kim}", 404, "unknown_feature"),
    ("/access/%00?user={kim}", 404, "unknown_feature"),
    ("/access/%f0%9f%92%a9%0d%0aX:?user={kim}", 404, "unknown_feature"),
    ("/access/" + "x" * 3000 + "?user={kim}", 404, "unknown_feature"),
    ("/access/a/b?user={kim}", 404, "not_found"),
    ("/access/?user={kim}", 404, "not_found"),
    ("/access/api_access", 400, "missing_user"),
    ("/access/api_access?user=", 400, "missing_user"),
    ("/access/api_access?user=usr_1", 400, "invalid_id"),
    ("/access/api_access?user=%00%ff", 400, "invalid_id"),
    ("/access/api_access?user={kim}&user={kim}", 400, "invalid_id"),
    ("/access/api_access?" + "&".join(["a=1"] * 50), 400, "invalid_id"),
    ("/access?user=sub_0123456789abcdefghjkmnpqrs", 400, "invalid_id"),
]


async def test_bad_questions(kim: Person, service: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, status, code in BAD_QUESTIONS:
        with subtests.test(path=path):
            answer = await service.get("/api/subscription" + path.replace("{kim}", kim.user_id))
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_stranger_learns_nothing_about_the_question(shop: Shop) -> None:
    client = shop.client()
    assert (await client.get("/api/subscription/access/no_such")).json()["code"] == "not_signed_in"
    bad = {"Authorization": "Bearer qk_bad"}
    assert (await client.get("/api/subscription/access/no_such?user=x", headers=bad)).json()[
        "code"
    ] == "invalid_api_key"


async def test_a_key_without_the_scope(shop: Shop, kim: Person) -> None:
    headers = {"Authorization": f"Bearer {await shop.api_key('subscription:read')}"}
    answer = await shop.client().get(f"/api/subscription/access?user={kim.user_id}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


async def test_guessing_keys_is_limited_and_good_keys_are_not(shop: Shop, kim: Person) -> None:
    key = await shop.api_key("access:read")
    client = shop.client(address="198.51.100.20")
    path = f"/api/subscription/access?user={kim.user_id}"
    good = [
        answer.status_code
        for answer in await asyncio.gather(
            *(client.get(path, headers={"Authorization": f"Bearer {key}"}) for _ in range(400))
        )
    ]
    assert set(good) == {200}
    guesses = [
        (await client.get(path, headers={"Authorization": f"Bearer qk_{number:043d}"})).status_code
        for number in range(62)
    ]
    assert guesses.count(401) == 60
    assert guesses[-1] == 429


async def test_many_at_once_for_many_users(shop: Shop, kim: Person, service: httpx.AsyncClient) -> None:
    await shop.subscribe(kim.user_id)
    people = [kim, *[await shop.sign_up() for _ in range(4)]]
    paths = [f"/api/subscription/access/unlimited_accounts?user={person.user_id}" for person in people] * 20
    answers = await asyncio.gather(*(service.get(path) for path in paths))
    for path, answer in zip(paths, answers, strict=True):
        assert answer.json()["user"] in path
        assert answer.json()["allowed"] == (answer.json()["user"] == kim.user_id)


async def test_the_batch_check(shop: Shop, kim: Person, service: httpx.AsyncClient) -> None:
    await shop.subscribe(kim.user_id)
    nobody = new_id("usr", shop.clock.now())
    body = {"users": [kim.user_id, nobody], "features": ["advanced_analytics", "basic_dashboard"]}
    answer = await service.post("/api/subscription/access/check", json=body)
    users = answer.json()["users"]
    assert users[kim.user_id]["advanced_analytics"]["allowed"]
    assert users[nobody]["basic_dashboard"] == {
        "allowed": False,
        "reason": "unknown_user",
        "until": None,
        "grace": False,
        "value": None,
    }
    many = [new_id("usr", shop.clock.now()) for _ in range(51)]
    for bad, code in (
        ({"users": many, "features": ["api_access", "basic_dashboard"]}, "malformed"),
        ({"users": [], "features": ["api_access"]}, "malformed"),
        ({"users": ["x"], "features": ["api_access"]}, "malformed"),
        ({"users": [nobody], "features": ["api_access"], "more": 1}, "malformed"),
        ({"users": [nobody], "features": ["no_such"]}, "unknown_feature"),
        ([], "malformed"),
    ):
        refused = await service.post("/api/subscription/access/check", json=bad)
        assert refused.json()["code"] == code, bad
    assert (await kim.http.post("/api/subscription/access/check", json=body)).status_code == 401


async def test_a_route_for_those_whose_plan_includes_a_feature(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    async with open_shop(settings, engine, units, clock, vault, extra=[router]) as shop:
        kim = await shop.sign_up()
        refused = await kim.http.get("/api/test/analytics")
        assert (refused.status_code, refused.json()["code"]) == (403, "feature_not_available")
        assert refused.json()["reason"] == "no_subscription"
        await shop.subscribe(kim.user_id)
        assert (await kim.http.get("/api/test/analytics")).status_code == 200
        assert (await shop.client().get("/api/test/analytics")).status_code == 401
