"""What we have done to existing objects, against scripted answers: what exactly is sent, and odd answers.

What comes of it when all goes well is tested against the emulator, not here.
"""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from quntedge.gateway.acts import ChargeRequest, FailureBehavior, GatewayPromo, PercentOff, PromoRequest, StoredMethod
from quntedge.gateway.errors import GatewayInvalidAnswer, GatewayOutcomeUnknown, GatewayRateLimited, GatewayRejected
from quntedge.kit.money import Money
from tests.gateway import payloads
from tests.gateway.payloads import ACCOUNT_ID
from tests.gateway.scripted import Script, Use, answering, error_body, using

MEMBERSHIP = httpx.Response(200, json=payloads.native_membership())
PAYMENT = httpx.Response(200, content=payloads.body_of(payloads.native_payment()))
PROMO: dict[str, Any] = {"id": "promo_1", "code": "CREDIT", "status": "active", "uses": 0, "amount_off": 12.34}
AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CHARGE = ChargeRequest("mber_9", "payt_1", "plan_P1", metadata={"change": "chg_1"})

CASES: dict[str, tuple[Use, httpx.Response, str, Any, bool]] = {
    "cancel at the period's end": (
        lambda gateway: gateway.cancel_membership("mem_3Fd", at_period_end=True, reason="why", idempotency_key="key"),
        MEMBERSHIP,
        "POST /memberships/mem_3Fd/cancel",
        {"cancel_at_period_end": True, "reason": "why"},
        True,
    ),
    "cancel now": (
        lambda gateway: gateway.cancel_membership("mem_3Fd", at_period_end=False, idempotency_key="key"),
        MEMBERSHIP,
        "POST /memberships/mem_3Fd/cancel",
        {"cancel_at_period_end": False},
        True,
    ),
    "keep": (
        lambda gateway: gateway.keep_membership("mem_3Fd"),
        MEMBERSHIP,
        "PATCH /memberships/mem_3Fd",
        {"cancel_at_period_end": False},
        False,
    ),
    "pause until": (
        lambda gateway: gateway.pause_membership("mem_3Fd", until=AT, idempotency_key="key"),
        MEMBERSHIP,
        "POST /memberships/mem_3Fd/pause",
        {"until": "2026-11-01T12:00:00+00:00"},
        True,
    ),
    "pause": (
        lambda gateway: gateway.pause_membership("mem_3Fd", until=None, idempotency_key="key"),
        MEMBERSHIP,
        "POST /memberships/mem_3Fd/pause",
        {},
        True,
    ),
    "resume": (
        lambda gateway: gateway.resume_membership("mem_3Fd", idempotency_key="key"),
        MEMBERSHIP,
        "POST /memberships/mem_3Fd/resume",
        None,
        True,
    ),
    "extend": (
        lambda gateway: gateway.extend_membership("mem_3Fd", days=3, idempotency_key="key"),
        MEMBERSHIP,
        "POST /memberships/mem_3Fd/extend",
        {"days": 3},
        True,
    ),
    "apply a promo": (
        lambda gateway: gateway.apply_promo("mem_3Fd", "CODE", idempotency_key="key"),
        MEMBERSHIP,
        "POST /memberships/mem_3Fd/apply_promo_code",
        {"promo_code": "CODE"},
        True,
    ),
    "use a method": (
        lambda gateway: gateway.use_method("mem_3Fd", "payt_1"),
        MEMBERSHIP,
        "PATCH /memberships/mem_3Fd",
        {"payment_method_id": "payt_1"},
        False,
    ),
    "charge": (
        lambda gateway: gateway.charge(CHARGE, idempotency_key="key"),
        PAYMENT,
        "POST /payments",
        {
            "account_id": ACCOUNT_ID,
            "member_id": "mber_9",
            "payment_method_id": "payt_1",
            "plan_id": "plan_P1",
            "metadata": {"change": "chg_1"},
            "off_session": True,
        },
        True,
    ),
    "retry": (
        lambda gateway: gateway.retry_payment("pay_A1", idempotency_key="key"),
        PAYMENT,
        "POST /payments/pay_A1/retry",
        None,
        True,
    ),
    "refund a part": (
        lambda gateway: gateway.refund_payment(
            "pay_A1", amount=Money(499, "usd"), metadata={"refund": "ref_1"}, idempotency_key="key"
        ),
        PAYMENT,
        "POST /payments/pay_A1/refund",
        {"partial_amount": 4.99, "metadata": {"refund": "ref_1"}},
        True,
    ),
    "refund the rest": (
        lambda gateway: gateway.refund_payment("pay_A1", amount=None, metadata={}, idempotency_key="key"),
        PAYMENT,
        "POST /payments/pay_A1/refund",
        {"metadata": {}},
        True,
    ),
    "make a promo": (
        lambda gateway: gateway.create_promo(
            PromoRequest("CREDIT", Money(1234, "usd"), ["plan_P1"], uses=2, expires_at=AT), idempotency_key="key"
        ),
        httpx.Response(201, json=PROMO),
        "POST /promo_codes",
        {
            "account_id": ACCOUNT_ID,
            "code": "CREDIT",
            "promo_type": "flat_amount",
            "amount_off": 12.34,
            "base_currency": "usd",
            "promo_duration_months": 1,
            "new_users_only": False,
            "plan_ids": ["plan_P1"],
            "stock": 2,
            "unlimited_stock": False,
            "expires_at": "2026-11-01T12:00:00+00:00",
        },
        True,
    ),
    "make a promo of a percentage": (
        lambda gateway: gateway.create_promo(
            PromoRequest("STAY", PercentOff(2000, "usd"), ["plan_P1"], periods=3), idempotency_key="key"
        ),
        httpx.Response(201, json=PROMO),
        "POST /promo_codes",
        {
            "account_id": ACCOUNT_ID,
            "code": "STAY",
            "promo_type": "percentage",
            "amount_off": 0.2,
            "base_currency": "usd",
            "promo_duration_months": 3,
            "new_users_only": False,
            "plan_ids": ["plan_P1"],
            "stock": 1,
            "unlimited_stock": False,
        },
        True,
    ),
    "archive a promo": (
        lambda gateway: gateway.archive_promo("promo_1"),
        httpx.Response(200, json={"id": "promo_1", "deleted": True}),
        "DELETE /promo_codes/promo_1",
        None,
        False,
    ),
    "archive a plan": (
        lambda gateway: gateway.archive_plan("plan_P1"),
        httpx.Response(200, json={"id": "plan_P1"}),
        "PATCH /variants/plan_P1",
        {"visibility": "archived"},
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_is_sent(case: str) -> None:
    use, answer, expected, body, keyed = CASES[case]
    script = answering(answer)
    await using(script, use)
    [request] = script.requests
    assert f"{request.method} {request.url.path.removeprefix('/api/v1')}" == expected
    assert (script.bodies()[0] if request.content else None) == body
    assert request.headers.get("idempotency-key") == ("key" if keyed else None)


@pytest.mark.parametrize("case", CASES)
async def test_every_act_is_sent_once_and_tells_how_it_went_wrong(case: str) -> None:
    use = CASES[case][0]
    refusal = error_body("conflict", "This membership has already ended.")
    for answer, expected in (
        (httpx.Response(409, json=refusal), GatewayRejected),
        (httpx.Response(429, json=error_body("rate_limit_exceeded", "Try again in 12 seconds.")), GatewayRateLimited),
        (httpx.Response(503), GatewayOutcomeUnknown),
    ):
        script = answering(answer)
        with pytest.raises(expected) as caught:
            await using(script, use, read_retries=2)
        assert len(script.requests) == 1
        if answer.status_code == 409:
            assert caught.value.detail.endswith("with 409: This membership has already ended.")
            assert caught.value.extra == {"gateway_status": 409, "gateway_error": "conflict"}


@pytest.mark.parametrize("case", ["archive a promo", "archive a plan"])
async def test_what_is_missing_is_archived(case: str) -> None:
    use = CASES[case][0]
    await using(answering(httpx.Response(404, json=error_body("not_found", "No such thing."))), use)


async def test_a_promo_code_is_sent_with_a_charge_and_whole_amounts_as_whole_numbers() -> None:
    script = answering(PAYMENT)
    request = ChargeRequest("mber_9", "payt_1", "plan_P1", promo_code="CREDIT")
    await using(script, lambda gateway: gateway.charge(request, idempotency_key="key"))
    assert script.bodies()[0]["promo_code"] == "CREDIT"
    script = answering(PAYMENT)
    await using(
        script,
        lambda gateway: gateway.refund_payment(
            "pay_A1", amount=Money(60000, "jpy"), metadata={}, idempotency_key="key"
        ),
    )
    assert b'"partial_amount":60000' in script.requests[0].content.replace(b" ", b"")


@pytest.mark.parametrize("minor", [0, -1])
async def test_a_refund_of_nothing_is_never_sent(minor: int) -> None:
    script = answering(PAYMENT)
    with pytest.raises(ValueError, match="more than zero"):
        await using(
            script,
            lambda gateway: gateway.refund_payment(
                "pay_A1", amount=Money(minor, "usd"), metadata={}, idempotency_key="key"
            ),
        )
    assert script.requests == []


def a_list(*items: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": list(items), "page_info": {"has_next_page": False, "end_cursor": "x"}})


async def test_lists_ask_for_what_they_are_about() -> None:
    wanted: list[tuple[Use, dict[str, str]]] = [
        (
            lambda gateway: gateway.memberships_of("mber_9"),
            {"account_id": ACCOUNT_ID, "member_id": "mber_9", "order": "created_at", "direction": "desc"},
        ),
        (
            lambda gateway: gateway.payments_of("mem_3Fd"),
            {"account_id": ACCOUNT_ID, "membership_id": "mem_3Fd", "order": "created_at", "direction": "desc"},
        ),
        (
            lambda gateway: gateway.payments_of_member("mber_9", created_after=AT),
            {
                "account_id": ACCOUNT_ID,
                "member_id": "mber_9",
                "created_after": "2026-11-01T12:00:00Z",
                "order": "created_at",
                "direction": "desc",
            },
        ),
        (lambda gateway: gateway.methods_of("mber_9"), {"member_id": "mber_9", "direction": "desc"}),
    ]
    for use, query in wanted:
        script = answering(a_list())
        assert await using(script, use) == []
        assert dict(script.requests[0].url.params) == query | {"first": "100"}


@pytest.mark.parametrize(("listed", "paused"), [([], False), (["mem_other"], False), (["mem_other", "mem_3Fd"], True)])
async def test_paused_is_what_the_filter_lists(listed: list[str], paused: bool) -> None:
    script = answering(a_list(*({"id": one} for one in listed)))
    assert await using(script, lambda gateway: gateway.is_paused("mem_3Fd", "mber_9")) is paused
    params = script.requests[0].url.params
    assert (params["status"], params["member_id"]) == ("paused", "mber_9")


async def test_promos_of_every_status_are_listed_once() -> None:
    def promos(request: httpx.Request) -> httpx.Response:
        moved = PROMO | {"id": "promo_2", "code": "MOVED"}
        if request.url.params["status"] == "active":
            return a_list(PROMO, moved)
        return a_list(moved | {"status": "archived"}, PROMO | {"id": "promo_3", "status": "inactive", "uses": 3.0})

    script = Script(promos)
    found = await using(script, lambda gateway: gateway.promos(plan_id="plan_P1"))
    assert found == [
        GatewayPromo("promo_1", "CREDIT", archived=False),
        GatewayPromo("promo_2", "MOVED", archived=True),
        GatewayPromo("promo_3", "CREDIT", archived=False, uses=3),
    ]
    assert [request.url.params["status"] for request in script.requests] == ["active", "expired"]
    assert {request.url.params["plan_ids"] for request in script.requests} == {"plan_P1"}


async def test_a_promo_may_hide_its_code_but_not_its_status() -> None:
    hidden = {"id": "promo_1", "code": None, "status": "archived", "uses": None}
    [promo] = await using(answering(a_list(hidden)), lambda gateway: gateway.promos())
    assert promo == GatewayPromo("promo_1", None, archived=True)
    for bad in ({"id": "promo_1"}, {"id": "promo_1", "status": None}, {"status": "active"}, "promo_1"):
        with pytest.raises(GatewayInvalidAnswer):
            await using(answering(a_list(bad)), lambda gateway: gateway.promos())


CARD = {
    "brand": "visa",
    "last4": "4242",
    "exp_month": 4,
    "exp_year": 30,
    "expired": False,
    "fingerprint": "aB+/=",
    "funding_type": "credit",
}
NOTHING = dict.fromkeys(CARD)


def method(**over: Any) -> dict[str, Any]:
    whole = {
        "typename": "CardPaymentMethod",
        "id": "payt_1",
        "created_at": "2026-09-29T10:15:20.000Z",
        "payment_method_type": "card",
        "card": CARD,
    }
    return {name: value for name, value in (whole | over).items() if value is not payloads.ABSENT}


SAVED_AT = datetime(2026, 9, 29, 10, 15, 20, tzinfo=UTC)
BARE_CARD = StoredMethod("payt_1", "card", created_at=SAVED_AT)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (method(), StoredMethod("payt_1", "card", "visa", "4242", 4, 2030, False, "aB+/=", SAVED_AT)),
        (
            # Four digits are enough to tell a card; more of them must not be kept.
            method(card=CARD | {"expired": True, "exp_year": 2024, "last4": "4242424242424242"}),
            StoredMethod("payt_1", "card", "visa", None, 4, 2024, True, "aB+/=", SAVED_AT),
        ),
        (method(card=NOTHING), BARE_CARD),
        (method(card=None), BARE_CARD),
        (method(card="visa"), BARE_CARD),
        (method(created_at=None, card=None), StoredMethod("payt_1", "card")),
        (
            method(payment_method_type="apple_pay", card=NOTHING | {"last4": "1881"}),
            StoredMethod("payt_1", "apple_pay", last4="1881", created_at=SAVED_AT),
        ),
        (
            method(
                typename="SepaDebitPaymentMethod",
                payment_method_type="sepa_debit",
                card=payloads.ABSENT,
                sepa_debit={"bank_code": None, "last4": "3000"},
            ),
            StoredMethod("payt_1", "sepa_debit", last4="3000", created_at=SAVED_AT),
        ),
        (
            method(typename="TelepathyPaymentMethod", payment_method_type="telepathy", card=payloads.ABSENT),
            StoredMethod("payt_1", "telepathy", created_at=SAVED_AT),
        ),
        (
            method(typename="TelepathyPaymentMethod", payment_method_type=None, card=payloads.ABSENT),
            StoredMethod("payt_1", "TelepathyPaymentMethod", created_at=SAVED_AT),
        ),
        ({"id": "payt_1"}, StoredMethod("payt_1", "unknown")),
    ],
)
async def test_any_kind_of_saved_method_is_read(document: dict[str, Any], expected: StoredMethod) -> None:
    assert await using(answering(a_list(document)), lambda gateway: gateway.methods_of("mber_9")) == [expected]


async def test_a_method_without_a_name_is_an_invalid_answer() -> None:
    with pytest.raises(GatewayInvalidAnswer):
        await using(answering(a_list(method(id=None))), lambda gateway: gateway.methods_of("mber_9"))


@pytest.mark.parametrize("behavior", list(FailureBehavior))
async def test_the_failure_behavior_is_read(behavior: FailureBehavior) -> None:
    script = answering(httpx.Response(200, json={"subscription_failure_behavior": behavior.value}))
    assert await using(script, lambda gateway: gateway.failure_behavior()) is behavior
    assert script.requests[0].url.path == f"/api/v1/accounts/{ACCOUNT_ID}/preferences"


@pytest.mark.parametrize(
    "answer", [{}, {"subscription_failure_behavior": None}, {"subscription_failure_behavior": "x"}]
)
async def test_a_failure_behavior_is_not_guessed(answer: dict[str, Any]) -> None:
    with pytest.raises(GatewayInvalidAnswer):
        await using(answering(httpx.Response(200, json=answer)), lambda gateway: gateway.failure_behavior())
