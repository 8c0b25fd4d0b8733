"""The console, used as a browser would: pages are read, links followed, buttons pressed."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from html import unescape

import httpx
import pytest

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import NO_CERTIFICATES, START, Shop
from tests.emulator.receiver import Receiver


@pytest.fixture
async def browser(emu: RunningEmulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emu.url, verify=NO_CERTIFICATES) as client:
        yield client


def links(text: str) -> set[str]:
    """Addresses of our own pages."""
    return {unescape(found).split("#")[0] for found in re.findall(r'href="(/[^"]*)"', text)}


async def press(browser: httpx.AsyncClient, button: str, **fields: str) -> str:
    """Presses a button and returns the page that follows."""
    answer = await browser.post(f"/_control/console/{button}", data=fields)
    assert answer.status_code == 303, answer.text
    page = await browser.get(answer.headers["location"])
    assert page.status_code == 200, answer.headers["location"]
    return page.text


def said(page: str) -> str:
    """The note at the top: its tone and its words."""
    found = re.search(r'<p class="note (\w+)" role="status">(.*?)</p>', page)
    assert found is not None, "nothing was said"
    return unescape(f"{found[1]}: {found[2]}")


async def now(emu: RunningEmulator) -> datetime:
    return datetime.fromisoformat((await emu.state())["now"])


async def test_an_empty_emulator_says_what_to_do(emu: RunningEmulator, browser: httpx.AsyncClient) -> None:
    home = await browser.get("/")
    assert "Nothing will happen by itself" in home.text
    assert "No webhook endpoint" in home.text
    assert "default-src 'none'" in home.headers["content-security-policy"]
    assert (await browser.get("/console.css")).headers["content-type"].startswith("text/css")
    for path in links(home.text):
        page = await browser.get(path)
        assert page.status_code == 200, path
        assert "<script" not in page.text
        assert "http://" not in page.text.replace(emu.url, "").replace("http://www.w3.org", ""), path


async def test_a_sample_can_be_bought(emu: RunningEmulator, browser: httpx.AsyncClient) -> None:
    page = await press(browser, "sample")
    assert said(page).startswith("good: Three plans")
    plan = next(path for path in sorted(links(page)) if re.fullmatch(r"/console/plans/plan_\w+", path))
    (checkout,) = {path for path in links((await browser.get(plan)).text) if path.startswith("/checkout/")}
    card = {"card_number": "4242424242424242", "card_expiry": "04/34", "card_cvc": "123", "email": "kim@customer.test"}
    assert (await browser.post(checkout, data=card)).status_code == 200
    assert "kim@customer.test" in (await browser.get("/")).text
    assert "Make a sample" not in (await browser.get("/")).text


async def test_every_link_of_a_busy_emulator_leads_somewhere(
    shop: Shop, browser: httpx.AsyncClient, hooked: Receiver
) -> None:
    sold = await shop.sell("kim@customer.test", title="Plan <b>Bold</b>")
    await shop.sdk.payments.refund(sold["payment"]["id"], partial_amount=5)
    await shop.emu.control.post(f"payments/{sold['payment']['id']}/dispute", json={})
    await shop.sdk.promo_codes.create(
        account_id=shop.emu.config.account_id,
        amount_off=0.125,
        base_currency="usd",
        code="SPRING",
        new_users_only=False,
        promo_duration_months=1,
        promo_type="percentage",
    )
    await shop.emu.advance(days=31)
    await shop.emu.snapshot("one")
    todo, seen = ["/"], {"/"}
    while todo:
        path = todo.pop()
        page = await browser.get(path)
        assert page.status_code == 200, path
        if path.endswith(".css"):
            continue
        assert "<b>Bold" not in page.text, path
        assert "does not show it on its own" not in page.text, path
        new = links(page.text) - seen
        seen |= new
        todo += new
    assert "12.5 %" in (await browser.get("/console/promos")).text
    kinds = {path.split("/")[2] for path in seen if path.count("/") == 3 and path.startswith("/console/")}
    assert {
        "products",
        "plans",
        "members",
        "memberships",
        "payments",
        "refunds",
        "methods",
        "disputes",
        "promos",
        "events",
    } <= kinds


async def test_an_object_is_shown_as_the_api_shows_it(shop: Shop, browser: httpx.AsyncClient) -> None:
    sold = await shop.sell()
    membership = sold["membership"]
    page = (await browser.get(f"/console/memberships/{membership['id']}")).text
    assert f'"license_key": "{membership["license_key"]}"' in re.sub(r"<[^>]+>", "", unescape(page))
    assert {f"/console/plans/{membership['plan_id']}", f"/console/payments/{sold['payment']['id']}"} <= links(page)
    for path in ("/console/memberships/mem_missing", "/console/dreams", "/console/dreams/x", "/console/events/msg_no"):
        missing = await browser.get(path)
        assert (missing.status_code, "Not found" in missing.text) == (404, True), path


async def test_searching_and_paging(shop: Shop, browser: httpx.AsyncClient) -> None:
    for number in range(27):
        await shop.sdk.products.create(title=f"Product {number:02d} x", account_id=shop.emu.config.account_id)
    first = (await browser.get("/console/products")).text
    assert "Product 26" in first
    assert "Product 01" not in first
    assert "page=2" in first
    second = (await browser.get("/console/products?page=2")).text
    assert "Product 01" in second
    assert "Newer" in second
    assert "Older" not in second
    found = (await browser.get("/console/products?q=PRODUCT+07")).text
    assert "Product 07" in found
    assert "Product 08" not in found
    assert "Nothing matches" in (await browser.get("/console/products?q=%3Cnothing%3E")).text
    for page in ("0", "-1", "x", "99999999", "٣"):
        assert (await browser.get(f"/console/products?page={page}")).status_code == 200
    await shop.sell("kim@customer.test")
    assert "kim@customer.test" in (await browser.get("/console/payments?q=kim@customer")).text
    assert "Nothing matches" in (await browser.get("/console/memberships?status=canceled")).text


async def test_moving_the_clock(emu: RunningEmulator, browser: httpx.AsyncClient) -> None:
    for step, at_least in (("hour", 0), ("day", 1), ("week", 8), ("month", 38)):
        page = await press(browser, "advance", step=step, back="/console/events")
        assert said(page).startswith("good: It is 20")
        assert await now(emu) - START >= timedelta(days=at_least)
    assert said(await press(browser, "advance", step="eon")).startswith("bad: `step` must be")
    assert (await browser.post("/_control/console/nothing")).status_code == 400


async def test_declining_and_canceling(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    mem = (await shop.sell())["membership"]["id"]
    path = f"/console/memberships/{mem}"
    page = await press(browser, "decline", membership_id=mem, times="1", back=path)
    assert "1 to be declined" in page
    assert "good" in said(page)
    assert "Decline next renewal" in await press(browser, "decline", membership_id=mem, times="0", back=path)
    await press(browser, "decline", membership_id=mem, times="1", back=path)
    await press(browser, "advance", step="month", back=path)
    assert hooked.of("payment.failed")
    assert "until its period ends" in said(await press(browser, "cancel", membership_id=mem, back=path))
    assert "canceled" in said(await press(browser, "cancel", membership_id=mem, now="yes", back=path))
    refused = await press(browser, "cancel", membership_id=mem, now="yes", back=path)
    assert said(refused).startswith("bad: ")
    assert said(await press(browser, "decline", membership_id="mem_missing", back="/")).startswith("bad: ")


async def test_refunding_disputing_deciding(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    refunded, disputed = (await shop.sell("a@b.test"))["payment"]["id"], (await shop.sell())["payment"]["id"]
    back = f"/console/payments/{refunded}"
    assert said(await press(browser, "refund", payment_id=refunded, back=back)).startswith("good")
    assert said(await press(browser, "refund", payment_id=refunded, back=back)).startswith("bad")
    await shop.emu.settle()
    assert hooked.of("refund.created")
    page = await press(browser, "dispute", payment_id=disputed, back=f"/console/payments/{disputed}")
    assert said(page).startswith("good")
    (dispute,) = {path for path in links(page) if path.startswith("/console/disputes/")}
    decided = await press(browser, "decide", dispute_id=dispute.rpartition("/")[2], status="lost", back=dispute)
    assert said(decided) == "good: The dispute is lost now."
    assert "Decide: won" not in decided


async def test_what_else_can_be_made_to_happen(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    sold = await shop.sell("a@customer.test")
    payment, member = sold["payment"]["id"], sold["membership"]["member_id"]
    trial = (await shop.sell("b@customer.test", trial_period_days=14))["membership"]["id"]
    method = sold["payment"]["payment_method_id"] or next(iter(shop.emu.runtime.world.store.methods_of(member))).id
    endpoint = next(iter(shop.emu.runtime.world.store.tables.endpoints))
    presses = (
        ("alert", {"payment_id": payment}, "was raised"),
        ("fail_refund", {"payment_id": payment}, "will fail"),
        ("refund", {"payment_id": payment}, "on its way"),
        ("end_trial", {"membership_id": trial}, "the membership is active"),
        ("card", {"method_id": method, "behaviour": "declines_later"}, "declines later"),
        ("test", {"endpoint_id": endpoint, "event": "payment.succeeded"}, "answered 200"),
    )
    for button, fields, words in presses:
        page = said(await press(browser, button, **fields))
        assert page.startswith("good"), (button, page)
        assert words in page
    await shop.emu.settle()
    assert hooked.of("dispute_alert.created")
    made = await shop.emu.control.post("invoices", json={"plan_id": sold["membership"]["plan_id"], "email": "a@b.test"})
    invoice = {"invoice_id": made.json()["id"], "status": "paid"}
    assert said(await press(browser, "invoice", **invoice)) == "good: The invoice is paid now."
    assert said(await press(browser, "invoice", **invoice)).startswith("bad")
    await shop.emu.control.post(f"payments/{payment}/next_refund", json={"status": "succeeded", "after_seconds": 9999})
    await press(browser, "refund", payment_id=payment)
    pending = [one.id for one in shop.emu.runtime.world.store.refunds_of(payment) if one.status == "pending"]
    ended = await press(browser, "end_refund", refund_id=pending[0], status="failed")
    assert said(ended) == "good: The refund is failed now."


async def test_events_faults_and_replay(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    assert said(await press(browser, "drop", back="/console/events")).startswith("good")
    await shop.sdk.products.create(title="Lost", account_id=shop.emu.config.account_id)
    assert said(await press(browser, "duplicate", back="/console/events")).startswith("good")
    await shop.sdk.products.create(title="Twice", account_id=shop.emu.config.account_id)
    await shop.emu.settle()
    assert [one.data["title"] for one in hooked.of("product.created")] == ["Twice", "Twice"]
    page = (await browser.get("/console/events?q=product.created")).text
    delivery, endpoint = (re.search(rf'name="{name}" value="([^"]+)"', page) for name in ("delivery_id", "endpoint_id"))
    assert delivery is not None
    assert endpoint is not None
    replayed = await press(browser, "replay", delivery_id=delivery[1], endpoint_id=endpoint[1], back="/console/events")
    assert said(replayed).startswith("good")
    await shop.emu.settle()
    assert len(hooked.of("product.created")) == 3
    hooked.statuses.append(500)
    await shop.sdk.products.create(title="Late", account_id=shop.emu.config.account_id)
    await shop.emu.settle()
    failed = (await browser.get("/console/events?only=failed")).text
    assert "Waiting to be sent" in failed
    event = next(path for path in links(failed) if path.startswith("/console/events/"))
    assert "next attempt" in (await browser.get(event)).text
    armed = await press(browser, "arm", fault="wrong_signature", match="payment.*", times="2", back="/console/faults")
    assert "wrong signature" in armed
    for fields in (
        {"fault": "wrong_signature", "times": "many"},
        {"fault": "nothing"},
        {"fault": "slow", "match": "x"},
    ):
        assert said(await press(browser, "arm", **fields)).startswith("bad: `"), fields
    gone = await press(browser, "disarm", back="/console/faults")
    assert "Nothing is armed" in gone


async def test_snapshots_and_branches(emu: RunningEmulator, browser: httpx.AsyncClient) -> None:
    copies = "/console/copies"
    assert "before" in await press(browser, "snapshot", name="before", back=copies)
    assert said(await press(browser, "snapshot", name="before", back=copies)).startswith("bad: There is a snapshot")
    assert said(await press(browser, "snapshot", name="<b>", back=copies)).startswith("bad: A name is")
    await press(browser, "advance", step="month", back=copies)
    assert said(await press(browser, "restore", name="before", back=copies)).startswith("good: Restored")
    assert await now(emu) - START < timedelta(hours=1)
    assert "“other”" in said(await press(browser, "branch", name="other", snapshot="", back=copies))
    assert "“main”" in said(await press(browser, "switch", name="main", back=copies))
    for role, name in (("branch", "other"), ("snapshot", "before")):
        assert "deleted" in said(await press(browser, "forget", role=role, name=name, back=copies))
    assert "None yet" in (await browser.get(copies)).text


async def test_notes_are_said_once_and_lead_nowhere_else(browser: httpx.AsyncClient) -> None:
    for back in ("https://evil.example/", "//evil.example", "/\\evil.example", "/\r\nx: y"):
        answer = await browser.post("/_control/console/drop", data={"back": back})
        assert answer.headers["location"].startswith("/?note="), back
    location = answer.headers["location"]
    assert 'role="status"' in (await browser.get(location)).text
    assert 'role="status"' not in (await browser.get(location)).text


async def test_other_websites_press_no_buttons(emu: RunningEmulator, browser: httpx.AsyncClient) -> None:
    foreign = {"origin": "https://evil.example"}
    refused = await browser.post("/_control/console/advance", data={"step": "month"}, headers=foreign)
    assert refused.status_code == 403
    assert await now(emu) - START < timedelta(hours=1)
    own = {"origin": emu.url}
    assert (await browser.post("/_control/console/advance", data={"step": "hour"}, headers=own)).status_code == 303
