import re
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import StreamingResponse
from structlog.testing import capture_logs

from quntedge.edge.callers import anyone
from quntedge.edge.errors import InternalError
from quntedge.gateway.errors import GatewayRejected, GatewayUnavailable
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.edge.shop import Person, Shop, open_shop

router = APIRouter(prefix="/api/test", dependencies=[Depends(anyone)])


@router.post("/echo")
async def echo(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.post("/json")
async def read(body: dict[str, int]) -> dict[str, int]:
    return body


@router.get("/gateway/{kind}")
async def gateway(kind: str) -> None:
    if kind == "rejected":
        raise GatewayRejected("POST /api/v1/plans said: key apik_0123456789 may not")
    raise GatewayUnavailable("10.0.0.7 timed out")


@router.get("/cut")
async def cut() -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise InternalError

    return StreamingResponse(body())


@pytest.fixture
async def trying(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> AsyncIterator[Shop]:
    async with open_shop(settings, engine, units, clock, vault, extra=[router]) as shop:
        yield shop


async def test_a_request_id_is_made_or_taken_over_when_it_is_one(trying: Shop) -> None:
    client = trying.client()
    made = (await client.get("/health/live")).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{24}", made)
    given = await client.get("/health/live", headers={"X-Request-ID": "abc_DEF-1"})
    assert given.headers["x-request-id"] == "abc_DEF-1"
    for bad in ("a b", "x" * 65, "<script>", "é", ""):
        answer = await client.get("/health/live", headers={"X-Request-ID": bad.encode()})
        assert re.fullmatch(r"[0-9a-f]{24}", answer.headers["x-request-id"])


async def test_the_log_line_names_the_route_and_nobody(trying: Shop, kim_there: Person) -> None:
    with capture_logs() as logs:
        await kim_there.http.get("/api/payment/invoices/inv_of_somebody?email=kim%40customer.test")
        await kim_there.http.get("/no/such/kim@customer.test")
        await kim_there.http.get("/health/live")
    lines = [line for line in logs if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/api/payment/invoices/{invoice_id}", 404),
        ("unmatched", 404),
    ]
    assert all(set(line) == {"event", "log_level", "method", "route", "status", "ms"} for line in lines)


@pytest.fixture
async def kim_there(trying: Shop) -> Person:
    return await trying.sign_up()


async def test_a_body_over_the_limit_is_refused_announced_or_not(trying: Shop) -> None:
    client = trying.client()
    limit = 1024 * 1024
    fits = await client.post("/api/test/echo", content=b"x" * limit)
    assert (fits.status_code, fits.json()) == (200, {"bytes": limit})

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b"x" * 65536

    for content in (b"x" * (limit + 1), chunks()):
        answer = await client.post("/api/test/echo", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    lying = await client.post("/api/test/echo", content=b"x", headers={"Content-Length": "9" * 400})
    assert lying.status_code == 413


async def test_what_is_not_json_is_a_400(trying: Shop, subtests: pytest.Subtests) -> None:
    client = trying.client(headers={"Content-Type": "application/json"})
    huge_number, deep = b'{"a": ' + b"9" * 5000 + b"}", b"[" * 100_000
    for body in (b"{", b"\xff\xfe{}", b"[1,", b"nonsense", huge_number, deep):
        with subtests.test(body=body[:10]):
            answer = await client.post("/api/test/json", content=body)
            assert answer.status_code == 400
            assert answer.json()["code"] in ("invalid_json", "invalid_body")


async def test_json_of_the_wrong_form_is_a_422_that_names_the_field(trying: Shop) -> None:
    answer = await trying.client().post("/api/test/json", json={"a": "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert [error["field"] for error in answer.json()["errors"]] == ["a"]
    surrogate = await trying.client().post(
        "/api/test/json", content=rb'{"\ud800": "x"}', headers={"Content-Type": "application/json"}
    )
    assert surrogate.status_code == 422


async def test_addresses_and_methods_that_do_not_exist(trying: Shop) -> None:
    client = trying.client()
    missing = await client.get("/api/no/such")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["content-type"] == "application/problem+json"
    for method, path, allowed in (
        ("DELETE", "/api/subscription/plans", "GET"),
        ("POST", "/api/subscription/access", "GET"),
        ("PUT", "/api/subscription/access/api_access", "GET"),
        ("GET", "/api/payment/checkout", "POST"),
    ):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), path
        assert answer.headers["allow"] == allowed
    assert (await client.get("/pricing/")).status_code == 404


async def test_head_is_answered_like_get(trying: Shop) -> None:
    answer = await trying.client().head("/pricing")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


async def test_what_the_gateway_said_stays_inside(trying: Shop) -> None:
    client = trying.client()
    with capture_logs() as logs:
        rejected = await client.get("/api/test/gateway/rejected")
        unavailable = await client.get("/api/test/gateway/unavailable")
    assert (rejected.status_code, rejected.json()["code"]) == (502, "gateway_error")
    assert unavailable.status_code == 503
    assert "apik" not in rejected.text
    assert "10.0.0.7" not in unavailable.text
    assert len([line for line in logs if line["event"] == "gateway.failed"]) == 2


async def test_an_answer_cut_off_halfway_is_not_passed_off_as_whole(trying: Shop) -> None:
    client = trying.client()
    client._transport.raise_app_exceptions = True  # type: ignore[attr-defined]
    with capture_logs(), pytest.raises(RuntimeError):
        await client.get("/api/test/cut")


async def test_the_security_headers_of_a_page_and_of_data(trying: Shop) -> None:
    client = trying.client()
    page = await client.get("/pricing")
    policy = page.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    assert f'nonce="{nonce[1]}"' in page.text
    assert "form-action 'self' https://checkout.example;" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert (await client.get("/pricing")).headers["content-security-policy"] != policy, "a nonce is used once"
    data = await client.get("/api/subscription/plans")
    assert data.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    for answer in (page, data):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "strict-transport-security" not in answer.headers
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert "permissions-policy" in page.headers


async def test_https_brings_hsts_and_host_bound_cookies(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    secure = settings.model_copy(update={"base_url": "https://pay.example.test"})
    async with open_shop(secure, engine, units, clock, vault) as shop:
        client = shop.client()
        client.base_url = "https://pay.example.test"
        page = await client.get("/sign-in")
        assert page.headers["strict-transport-security"].startswith("max-age=63072000")
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("__Host-quntedge_visitor=")
        for attribute in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
            assert attribute in cookie
        assert "Domain" not in cookie


async def test_one_client_cannot_flood_and_others_do_not_notice(trying: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # However long the requests take, they are all of one instant.
    monkeypatch.setattr(trying.services.limits, "_clock", lambda: 1.0)
    client = trying.client(address="198.51.100.99")
    statuses = [(await client.get("/health/live")).status_code for _ in range(320)]
    assert set(statuses) == {200}, "health checks are never limited"
    statuses = [(await client.get("/openapi.json")).status_code for _ in range(301)]
    assert statuses.count(429) == 1
    refused = await client.get("/api/subscription/plans")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after_seconds"] >= 1
    dodging = await client.get("/api/subscription/plans", headers={"Authorization": "Bearer x"})
    assert dodging.status_code == 429, "the header helps only where keys are read"
    page = await client.get("/pricing", headers={"Accept": "text/html"})
    assert page.status_code == 429
    assert "text/html" in page.headers["content-type"]
    assert (await trying.client(address="198.51.100.98").get("/api/subscription/plans")).status_code == 200


async def test_an_invented_forwarding_header_does_not_evade_the_limit(trying: Shop) -> None:
    client = trying.client(address="198.51.100.97")
    for number in range(11):
        answer = await client.post(
            "/api/account/sign-in",
            json={"email": f"a{number}@customer.test", "password": "x"},
            headers={"X-Forwarded-For": f"203.0.113.{number}"},
        )
    assert answer.status_code == 429


async def test_behind_a_trusted_proxy_clients_are_told_apart(
    settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    behind = settings.model_copy(update={"trusted_proxies": ["10.0.0.0/8"]})
    async with open_shop(behind, engine, units, clock, vault) as shop:
        client = shop.client(address="10.0.0.5")
        for number in range(11):
            answer = await client.post(
                "/api/account/sign-in",
                json={"email": f"a{number}@customer.test", "password": "x"},
                headers={"X-Forwarded-For": f"1.1.1.1, 203.0.113.{number}"},
            )
            assert answer.status_code == 401


async def test_errors_are_pages_for_people_and_problems_for_programs(trying: Shop) -> None:
    client = trying.client()
    page = await client.get("/nowhere", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["x-request-id"] in page.text
    program = await client.get("/nowhere", headers={"Accept": "application/json"})
    assert program.headers["content-type"] == "application/problem+json"
    api = await client.get("/api/nowhere", headers={"Accept": "text/html"})
    assert api.headers["content-type"] == "application/problem+json"
