"""Looking payments up: every filter alone and together, page by page, for customers and for the seller's tools."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from sqlalchemy import insert

from quntedge.edge.transaction_csv import transactions_csv
from quntedge.payments.models import PaymentAttempt, PaymentTransaction
from tests.edge.shop import Person, Shop

AT = datetime(2026, 9, 10, 12, 0, tzinfo=UTC)
PATH = "/api/payment/transactions"
ADMIN = "/api/admin/transactions"


async def found(kim: Person, query: str) -> list[str]:
    answer = await kim.http.get(f"{PATH}?{query}")
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["data"]]


async def attempt(shop: Shop, transaction_id: str, user_id: str, number: int, **values: Any) -> None:
    async with shop.units() as unit:
        await unit.session.execute(
            insert(PaymentAttempt).values(
                transaction_id=transaction_id,
                number=number,
                user_id=user_id,
                at=AT + timedelta(hours=number),
                **values,
            )
        )
        await unit.commit()


async def test_each_filter_alone_and_all_of_them_together(shop: Shop, kim: Person) -> None:
    monthly, yearly = (await shop.plan("monthly")).id, (await shop.plan("yearly")).id
    old = await shop.payment(kim.user_id, AT - timedelta(days=40), plan_id=monthly, whop_payment_id="pay_old")
    failed = await shop.payment(kim.user_id, AT, plan_id=monthly, status="failed", raw_status="open")
    euro = await shop.payment(kim.user_id, AT + timedelta(days=1), plan_id=yearly, currency="eur")
    lou = await shop.sign_up()
    foreign = await shop.payment(lou.user_id, AT, plan_id=monthly, whop_payment_id="pay_of_lou")
    assert await found(kim, "") == [euro, failed, old]
    assert await found(kim, "status=failed") == [failed]
    assert await found(kim, "status=failed&status=paid") == [euro, failed, old]
    assert await found(kim, "from=2026-09-10") == [euro, failed]
    assert await found(kim, "to=2026-09-10") == [failed, old], "the whole of the day"
    assert await found(kim, "from=2026-09-10T12:00:01Z") == [euro]
    assert await found(kim, "to=2026-09-10T12:00:00Z") == [old], "up to it, not with it"
    assert await found(kim, "plan=yearly") == [euro]
    assert await found(kim, "currency=eur") == [euro]
    assert await found(kim, f"id={failed}") == [failed]
    assert await found(kim, "id=pay_old") == [old]
    assert await found(kim, f"id={foreign}") == []
    assert await found(kim, "id=pay_of_lou") == []
    assert await found(kim, "status=failed&plan=monthly&currency=usd&from=2026-09-01&to=2026-09-30") == [failed]
    assert await found(kim, "status=&plan=&from=&to=&currency=&id=") == [euro, failed, old], "an empty form"


BAD_FILTERS = (
    "status=gone",
    "from=yesterday",
    "from=2026-13-01",
    "to=2026-09-10T12:00:00",
    "from=1e9",
    "from=٢٠٢٦-٠٩-٠١",
    "to=9999-12-31",
    "from=0001-01-01T00:00:00%2B14:00",
    "from=2026-09-10&to=2026-09-01",
    "plan=gold",
    "plan=%00",
    "currency=USD",
    "currency=xyz",
    "id=%27%3B--",
    "id=%00",
    f"id={'x' * 101}",
)


async def test_what_makes_no_sense_is_refused_with_a_reason(kim: Person) -> None:
    for query in BAD_FILTERS:
        answer = await kim.http.get(f"{PATH}?{query}")
        code = "nul_character" if "%00" in query else "invalid_filter"
        assert (answer.status_code, answer.json()["code"]) == (400, code), (query, answer.text)
    assert (await kim.http.get(f"{PATH}.csv?{BAD_FILTERS[0]}")).status_code == 400


async def test_pages_go_on_where_they_stopped_within_the_filter(shop: Shop, kim: Person) -> None:
    made = [
        await shop.payment(kim.user_id, AT + timedelta(minutes=n // 2), status="void" if n % 3 else "paid")
        for n in range(12)
    ]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await kim.http.get(f"{PATH}?status=void&limit=3{cursor}")).json()
        seen += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    stored = {n: made[n] for n in range(12) if n % 3}
    assert seen == sorted(stored.values(), key=lambda one: (made.index(one) // 2, one), reverse=True)
    assert len(seen) == len(set(seen)) == 8


async def test_the_detail_tells_each_failed_attempt_in_the_customers_language(shop: Shop, kim: Person) -> None:
    made = await shop.payment(kim.user_id, AT, status="failed", raw_status="open", attempts_failed=2)
    await attempt(shop, made, kim.user_id, 2, decline_code="lost_card", decline_class="hard", message="do_not_honor 05")
    await attempt(shop, made, kim.user_id, 1, decline_code="new_code", decline_class="unclear")
    detail = (await kim.http.get(f"{PATH}/{made}")).json()
    assert [(one["number"], one["decline_class"]) for one in detail["attempts"]] == [(1, "unclear"), (2, "hard")]
    assert detail["attempts"][0]["message"] == "Your bank declined it without saying why."
    assert "refused it for good" in detail["attempts"][1]["message"]
    assert "do_not_honor" not in str(detail), "the bank's own words are for the seller"
    assert detail["receipt"] is None
    async with shop.units() as unit:
        await shop.services.accounts.set_locale(unit, kim.user_id, "fr")
        await unit.commit()
    assert "définitivement" in (await kim.http.get(f"{PATH}/{made}")).json()["attempts"][1]["message"]
    answer = await kim.http.get(f"{PATH}/{made}/receipt")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_receipt")


async def test_a_receipt_that_cannot_be_asked_for_now_is_no_missing_one(shop: Shop, kim: Person) -> None:
    made = await shop.payment(kim.user_id, AT, paid_at=AT)
    answer = await kim.http.get(f"{PATH}/{made}/receipt")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_the_seller_sees_all_of_it_and_only_with_a_key_for_it(shop: Shop, kim: Person) -> None:
    made = await shop.payment(
        kim.user_id,
        AT,
        whop_payment_id="pay_1",
        fee_minor=116,
        net_minor=2784,
        whop_membership_id="mem_1",
        plan_id=None,
    )
    await attempt(shop, made, kim.user_id, 1, decline_code="lost_card", decline_class="hard", message="do_not_honor 05")
    lou = await shop.sign_up()
    other = await shop.payment(lou.user_id, AT + timedelta(hours=1), status="uncollectible", raw_status="uncollectible")
    http = shop.client()
    assert (await http.get(ADMIN)).status_code == 401
    wrong = {"Authorization": f"Bearer {await shop.api_key('catalog:read')}"}
    assert (await http.get(ADMIN, headers=wrong)).status_code == 403
    key = {"Authorization": f"Bearer {await shop.api_key('payments:read')}"}
    rows = (await http.get(ADMIN, headers=key)).json()["data"]
    assert [row["id"] for row in rows] == [other, made]
    assert rows[1]["fee"] == {"amount_minor": 116, "currency": "usd"}
    assert (rows[1]["user"], rows[1]["whop_payment_id"]) == (kim.user_id, "pay_1")
    assert rows[0]["fee"] is None, "not known is not nothing"
    for query, expected in (
        (f"user={kim.user_id}", [made]),
        ("status=uncollectible", [other]),
        ("id=mem_1", [made]),
        (f"id={lou.user_id}", [other]),
    ):
        rows = (await http.get(f"{ADMIN}?{query}", headers=key)).json()["data"]
        assert [row["id"] for row in rows] == expected, query
    assert (await http.get(f"{ADMIN}?user=nobody", headers=key)).status_code == 400
    for named in (made, "pay_1"):
        detail = (await http.get(f"{ADMIN}/{named}", headers=key)).json()
        assert detail["attempts"][0]["gateway_message"] == "do_not_honor 05"
    assert (await http.get(f"{ADMIN}/pay_2", headers=key)).json()["code"] == "record_not_found"


async def test_the_table_holds_every_payment_that_fits(shop: Shop, kim: Person) -> None:
    plan = (await shop.plan("monthly")).id
    paid = await shop.payment(
        kim.user_id, AT, plan_id=plan, subtotal_minor=3500, discount_minor=600, paid_at=AT, refunded_minor=100
    )
    await shop.payment(kim.user_id, AT, status="failed", raw_status="open")
    yen = await shop.payment(kim.user_id, AT - timedelta(days=1), currency="jpy", total_minor=4000)
    answer = await kim.http.get(f"{PATH}.csv?status=paid")
    assert answer.headers["content-disposition"] == 'attachment; filename="payments.csv"'
    first, second = csv.DictReader(StringIO(answer.content.decode("utf-8-sig")))
    assert (first["payment"], first["plan"], first["subtotal"], first["discount"], first["total"]) == (
        paid,
        "Monthly",
        "35.00",
        "6.00",
        "29.00",
    )
    assert (first["tax"], first["refunded"], first["date"]) == ("", "1.00", "2026-09-10T12:00:00+00:00")
    assert (second["payment"], second["total"], second["currency"]) == (yen, "4000", "jpy")


def test_nothing_in_the_table_is_taken_for_a_formula() -> None:
    row = PaymentTransaction(
        id="txn_1",
        status="paid",
        currency="usd",
        refunded_minor=0,
        billing_reason='=HYPERLINK("http://evil.example")',
        method_brand="+visa",
        occurred_at=AT,
    )
    [line] = csv.DictReader(StringIO(transactions_csv([row], {}).lstrip("\ufeff")))
    assert (line["reason"], line["method"]) == ('\'=HYPERLINK("http://evil.example")', "'+visa")
