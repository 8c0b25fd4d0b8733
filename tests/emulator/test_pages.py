"""The hosted checkout and the buyer's portal, used as a browser would."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import CHALLENGED, DECLINED, FAILS_LATER, GOOD, NO_CERTIFICATES, Shop
from tests.emulator.receiver import Receiver


@pytest.fixture
async def browser(emu: RunningEmulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emu.url, verify=NO_CERTIFICATES) as client:
        yield client


def form(card: str = GOOD, **over: str) -> dict[str, str]:
    spaced = " ".join(card[i : i + 4] for i in range(0, len(card), 4))
    return {
        "email": "kim@customer.test",
        "name": "Kim <b>Bold</b>",
        "card_number": spaced,
        "card_expiry": "04 / 34",
        "card_cvc": "123",
        **over,
    }


async def purchase_path(shop: Shop, **plan: object) -> str:
    checkout = await shop.sdk.checkout_configurations.retrieve(await shop.checkout(await shop.plan(**plan)))
    return str(checkout.purchase_url).removeprefix(shop.emu.url)


async def test_paying(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    path = await purchase_path(shop)
    shown = await browser.get(f"{path}&email=kim%40customer.test")
    assert shown.status_code == 200
    assert 'value="kim@customer.test"' in shown.text
    assert "Whop emulator" in shown.text
    assert "$29.00" in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    paid = await browser.post(path, data=form())
    assert paid.status_code == 303
    target = urlsplit(paid.headers["location"])
    query = parse_qs(target.query)
    assert (target.netloc, target.path) == ("127.0.0.1:1", "/return")
    assert (query["status"], query["checkout_status"]) == (["success"], ["success"])
    payment = await shop.sdk.payments.retrieve(query["payment_id"][0])
    assert query["receipt_id"] == query["payment_id"]
    assert payment.user is not None
    assert (payment.status, payment.user.name) == ("paid", "Kim <b>Bold</b>")
    await shop.emu.settle()
    assert hooked.of("payment.succeeded")[0].data["metadata"] == {"intent_id": "chk_1"}


async def test_declined_card_can_be_replaced(shop: Shop, browser: httpx.AsyncClient, hooked: Receiver) -> None:
    path = await purchase_path(shop)
    declined = await browser.post(path, data=form(DECLINED))
    assert declined.status_code == 402
    assert "Your card was declined." in declined.text
    assert "0002" not in declined.text.partition("Test cards")[0]
    assert "<b>Bold" not in declined.text
    await shop.emu.settle()
    assert len(hooked.of("payment.failed")) == 1
    assert (await browser.post(path, data=form(GOOD))).status_code == 303


async def test_challenge(shop: Shop, browser: httpx.AsyncClient) -> None:
    path = await purchase_path(shop)
    led = await browser.post(path, data=form(CHALLENGED))
    challenge = led.headers["location"]
    assert "Checkout1!" in (await browser.get(challenge)).text
    wrong = await browser.post(challenge, data={"password": "checkout1!"})
    assert wrong.status_code == 402
    assert f'href="{path}"' in wrong.text
    assert (await browser.post(challenge, data={"password": "Checkout1!"})).status_code == 404
    second = (await browser.post(path, data=form(CHALLENGED))).headers["location"]
    passed = await browser.post(second, data={"password": "Checkout1!"})
    assert passed.status_code == 303
    assert "status=success" in passed.headers["location"]
    assert (await browser.get(second)).status_code == 404


async def test_without_a_return_address_the_page_says_thank_you(shop: Shop, browser: httpx.AsyncClient) -> None:
    done = await browser.post(f"/checkout/{await shop.plan()}", data=form())
    assert done.status_code == 200
    assert "Thank you" in done.text


UNUSABLE: list[tuple[dict[str, str], str]] = [
    ({"email": "nobody"}, "e-mail"),
    ({"email": ""}, "e-mail"),
    ({"email": "a@b"}, "e-mail"),
    ({"card_number": "4111 1111 1111 1111"}, "test cards"),
    ({"card_number": "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢"}, "test cards"),
    ({"card_expiry": "13/34"}, "expiry"),
    ({"card_expiry": "04/20"}, "expired"),
    ({"card_expiry": ""}, "expiry"),
    ({"card_cvc": "12"}, "security code"),
    ({"name": "x" * 101}, "name"),
]


async def test_what_cannot_be_used_makes_no_payment(shop: Shop, browser: httpx.AsyncClient) -> None:
    path = await purchase_path(shop)
    for over, words in UNUSABLE:
        answer = await browser.post(path, data=form(**over))
        assert answer.status_code == 422, over
        problem = answer.text.partition('role="alert">')[2].partition("</p>")[0]
        assert words in problem, over
    assert (await shop.emu.state())["counts"]["payments"] == 0


async def test_links_that_lead_nowhere(shop: Shop, browser: httpx.AsyncClient) -> None:
    plan_id, other = await shop.plan(), await shop.plan()
    checkout_id = await shop.checkout(plan_id)
    archived = await shop.plan()
    await shop.sdk.variants.delete(archived)
    for path in (
        "/checkout/plan_missing",
        f"/checkout/{plan_id}?session=ch_missing",
        f"/checkout/{plan_id}?session=",
        f"/checkout/{other}?session={checkout_id}",
        f"/checkout/{archived}",
    ):
        assert (await browser.get(path)).status_code == 404, path
        assert (await browser.post(path, data=form())).status_code == 404, path
    await shop.sdk.checkout_configurations.delete(checkout_id)
    assert (await browser.get(f"/checkout/{plan_id}?session={checkout_id}")).status_code == 404
    assert (await shop.emu.state())["counts"]["payments"] == 0


async def test_trial_page_says_what_follows(shop: Shop, browser: httpx.AsyncClient) -> None:
    text = (await browser.get(await purchase_path(shop, trial_period_days=7))).text
    assert "Start trial" in text
    assert "7 days free, then $29.00 every 30 days." in text


async def test_portal_replaces_the_card_and_cancels(shop: Shop, browser: httpx.AsyncClient) -> None:
    paid = await shop.sell(card=FAILS_LATER)
    mem = paid["membership"]["id"]
    portal = str((await shop.sdk.memberships.retrieve(mem)).manage_url).removeprefix(shop.emu.url)
    await shop.emu.advance(days=30)
    assert "past_due" in (await browser.get(portal)).text
    refused = await browser.post(portal, data={"action": "card", **form(card_number="1")})
    assert refused.status_code == 422
    assert (await browser.post(portal, data={"action": "card", **form(GOOD)})).status_code == 303
    assert (await shop.sdk.memberships.retrieve(mem)).status == "active"
    for action, flag in (("cancel", True), ("keep", False)):
        assert (await browser.post(portal, data={"action": action, "membership_id": mem})).status_code == 303
        assert (await shop.sdk.memberships.retrieve(mem)).cancel_at_period_end is flag
    other = await shop.sell("lee@customer.test")
    foreign = {"action": "cancel", "membership_id": other["membership"]["id"]}
    assert (await browser.post(portal, data=foreign)).status_code == 400
    assert (await browser.get("/billing/manage/mber_missing/")).status_code == 404
