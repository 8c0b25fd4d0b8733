"""The short way answers as the long way would, and hands over whatever it cannot answer."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Receive, Scope
from structlog.testing import capture_logs

from quntedge.edge.app import build
from quntedge.edge.bare import BareRoute, LeanAnswer, json_endpoint
from quntedge.edge.callers import Csrf, Stamp
from quntedge.edge.lean import ClientGone, ShortWay
from quntedge.kit.errors import Conflict
from tests.edge.shop import Shop

ANYONE = Stamp("anyone", Csrf.NONE)


async def _answer(scope: Scope, _receive: Receive) -> bytes:
    return b'{"given":"%s"}' % scope["path_params"].get("name", "none").encode()


async def _only_on_the_long_way(_scope: Scope, _receive: Receive) -> None:
    return None


async def _conflict(_scope: Scope, _receive: Receive) -> bytes:
    raise Conflict("Another one has it.")


async def _crash(_scope: Scope, _receive: Receive) -> bytes:
    raise LookupError("kim@customer.test is not there")


def _route(path: str, lean: LeanAnswer | None) -> BareRoute:
    return BareRoute(path, frozenset({"GET"}), json_endpoint(_answer), ANYONE, lean=lean)


@pytest.fixture
async def http(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    routes = [
        _route("/api/t/short", _answer),
        _route("/api/t/long", None),
        _route("/api/t/handed-over", _only_on_the_long_way),
        _route("/api/t/named/{name}", _answer),
        _route("/api/t/conflict", _conflict),
        _route("/api/t/crash", _crash),
    ]
    app = build(shop.app.state.services, [], routes)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://q.test") as client:
        yield client


async def test_both_ways_give_the_same_answer_with_the_same_headers(http: httpx.AsyncClient) -> None:
    given = {"X-Request-ID": "mine"}
    short, long, handed = [await http.get(f"/api/t/{way}", headers=given) for way in ("short", "long", "handed-over")]
    assert short.status_code == 200
    assert short.json() == long.json() == handed.json() == {"given": "none"}
    assert short.headers["x-request-id"] == "mine"
    assert sorted(short.headers.multi_items()) == sorted(long.headers.multi_items())
    assert sorted(short.headers.multi_items()) == sorted(handed.headers.multi_items())


async def test_parameters_and_methods(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/t/named/kim")).json() == {"given": "kim"}
    for path in ("/api/t/named/", "/api/t/named/a/b", "/api/t/nobody"):
        assert (await http.get(path)).status_code == 404
    refused = await http.post("/api/t/short")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
    head = await http.head("/api/t/short")
    assert (head.status_code, head.headers["content-length"]) == (200, "16")


async def test_what_is_raised_is_answered_like_anywhere_else(http: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        conflict = await http.get("/api/t/conflict")
        crash = await http.get("/api/t/crash", headers={"X-Request-ID": "mine"})
    assert (conflict.status_code, conflict.json()["detail"]) == (409, "Another one has it.")
    assert conflict.headers["x-content-type-options"] == "nosniff"
    assert (crash.status_code, crash.json()["request_id"]) == (500, "mine")
    assert "kim@customer.test" not in crash.text
    lines = [line for line in logs if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in lines] == [("/api/t/crash", 500)], "409 is quiet here"


async def test_nobody_is_answered_when_the_sender_has_gone() -> None:
    async def gone(_scope: Scope, _receive: Receive) -> bytes:
        raise ClientGone

    async def never(*_: object) -> None:
        raise AssertionError

    way = ShortWay(never, [_route("/gone", gone)], https=True)
    await way({"type": "http", "method": "GET", "path": "/gone", "headers": []}, never, never)  # type: ignore[arg-type]
