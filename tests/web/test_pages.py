import asyncio
import html
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.access.rules import Reason
from quntedge.checkout.models import CheckoutIntent
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.models import STATUSES
from quntedge.web import words
from tests.edge.shop import Person, Shop, open_shop
from tests.web.browser import HTML, form

MAIL = b"""From: QuntEdge <billing@localhost>
To: kim@customer.test
Subject: =?utf-8?q?Welcome_=C3=A0_bord?=
Date: Tue, 01 Sep 2026 12:00:00 +0000
X-Notification-Kind: subscription_confirmed
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="b"

--b
Content-Type: text/plain; charset="utf-8"

Plain words.
--b
Content-Type: text/html; charset="utf-8"

<p style="color:red">Rich words.</p><script>alert(1)</script>
--b--
"""


async def test_home_is_the_pricing_page(selling_shop: Shop) -> None:
    client = selling_shop.client(headers=HTML)
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/pricing")
    page = await client.get("/pricing")
    for text in ("Monthly", "$29.00", "$250.00", "= $20.83 a month", "= $25.00 a month", "$499.00", "7 days free"):
        assert text in page.text
    for code in ("free", "monthly", "quarterly", "yearly", "lifetime"):
        assert f"/sign-up?plan={code}" in page.text


async def test_plans_the_gateway_does_not_know_are_shown_but_not_sold(shop: Shop, kim: Person) -> None:
    page = await kim.http.get("/pricing", headers=HTML)
    assert "$29.00" in page.text
    assert 'action="/checkout/start"' not in page.text


async def test_no_page_asks_another_host_for_anything(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    for path in ("/pricing", "/billing", "/billing/transactions", "/billing/invoices", "/nowhere"):
        page = await kim.http.get(path, headers=HTML)
        assert not re.findall(r"""(?:src|href|action)=["'](?:https?:)?//""", page.text), path
        assert not re.findall(r"""\son[a-z]+=["']""", page.text), "no inline handlers: the policy forbids them"


async def test_a_purchase_from_the_pricing_page(selling_shop: Shop) -> None:
    shop = selling_shop
    kim = await shop.sign_up()
    page = await kim.http.get("/pricing", headers=HTML)
    fields = form(page, "/checkout/start", plan="monthly")
    answer = await kim.http.post("/checkout/start", data=fields, headers=HTML)
    assert answer.status_code == 303
    target = answer.headers["location"]
    assert shop.emulator is not None
    assert target.startswith(shop.emulator.url)
    again = await kim.http.post("/checkout/start", data=fields, headers=HTML)
    assert again.headers["location"] == target
    async with shop.units() as unit:
        intent = (await unit.session.scalars(select(CheckoutIntent))).one()
    status = f"/checkout/{intent.id}/status"
    shown = await kim.http.get(f"/checkout/{intent.id}?status=success", headers=HTML)
    assert 'data-version="processing"' in shown.text
    fragment = await kim.http.get(status, headers=HTML)
    assert "<html" not in fragment.text
    assert f'hx-get="{status}?since=' in fragment.text
    for state, failure in (("failed", "gateway_rejected"), ("completed", None), ("expired", None)):
        await _decided(shop, state, failure)
        fragment = await kim.http.get(status, headers=HTML)
        assert f'data-version="{state}"' in fragment.text
        assert "hx-get" not in fragment.text
    other = await shop.sign_up()
    assert (await other.http.get(f"/checkout/{intent.id}", headers=HTML)).status_code == 404
    assert (await other.http.get(status, headers=HTML)).status_code == 404
    htmx = await shop.client().get(status, headers=HTML | {"HX-Request": "true"})
    assert (htmx.status_code, htmx.headers["hx-redirect"]) == (204, "/sign-in")


async def test_an_error_does_not_ask_those_to_sign_in_who_are(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    for path in ("/nowhere", "/checkout/chk_0", "/billing/transactions/txn_0"):
        page = await kim.http.get(path, headers=HTML)
        assert page.status_code == 404
        assert 'href="/sign-in"' not in page.text
        assert 'href="/billing"' in page.text
    assert 'href="/sign-in"' in (await selling_shop.client().get("/nowhere", headers=HTML)).text


async def _decided(shop: Shop, state: str, failure: str | None) -> None:
    async with shop.units() as unit:
        await unit.session.execute(update(CheckoutIntent).values(state=state, failure=failure))
        await unit.commit()


async def test_who_pays_with_a_second_card_is_not_told_to_pay_again(selling_shop: Shop) -> None:
    """The news of the declined card is there before that of the card that paid."""
    shop = selling_shop
    kim = await shop.sign_up()
    fields = form(await kim.http.get("/pricing", headers=HTML), "/checkout/start", plan="monthly")
    pay = (await kim.http.post("/checkout/start", data=fields, headers=HTML)).headers["location"]
    async with shop.units() as unit:
        intent = (await unit.session.scalars(select(CheckoutIntent))).one()
    await _decided(shop, "open", "soft")
    declined = await kim.http.get(f"/checkout/{intent.id}", headers=HTML)
    assert 'data-version="declined"' in declined.text
    assert f'hx-get="/checkout/{intent.id}/status"' in declined.text, "it still hears of the payment that follows"
    assert html.escape(pay) in declined.text, "the way back leads to this checkout, not to a second one"

    came_back = await kim.http.get(f"/api/whop/return?checkout={intent.id}", headers=HTML)
    page = came_back.headers["location"]
    assert 'data-version="processing"' in (await kim.http.get(page, headers=HTML)).text
    shop.clock.advance(timedelta(seconds=21))
    assert 'data-version="declined"' in (await kim.http.get(page, headers=HTML)).text
    await _decided(shop, "completed", None)
    assert 'data-version="completed"' in (await kim.http.get(page, headers=HTML)).text


async def test_who_has_not_paid_is_led_back_instead_of_waiting_for_ever(selling_shop: Shop) -> None:
    shop = selling_shop
    kim = await shop.sign_up()
    fields = form(await kim.http.get("/pricing", headers=HTML), "/checkout/start", plan="yearly")
    pay = (await kim.http.post("/checkout/start", data=fields, headers=HTML)).headers["location"]
    async with shop.units() as unit:
        intent = (await unit.session.scalars(select(CheckoutIntent))).one()
    first = await kim.http.get(f"/checkout/{intent.id}", headers=HTML)
    following = html.unescape(re.findall(r'hx-get="([^"]+)"', first.text)[0])
    shop.clock.advance(timedelta(seconds=61))
    unpaid = await kim.http.get(following, headers=HTML)
    assert 'data-version="unpaid"' in unpaid.text
    assert html.escape(pay) in unpaid.text
    future = int(shop.clock.now().timestamp()) + 60
    for since in (future, "9" * 11, "9" * 40, "-1", "x", "%00", "1e3"):
        forged = await kim.http.get(f"/checkout/{intent.id}?since={since}", headers=HTML)
        assert forged.status_code == 200
        assert 'data-version="processing"' in forged.text


async def test_an_impatient_double_click_leads_to_one_payment_page(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    page = await kim.http.get("/pricing", headers=HTML)
    fields = form(page, "/checkout/start", plan="yearly")
    answers = await asyncio.gather(*(kim.http.post("/checkout/start", data=fields, headers=HTML) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    async with selling_shop.units() as unit:
        assert await unit.session.scalar(select(func.count()).select_from(CheckoutIntent)) == 1


async def test_a_plan_that_is_not_for_sale(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    fields = form(await kim.http.get("/pricing", headers=HTML), "/checkout/start", plan="monthly")
    for plan in ("", "gold", "../x", "monthly\x00", "MONTHLY", "x" * 500):
        answer = await kim.http.post("/checkout/start", data=fields | {"plan": plan}, headers=HTML)
        assert answer.status_code == 404, plan
        assert "text/html" in answer.headers["content-type"]


async def test_a_purchase_needs_the_token_and_an_attempt(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    fields = form(await kim.http.get("/pricing", headers=HTML), "/checkout/start", plan="monthly")
    forged = await kim.http.post("/checkout/start", data=fields | {"csrf_token": "x"}, headers=HTML)
    assert forged.status_code == 403
    no_attempt = await kim.http.post("/checkout/start", data=fields | {"attempt": ""}, headers=HTML)
    assert no_attempt.status_code == 400
    async with selling_shop.units() as unit:
        assert await unit.session.scalar(select(func.count()).select_from(CheckoutIntent)) == 0


async def test_who_has_a_plan_sees_it_marked_and_cannot_buy_another(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    page = await kim.http.get("/pricing", headers=HTML)
    assert page.text.count('action="/checkout/start"') == 4
    fields = form(page, "/checkout/start", plan="yearly")
    await selling_shop.subscribe(kim.user_id)
    page = await kim.http.get("/pricing", headers=HTML)
    assert 'action="/checkout/start"' not in page.text
    assert "Your plan" in page.text
    late = await kim.http.post("/checkout/start", data=fields, headers=HTML)
    assert (late.status_code, late.headers["location"]) == (303, "/billing")


@pytest.mark.parametrize("status", [None, *STATUSES])
async def test_the_billing_page_in_every_state(shop: Shop, kim: Person, status: str | None) -> None:
    if status is not None:
        await shop.subscribe(
            kim.user_id,
            "lifetime" if status == "completed" else "monthly",
            status=status,
            trial_end=shop.clock.now() + timedelta(days=7) if status == "trialing" else None,
            grace_until=shop.clock.now() + timedelta(days=7) if status == "past_due" else None,
            ended_at=shop.clock.now() if status in ("canceled", "expired") else None,
        )
    page = await kim.http.get("/billing", headers=HTML)
    assert page.status_code == 200
    assert words.subscription_status(status or "active") in page.text
    assert "None" not in page.text
    assert ("needs attention" in page.text) == (status == "past_due")


async def test_payments_and_invoices_on_the_billing_pages(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    plan = await shop.plan("monthly")
    for day in range(25):
        at = shop.clock.now() - timedelta(days=day)
        await shop.payment(kim.user_id, at, plan_id=plan.id, total_minor=2900 + day)
        await shop.invoice(kim.user_id, at, number=f"2026-{day:06d}")
    await shop.payment(other.user_id, total_minor=777_00)
    await shop.invoice(kim.user_id, shop.clock.now(), number=None, status="open")
    billing = await kim.http.get("/billing", headers=HTML)
    for text in ("Monthly, renewal", "Visa •••• 4242", "$29.04", "2026-000003", "1 Sept 2026", "Not numbered yet"):
        assert text.replace("Sept", "Sep") in billing.text
    assert "$29.05" not in billing.text
    for kind in ("transactions", "invoices"):
        first = await kim.http.get(f"/billing/{kind}", headers=HTML)
        cursor = re.search(rf'href="(/billing/{kind}\?cursor=[^"]+)"', first.text)
        assert cursor is not None
        second = await kim.http.get(cursor[1], headers=HTML)
        assert f'href="/billing/{kind}"' in second.text
        assert "?cursor=" not in second.text
        assert "$777.00" not in first.text + second.text
        assert (await kim.http.get(f"/billing/{kind}?cursor=nonsense", headers=HTML)).status_code == 400


async def test_pages_for_customers_lead_strangers_to_the_sign_in(shop: Shop) -> None:
    client = shop.client(headers=HTML)
    for path in ("/billing", "/billing/transactions?cursor=a", "/checkout/chk_1"):
        answer = await client.get(path)
        assert answer.status_code == 303
        assert urlsplit(answer.headers["location"]).path == "/sign-in"
    posted = await client.post("/checkout/start", data={"plan": "monthly"})
    assert (posted.status_code, posted.headers["location"]) == (303, "/sign-in")


async def test_static_files_are_kept_by_content_and_nothing_else_is_served(shop: Shop) -> None:
    client = shop.client()
    url = shop.app.state.pages.static.url("js/app.js")
    assert re.fullmatch(r"/static/[0-9a-f]{16}/js/app\.js", url)
    lasting = await client.get(url)
    assert lasting.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert lasting.headers["content-type"] == "text/javascript; charset=utf-8"
    assert lasting.headers["content-encoding"] == "gzip"
    plain = await client.get("/static/js/app.js", headers={"Accept-Encoding": "identity"})
    assert plain.content == lasting.content
    assert plain.headers["cache-control"] == "no-cache"
    unchanged = await client.get("/static/js/app.js", headers={"If-None-Match": plain.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    for path in (
        "/static/",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        "/static/js",
        "/static/0000000000000000/js/app.js",
    ):
        assert (await client.get(path)).status_code == 404, path
    with pytest.raises(KeyError, match=r"no static file 'js/none\.js'"):
        shop.app.state.pages.static.url("js/none.js")


async def test_the_mailbox_is_there_in_the_demo_alone(
    shop: Shop, settings: Settings, engine: AsyncEngine, units: UnitOfWorkFactory, clock: FrozenClock, vault: Vault
) -> None:
    assert (await shop.client(headers=HTML).get("/demo/mailbox")).status_code == 404
    demo = settings.model_copy(update={"demo": True})
    async with open_shop(demo, engine, units, clock, vault) as opened:
        client = opened.client(headers=HTML)
        assert "No mail yet" in (await client.get("/demo/mailbox")).text
        folder = settings.data_dir / "mailbox"
        folder.mkdir()
        (folder / "eml_1.eml").write_bytes(MAIL)
        (folder / "eml_2.eml").write_bytes(b"\xff\x00 no mail at all")
        page = await client.get("/demo/mailbox")
        assert "Welcome à bord" in page.text
        assert "Demo mode" in page.text
        one = await client.get("/demo/mailbox/eml_1")
        assert "Plain words." in one.text
        assert "alert(1)" not in one.text
        html = await client.get("/demo/mailbox/eml_1/html")
        assert "Rich words." in html.text
        policy = html.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "allow-scripts" not in policy
        assert (await client.get("/demo/mailbox/eml_2")).status_code == 200
        for bad in ("eml_3", "..%2f..%2fetc%2fpasswd", "x" * 300):
            assert (await client.get(f"/demo/mailbox/{bad}")).status_code == 404
            assert (await client.get(f"/demo/mailbox/{bad}/html")).status_code == 404


def test_every_refusal_has_words() -> None:
    allowing = {
        Reason.SUBSCRIPTION_ACTIVE,
        Reason.TRIAL,
        Reason.GRACE_PERIOD,
        Reason.LIFETIME,
        Reason.FREE_PLAN,
    }
    assert [reason for reason in Reason if reason not in allowing and not words.refusal(reason)] == []


def test_a_state_without_words_is_shown_anyway() -> None:
    assert words.subscription_status("half_open") == "Half open"
    assert words.method("card", None, None) == "Card"
    assert words.method(None, None, None) is None
    assert words.transaction_description(None, "something_new") == "Payment"
