"""Every way a call can go wrong, and which of the port's errors it becomes."""

import asyncio

import httpx
import pytest

from quntedge.gateway.errors import (
    GatewayError,
    GatewayInvalidAnswer,
    GatewayNotFound,
    GatewayOutcomeUnknown,
    GatewayRateLimited,
    GatewayRejected,
    GatewayUnauthorized,
    GatewayUnavailable,
)
from quntedge.gateway.whop.adapter import WhopGateway
from quntedge.gateway.whop.exchange import Exchange
from quntedge.gateway.whop.limiter import Limiter
from tests.gateway.scripted import SETTINGS, Script, answering, error_body, failing, read, using, write

STATUSES: list[tuple[int, type[GatewayError], type[GatewayError]]] = [
    (400, GatewayRejected, GatewayRejected),
    (401, GatewayUnauthorized, GatewayUnauthorized),
    (402, GatewayRejected, GatewayRejected),
    (403, GatewayRejected, GatewayRejected),
    (404, GatewayNotFound, GatewayNotFound),
    (408, GatewayUnavailable, GatewayOutcomeUnknown),
    (409, GatewayRejected, GatewayRejected),
    (418, GatewayRejected, GatewayRejected),
    (422, GatewayRejected, GatewayRejected),
    (429, GatewayRateLimited, GatewayRateLimited),
    (500, GatewayUnavailable, GatewayOutcomeUnknown),
    (502, GatewayUnavailable, GatewayOutcomeUnknown),
    (503, GatewayUnavailable, GatewayOutcomeUnknown),
    (504, GatewayUnavailable, GatewayOutcomeUnknown),
    (302, GatewayInvalidAnswer, GatewayInvalidAnswer),
]


@pytest.mark.parametrize(("status", "on_read", "on_write"), STATUSES)
@pytest.mark.parametrize("as_json", [True, False])
async def test_each_status_becomes_one_of_the_ports_errors(
    status: int, on_read: type[GatewayError], on_write: type[GatewayError], as_json: bool
) -> None:
    for use, expected in ((read, on_read), (write, on_write)):
        body = error_body("some_type", "Some message.") if as_json else "<html>Bad Gateway</html>"
        answer = httpx.Response(status, json=body) if as_json else httpx.Response(status, text=str(body))
        script = answering(answer)
        with pytest.raises(GatewayError) as caught:
            await using(script, use)
        assert type(caught.value) is expected
        assert str(status) in caught.value.detail
        assert ("Some message." in caught.value.detail) is as_json
        assert "html" not in caught.value.detail
        assert len(script.requests) == 1


NETWORK: list[tuple[type[httpx.TransportError], bool]] = [
    (httpx.ConnectError, False),
    (httpx.ConnectTimeout, False),
    (httpx.PoolTimeout, False),
    (httpx.ReadTimeout, True),
    (httpx.WriteTimeout, True),
    (httpx.ReadError, True),
    (httpx.WriteError, True),
    (httpx.RemoteProtocolError, True),
]


@pytest.mark.parametrize(("failure", "may_have_arrived"), NETWORK)
async def test_a_failed_connection_leaves_a_write_in_doubt_only_if_it_may_have_arrived(
    failure: type[httpx.TransportError], may_have_arrived: bool
) -> None:
    script = failing(lambda request: failure("boom", request=request))
    with pytest.raises(GatewayUnavailable):
        await using(script, read)
    with pytest.raises(GatewayOutcomeUnknown if may_have_arrived else GatewayUnavailable):
        await using(script, write)


async def test_an_answer_that_never_ends_is_given_up() -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    exchange = Exchange(SETTINGS, limiter=Limiter(), transport=httpx.MockTransport(Script(hang)), deadline_seconds=0.01)
    gateway = WhopGateway(SETTINGS, exchange)
    with pytest.raises(GatewayUnavailable):
        await read(gateway)
    with pytest.raises(GatewayOutcomeUnknown):
        await write(gateway)
    await gateway.close()


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"Retry-After": "7"}, "", 7.0),
        ({}, "Try again in 12 seconds.", 12.0),
        ({"Retry-After": "soon"}, "Try again in 12 seconds.", 12.0),
        ({"Retry-After": "999999"}, "", 3600.0),
        ({}, "", 60.0),
    ],
)
async def test_a_refusal_for_haste_says_when_to_come_back(
    headers: dict[str, str], message: str, seconds: float
) -> None:
    answer = httpx.Response(429, headers=headers, json=error_body("rate_limit_exceeded", message))
    with pytest.raises(GatewayRateLimited) as caught:
        await using(answering(answer), write)
    assert caught.value.retry_after_seconds == seconds


async def test_a_write_whose_twin_still_runs_is_in_doubt() -> None:
    busy = httpx.Response(409, json=error_body("idempotency_request_in_progress", "Still running."))
    with pytest.raises(GatewayOutcomeUnknown) as caught:
        await using(answering(busy), write)
    assert caught.value.extra == {"gateway_status": 409, "gateway_error": "idempotency_request_in_progress"}
    coded = httpx.Response(409, json={"error": {"code": "idempotency_request_in_progress"}})
    with pytest.raises(GatewayOutcomeUnknown):
        await using(answering(coded), write)
