import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from quntedge.checkout.models import CheckoutIntent
from quntedge.kit.ids import new_id
from tests.edge.shop import Person, Shop


async def intents(shop: Shop) -> int:
    async with shop.units() as unit:
        return int(await unit.session.scalar(select(func.count()).select_from(CheckoutIntent)) or 0)


async def test_a_checkout_is_opened_once_and_can_be_followed(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    headers = kim.headers(**{"Idempotency-Key": "one"})
    answer = await kim.http.post("/api/payment/checkout", json={"plan": "monthly"}, headers=headers)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["state"] == "open"
    assert made["price"] == {"amount_minor": 2900, "currency": "usd"}
    assert made["purchase_url"].startswith("http")
    assert made["created_at"].endswith("Z")
    assert answer.headers["location"] == f"/api/payment/checkout/{made['id']}"
    again = await kim.http.post("/api/payment/checkout", json={"plan": "monthly"}, headers=headers)
    assert (again.status_code, again.json()) == (201, made)
    assert (await kim.http.get(answer.headers["location"])).json() == made
    assert await intents(selling_shop) == 1
    other = await selling_shop.sign_up()
    foreign = await other.http.get(answer.headers["location"])
    assert (foreign.status_code, foreign.json()["code"]) == (404, "checkout_not_found")


async def test_parallel_clicks_with_one_key_open_one_checkout(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    headers = kim.headers(**{"Idempotency-Key": "race"})
    answers = await asyncio.gather(
        *(kim.http.post("/api/payment/checkout", json={"plan": "yearly"}, headers=headers) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert await intents(selling_shop) == 1


BAD_PURCHASES: list[tuple[object, str | None, int, str]] = [
    ({"plan": "monthly"}, None, 400, "idempotency_key_missing"),
    ({"plan": "monthly"}, "", 400, "idempotency_key_invalid"),
    ({"plan": "monthly"}, "a b", 400, "idempotency_key_invalid"),
    ({"plan": "monthly"}, "x" * 256, 400, "idempotency_key_invalid"),
    ({"plan": "monthly"}, "é", 400, "idempotency_key_invalid"),
    ({"plan": "gold"}, "k", 404, "plan_not_found"),
    ({"plan": "free"}, "k", 409, "plan_is_free"),
    ({"plan": ""}, "k", 422, "malformed"),
    ({"plan": "Monthly'; DROP TABLE plan; --"}, "k", 422, "malformed"),
    ({"plan": "monthly\x00"}, "k", 422, "malformed"),
    ({"plan": None}, "k", 422, "malformed"),
    ({"plan": ["monthly"]}, "k", 422, "malformed"),
    ({"plan": "monthly", "price": 1}, "k", 422, "malformed"),
    ({}, "k", 422, "malformed"),
    ([], "k", 422, "malformed"),
    ("monthly", "k", 422, "malformed"),
    # On sale, but this shop's gateway has never heard of it.
    ({"plan": "monthly"}, "k", 503, "plan_unavailable"),
]


async def test_bad_purchases_are_refused_and_change_nothing(shop: Shop, kim: Person, subtests: pytest.Subtests) -> None:
    for number, (body, key, status, code) in enumerate(BAD_PURCHASES):
        # A different customer now and then: one alone would run into the limit.
        person = kim if number % 10 else await shop.sign_up()
        headers: dict[str, str | bytes] = {**person.headers()}
        if key is not None:
            headers["Idempotency-Key"] = key.encode()
        with subtests.test(body=body, key=key):
            answer = await person.http.post("/api/payment/checkout", json=body, headers=headers)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await intents(shop) == 0


async def test_a_key_is_for_one_body(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    headers = kim.headers(**{"Idempotency-Key": "k"})
    assert (await kim.http.post("/api/payment/checkout", json={"plan": "monthly"}, headers=headers)).status_code == 201
    answer = await kim.http.post("/api/payment/checkout", json={"plan": "yearly"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_who_has_a_subscription_is_not_charged_twice(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    await selling_shop.subscribe(kim.user_id)
    headers = kim.headers(**{"Idempotency-Key": "k"})
    answer = await kim.http.post("/api/payment/checkout", json={"plan": "yearly"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_subscribed")


async def test_a_purchase_needs_a_session_and_its_token(shop: Shop, kim: Person) -> None:
    anonymous = await shop.client().post(
        "/api/payment/checkout", json={"plan": "monthly"}, headers={"Idempotency-Key": "k"}
    )
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "not_signed_in")
    forged = await kim.http.post("/api/payment/checkout", json={"plan": "monthly"}, headers={"Idempotency-Key": "k"})
    assert (forged.status_code, forged.json()["code"]) == (403, "csrf_failed")
    service = {"Authorization": f"Bearer {await shop.api_key()}", "Idempotency-Key": "k"}
    key = await shop.client().post("/api/payment/checkout", json={"plan": "monthly"}, headers=service)
    assert key.status_code == 401


async def test_purchases_are_limited_by_customer(shop: Shop, kim: Person) -> None:
    statuses = [
        (
            await kim.http.post(
                "/api/payment/checkout", json={"plan": "gold"}, headers=kim.headers(**{"Idempotency-Key": f"k{n}"})
            )
        ).status_code
        for n in range(22)
    ]
    assert statuses == [404] * 20 + [429] * 2


@pytest.mark.parametrize("kind", ["transactions", "invoices", "refunds"])
async def test_lists_are_one_customers_own_newest_first(shop: Shop, kim: Person, kind: str) -> None:
    other = await shop.sign_up()
    made: list[str] = []
    for person in (kim, other):
        for day in range(3):
            at = shop.clock.now() - timedelta(days=day)
            if kind == "invoices":
                row = await shop.invoice(person.user_id, at)
            else:
                row = await shop.payment(person.user_id, at)
                if kind == "refunds":
                    row = await shop.refund(person.user_id, row, at)
            if person is kim:
                made.append(row)
    first = (await kim.http.get(f"/api/payment/{kind}?limit=2")).json()
    assert [row["id"] for row in first["data"]] == made[:2]
    rest = (await kim.http.get(f"/api/payment/{kind}", params={"cursor": first["next_cursor"]})).json()
    assert [row["id"] for row in rest["data"]] == made[2:]
    assert rest["next_cursor"] is None
    assert (await shop.client().get(f"/api/payment/{kind}")).status_code == 401


async def test_a_transaction_and_an_invoice_in_full(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    payment = await shop.payment(kim.user_id, tax_minor=None, refunded_minor=500, status="partially_refunded")
    invoice = await shop.invoice(kim.user_id, transaction_id=payment, number="2026-000001")
    shown = (await kim.http.get(f"/api/payment/transactions/{payment}")).json()
    assert shown["total"] == {"amount_minor": 2900, "currency": "usd"}
    assert shown["refunded"] == {"amount_minor": 500, "currency": "usd"}
    assert shown["tax"] is None
    assert shown["method"] == {"kind": "card", "brand": "visa", "last4": "4242", "exp_month": None, "exp_year": None}
    assert shown["occurred_at"] == "2026-09-01T12:00:00Z"
    assert not [key for key in shown if "whop" in key]
    assert (await kim.http.get(f"/api/payment/invoices/{invoice}")).json()["number"] == "2026-000001"
    for path in (f"transactions/{payment}", f"invoices/{invoice}"):
        foreign = await other.http.get(f"/api/payment/{path}")
        assert (foreign.status_code, foreign.json()["code"]) == (404, "record_not_found")


async def test_ids_that_cannot_be_are_not_found(kim: Person, subtests: pytest.Subtests) -> None:
    for bad in ("x", "%00", "txn_", "..%2f..", "%f0%9f%92%a9", "x" * 3000):
        for kind in ("transactions", "invoices", "checkout"):
            with subtests.test(kind=kind, bad=bad):
                assert (await kim.http.get(f"/api/payment/{kind}/{bad}")).status_code == 404


async def test_the_way_back_believes_nothing_but_whose_checkout_it_is(selling_shop: Shop) -> None:
    shop = selling_shop
    kim, other = await shop.sign_up(), await shop.sign_up()
    headers = kim.headers(**{"Idempotency-Key": "k"})
    made = (await kim.http.post("/api/payment/checkout", json={"plan": "monthly"}, headers=headers)).json()
    own = f"/api/whop/return?checkout={made['id']}"
    for query in (own, own + "&status=success&payment_id=pay_forged&receipt_id=pay_forged", own + "&status=error"):
        answer = await kim.http.get(query)
        now = int(shop.clock.now().timestamp())
        assert (answer.status_code, answer.headers["location"]) == (303, f"/checkout/{made['id']}?since={now}")
    assert (await kim.http.get(f"/api/payment/checkout/{made['id']}")).json()["state"] == "open"
    assert (await kim.http.get("/api/subscription")).json()["subscription"] is None
    for person, query in (
        (other, own),
        (kim, "/api/whop/return"),
        (kim, "/api/whop/return?checkout=%00"),
        (kim, "/api/whop/return?checkout=https://evil.example"),
        (kim, f"/api/whop/return?checkout={new_id('chk', shop.clock.now())}"),
    ):
        answer = await person.http.get(query)
        assert (answer.status_code, answer.headers["location"]) == (303, "/billing")
    stranger = await shop.client().get(own, headers={"Accept": "text/html"})
    assert stranger.status_code == 303
    assert stranger.headers["location"] == f"/sign-in?next=%2Fapi%2Fwhop%2Freturn%3Fcheckout%3D{made['id']}"
