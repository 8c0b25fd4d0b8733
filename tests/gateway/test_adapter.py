"""The adapter against scripted answers: errors, retries, headers, paging and odd shapes.

What Whop's API does when all goes well is tested against the emulator, not here.
"""

import asyncio
from typing import Any

import httpx
import pytest

from quntedge.gateway.errors import GatewayInvalidAnswer, GatewayOutcomeUnknown, GatewayUnavailable
from quntedge.gateway.port import CheckoutRequest, PlanRequest
from quntedge.gateway.whop.adapter import WhopGateway
from quntedge.gateway.whop.config import WhopSettings
from quntedge.kit.money import Money
from tests.gateway import payloads
from tests.gateway.payloads import ACCOUNT_ID
from tests.gateway.scripted import SETTINGS, Script, answering, error_body, read, using, write


async def test_reads_are_sent_again_and_writes_never() -> None:
    good = httpx.Response(200, json=payloads.native_membership())
    script = answering(httpx.Response(503), good)
    snapshot = await using(script, read, read_retries=1)
    assert snapshot.membership_id == "mem_3Fd"
    assert len(script.requests) == 2
    script = answering(httpx.Response(503), httpx.Response(201, json={"id": "prod_1", "title": "QuntEdge"}))
    with pytest.raises(GatewayOutcomeUnknown):
        await using(script, write, read_retries=1)
    assert len(script.requests) == 1


async def test_every_request_carries_key_and_version_and_only_writes_an_idempotency_key() -> None:
    script = answering(httpx.Response(200, json=payloads.native_membership()))
    await using(script, read)
    product = answering(httpx.Response(201, json={"id": "prod_1", "title": "QuntEdge"}))
    await using(product, write)
    get, post = script.requests[0], product.requests[0]
    assert str(get.url) == "http://127.0.0.1:9000/api/v1/memberships/mem_3Fd"
    for request in (get, post):
        assert request.headers["authorization"] == "Bearer whop_test_key_do_not_log"
        assert request.headers["api-version-date"] == "2026-10-15-1"
    assert "idempotency-key" not in get.headers
    assert post.headers["idempotency-key"] == "key-1"
    assert product.bodies() == [{"title": "QuntEdge", "account_id": ACCOUNT_ID, "metadata": {}}]


async def test_two_writes_have_two_keys() -> None:
    script = answering(httpx.Response(201, json={"id": "prod_1", "title": "QuntEdge"}))

    async def twice(gateway: WhopGateway) -> None:
        await gateway.create_product("A", metadata={}, idempotency_key="key-a")
        await gateway.create_product("B", metadata={}, idempotency_key="key-b")

    await using(script, twice)
    assert [request.headers["idempotency-key"] for request in script.requests] == ["key-a", "key-b"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "a\r\nb", "schlüssel"])
async def test_an_idempotency_key_whop_would_refuse_is_refused_here(key: str) -> None:
    script = answering(httpx.Response(201, json={}))
    with pytest.raises(ValueError, match="idempotency key"):
        await using(script, lambda gateway: gateway.create_product("A", metadata={}, idempotency_key=key))
    assert script.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"\xff\xfe"),
        httpx.Response(200, content=b"[" * 50_000),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"id": 7}),
        httpx.Response(200, json={"data": []}),
    ],
)
async def test_a_success_that_cannot_be_understood_is_an_invalid_answer(answer: httpx.Response) -> None:
    with pytest.raises(GatewayInvalidAnswer):
        await using(answering(answer), read)


async def test_an_answer_the_sdk_cannot_model_is_still_read() -> None:
    """The SDK's model demands many fields; ours only what we use."""
    bare = {"id": "mem_1", "status": "active", "plan_id": "plan_1", "created_at": 1790676930}
    snapshot = await using(answering(httpx.Response(200, json=bare)), read)
    assert (snapshot.membership_id, snapshot.plan_id) == ("mem_1", "plan_1")
    bare_payment = b'{"id":"pay_1","status":"paid","currency":"usd","total":1234567890123.45}'
    payment = await using(
        answering(httpx.Response(200, content=bare_payment, headers={"content-type": "application/json"})),
        lambda gateway: gateway.payment("pay_1"),
    )
    assert payment.total == Money(123456789012345, "usd")


async def test_the_secret_key_and_the_answers_content_stay_out_of_errors() -> None:
    answer = httpx.Response(500, json={"error": {"message": "kim\x00\n" + "x" * 500}, "email": "kim@example.org"})
    with pytest.raises(GatewayUnavailable) as caught:
        await using(answering(answer), read)
    error = caught.value
    assert len(error.detail) < 300
    assert error.detail.isprintable()
    for text in (repr(error), str(error.__cause__), str(error.__context__), repr(SETTINGS)):
        assert "kim@example.org" not in text
        assert "do_not_log" not in text


async def test_lists_follow_the_cursor_until_the_last_page() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("after", "0"))
        data = [payloads.native_refund(id=f"rf_{start + offset}") for offset in range(2)]
        info = {"has_next_page": start < 4, "end_cursor": str(start + 2)}
        return httpx.Response(200, json={"data": data, "page_info": info})

    script = Script(page)
    refunds = await using(script, lambda gateway: gateway.refunds_of("pay_A1"))
    assert [refund.refund_id for refund in refunds] == [f"rf_{number}" for number in range(6)]
    for request in script.requests:
        assert dict(request.url.params) | {"after": ""} == {
            "account_id": ACCOUNT_ID,
            "payment_id": "pay_A1",
            "first": "100",
            "after": "",
        }


@pytest.mark.parametrize(
    "info", [{"has_next_page": True, "end_cursor": "same"}, {"has_next_page": True, "end_cursor": None}]
)
async def test_a_list_that_does_not_move_on_is_an_invalid_answer(info: dict[str, Any]) -> None:
    script = answering(httpx.Response(200, json={"data": [], "page_info": info}))
    with pytest.raises(GatewayInvalidAnswer):
        await using(script, lambda gateway: gateway.plans())
    assert len(script.requests) <= 2


async def test_products_of_other_accounts_are_left_out() -> None:
    products = [
        {"id": "prod_1", "title": "Ours", "account": {"id": ACCOUNT_ID}},
        {"id": "prod_2", "title": "Theirs", "account": {"id": "biz_other"}},
        {"id": "prod_3", "title": "Unmarked", "metadata": {"key": "k"}},
    ]
    script = answering(httpx.Response(200, json={"data": products, "page_info": {"has_next_page": False}}))
    found = await using(script, lambda gateway: gateway.products())
    assert [(product.product_id, product.title) for product in found] == [("prod_1", "Ours"), ("prod_3", "Unmarked")]
    assert script.requests[0].url.params["account_id"] == ACCOUNT_ID


def plan_answer(**over: Any) -> httpx.Response:
    plan = {
        "id": "plan_1",
        "plan_type": "renewal",
        "initial_price": 0.0,
        "renewal_price": 29.99,
        "billing_period": 30.0,
        "currency": "usd",
        "title": "Monthly",
        "product": {"id": "prod_1"},
        "trial_period_days": 7.0,
        "visibility": "hidden",
        "metadata": {"plan": "monthly"},
    }
    return httpx.Response(201, json=plan | over)


async def test_a_recurring_plan_charges_the_same_every_period() -> None:
    script = answering(plan_answer())
    request = PlanRequest("prod_1", "Monthly", Money(2999, "usd"), 30, 7, "All of it", {"plan": "monthly"})
    plan = await using(script, lambda gateway: gateway.create_plan(request, idempotency_key="k"))
    assert script.bodies() == [
        {
            "account_id": ACCOUNT_ID,
            "product_id": "prod_1",
            "title": "Monthly",
            "description": "All of it",
            "currency": "usd",
            "plan_type": "renewal",
            "initial_price": 0,
            "renewal_price": 29.99,
            "billing_period": 30,
            "trial_period_days": 7,
            "visibility": "hidden",
            "release_method": "buy_now",
            "unlimited_stock": True,
            "metadata": {"plan": "monthly"},
        }
    ]
    assert (plan.plan_id, plan.product_id, plan.price) == ("plan_1", "prod_1", Money(2999, "usd"))
    assert (plan.period_days, plan.trial_days, plan.archived) == (30, 7, False)


async def test_a_one_time_plan_charges_once() -> None:
    answer = plan_answer(
        plan_type="one_time", initial_price=499, renewal_price=0, billing_period=None, trial_period_days=None
    )
    script = answering(answer)
    request = PlanRequest("prod_1", "Lifetime", Money(49900, "usd"), None)
    plan = await using(script, lambda gateway: gateway.create_plan(request, idempotency_key="k"))
    body = script.bodies()[0]
    assert (body["plan_type"], body["initial_price"]) == ("one_time", 499)
    assert not {"renewal_price", "billing_period", "trial_period_days", "description"} & body.keys()
    assert (plan.price, plan.period_days, plan.trial_days) == (Money(49900, "usd"), None, None)


CHECKOUT = CheckoutRequest("plan_1", "https://pay.example.com/return", {"intent_id": "chk_1"})


@pytest.mark.parametrize(
    ("settings", "address", "expected"),
    [
        (
            SETTINGS,
            "http://127.0.0.1:9000/checkout/plan_1?session=ch_1",
            "http://127.0.0.1:9000/checkout/plan_1?session=ch_1",
        ),
        (SETTINGS, "/checkout/plan_1?session=ch_1", "http://127.0.0.1:9000/checkout/plan_1?session=ch_1"),
        (WhopSettings("production", "k", ACCOUNT_ID), "/checkout/plan_1", "https://whop.com/checkout/plan_1"),
        (WhopSettings("sandbox", "k", ACCOUNT_ID), "/checkout/plan_1", "https://sandbox.whop.com/checkout/plan_1"),
        (
            WhopSettings("production", "k", ACCOUNT_ID),
            "https://whop.com/checkout/plan_1",
            "https://whop.com/checkout/plan_1",
        ),
    ],
)
async def test_a_purchase_address_is_made_absolute(settings: WhopSettings, address: str, expected: str) -> None:
    script = answering(httpx.Response(201, json={"id": "ch_1", "purchase_url": address}))
    checkout = await using(
        script, lambda gateway: gateway.create_checkout(CHECKOUT, idempotency_key="k"), settings=settings
    )
    assert (checkout.checkout_id, checkout.purchase_url) == ("ch_1", expected)
    assert script.bodies() == [
        {
            "account_id": ACCOUNT_ID,
            "plan_id": "plan_1",
            "mode": "payment",
            "redirect_url": "https://pay.example.com/return",
            "metadata": {"intent_id": "chk_1"},
        }
    ]


@pytest.mark.parametrize(
    "address", [None, "", "javascript:alert(1)", "http://whop.com/checkout", "data:text/html,x", 5]
)
async def test_a_purchase_address_nobody_should_follow_is_an_invalid_answer(address: object) -> None:
    script = answering(httpx.Response(201, json={"id": "ch_1", "purchase_url": address}))
    with pytest.raises(GatewayInvalidAnswer):
        await using(
            script,
            lambda gateway: gateway.create_checkout(CHECKOUT, idempotency_key="k"),
            settings=WhopSettings("production", "k", ACCOUNT_ID),
        )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"id": "ch_1", "deleted": True}),
        httpx.Response(204),
        httpx.Response(404, json=error_body("not_found", "No such checkout.")),
    ],
)
async def test_a_checkout_that_is_gone_is_retired(answer: httpx.Response) -> None:
    script = answering(answer)
    await using(script, lambda gateway: gateway.retire_checkout("ch_1"))
    assert [(request.method, request.url.path) for request in script.requests] == [
        ("DELETE", "/api/v1/checkout_configurations/ch_1")
    ]


async def test_a_checkout_that_may_not_be_gone_is_not() -> None:
    with pytest.raises(GatewayOutcomeUnknown):
        await using(answering(httpx.Response(500)), lambda gateway: gateway.retire_checkout("ch_1"))


async def test_calls_that_run_side_by_side_get_their_own_answers() -> None:
    async def slowly(request: httpx.Request) -> httpx.Response:
        number = int(request.url.path.rpartition("_")[2])
        for _ in range(20 - number):
            await asyncio.sleep(0)
        return httpx.Response(200, json=payloads.native_membership(id=f"mem_{number}"))

    async def all_at_once(gateway: WhopGateway) -> list[str]:
        found = await asyncio.gather(*(gateway.membership(f"mem_{number}") for number in range(20)))
        return [snapshot.membership_id for snapshot in found]

    assert await using(Script(slowly), all_at_once) == [f"mem_{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (("production", "", ACCOUNT_ID, None), "WHOP_API_KEY"),
        (("production", "schlüssel", ACCOUNT_ID, None), "WHOP_API_KEY"),
        (("production", "k", "acme", None), "WHOP_ACCOUNT_ID"),
        (("custom", "k", ACCOUNT_ID, None), "WHOP_BASE_URL"),
        (("sandbox", "k", ACCOUNT_ID, "https://x.test"), "WHOP_BASE_URL"),
        (("custom", "k", ACCOUNT_ID, "ftp://x.test"), "WHOP_BASE_URL"),
        (("custom", "k", ACCOUNT_ID, "x.test:80"), "WHOP_BASE_URL"),
        (("custom", "k", ACCOUNT_ID, "http://[::1"), "WHOP_BASE_URL"),
    ],
)
def test_wrong_settings_are_named(values: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        WhopSettings(*values)


@pytest.mark.parametrize("base", ["http://127.0.0.1:9000", "http://127.0.0.1:9000/", "http://127.0.0.1:9000/api/v1/"])
def test_a_custom_address_may_leave_the_path_out(base: str) -> None:
    assert WhopSettings("custom", "k", ACCOUNT_ID, base).sdk_environment.api == "http://127.0.0.1:9000/api/v1"
