"""The story of the README, in a browser: sign up, buy, see access, read the mail, let it renew."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import watch
from tests.journeys.world import PASSWORD, Product

pytestmark = pytest.mark.browser

EMAIL = "kim@customers.test"


async def _sign_up(page: Page, shop: Product) -> None:
    await page.goto(f"{shop.url}/pricing")
    await page.get_by_role("link", name=re.compile("Start free trial")).first.click()
    await expect(page).to_have_url(re.compile("/sign-up"))
    await page.get_by_label("Name").fill("Kim Rivers")
    await page.get_by_label("E-mail").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button", name=re.compile("Create|Sign up")).click()


async def _pay(page: Page, card: str) -> None:
    await page.locator("#email").fill(EMAIL)
    await page.locator("#name").fill("Kim Rivers")
    await page.locator("#card_number").fill(card)
    await page.locator("#card_expiry").fill("12/34")
    await page.locator("#card_cvc").fill("123")
    await page.locator("button[type=submit]:not([name])").click()


async def test_sign_up_buy_monthly_see_access_and_let_it_renew(
    browser: Browser, shop: Product, complaints: list[str]
) -> None:
    page = await browser.new_page()
    watch(page, shop, complaints)
    await _sign_up(page, shop)
    if "/pricing" in page.url:
        await page.get_by_role("button", name=re.compile("Start free trial")).click()
    await expect(page).to_have_url(re.compile(f"^{shop.emulator.url}/checkout/"))
    await _pay(page, "4242424242424242")
    await expect(page).to_have_url(re.compile(f"^{shop.url}/checkout/chk_"))
    await expect(page.get_by_role("link", name=re.compile("billing", re.I)).last).to_be_visible(timeout=15_000)
    await shop.settled()

    await page.goto(f"{shop.url}/billing")
    await expect(page.get_by_text("Monthly").first).to_be_visible()
    await expect(page.get_by_text(re.compile("trial", re.I)).first).to_be_visible()
    await page.goto(f"{shop.url}/demo/mailbox")
    await expect(page.get_by_text(re.compile("trial", re.I)).first).to_be_visible()

    period_ends = [await _advance_a_month(page, shop, number) for number in (1, 2)]
    assert period_ends[0] < period_ends[1]
    await page.goto(f"{shop.url}/billing/transactions")
    await expect(page.get_by_text("$29.00")).to_have_count(2)
    await page.goto(f"{shop.url}/demo/mailbox")
    await expect(page.get_by_text("Payment received for QuntEdge Monthly").first).to_be_visible()
    await page.close()


async def _advance_a_month(page: Page, shop: Product, number: int) -> object:
    """A month passes; the customer, still signed in, finds its invoice. Returns the end of the period now."""
    await page.goto(f"{shop.emulator.url}/")
    await page.get_by_role("button", name="+1 month").click()
    await expect(page.get_by_role("button", name="+1 month")).to_be_visible()
    await shop.settled()
    await page.goto(f"{shop.url}/billing")
    await expect(page.get_by_text(f"INV-2026-{number:06d}")).to_be_visible()
    (row,) = await shop.rows("SELECT period_end FROM subscription")
    return row["period_end"]


@pytest.mark.long
async def test_a_challenged_card_is_asked_for_its_password(
    browser: Browser, shop: Product, complaints: list[str]
) -> None:
    page = await browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    watch(page, shop, complaints)
    await _sign_up(page, shop)
    await page.goto(f"{shop.url}/pricing")
    await page.get_by_role("button", name=re.compile("Yearly")).click()
    await _pay(page, "5385308360135181")
    await page.locator("#password").fill("Checkout1!")
    await page.locator("button[type=submit]:not([name])").first.click()
    await expect(page).to_have_url(re.compile(f"^{shop.url}/checkout/chk_"))
    await shop.settled()
    await page.goto(f"{shop.url}/billing")
    await expect(page.get_by_text("INV-2026-000001")).to_be_visible()
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, "the page scrolls sideways on a phone"
    await page.close()


@pytest.mark.long
async def test_without_javascript_the_purchase_works_as_well(browser: Browser, shop: Product) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await _sign_up(page, shop)
    await page.goto(f"{shop.url}/pricing")
    await page.get_by_role("button", name=re.compile("Quarterly")).click()
    await _pay(page, "4242424242424242")
    await expect(page).to_have_url(re.compile(f"^{shop.url}/checkout/chk_"))
    await shop.settled()
    await page.reload()
    await expect(page.get_by_text(re.compile("active|ready|complete", re.I)).first).to_be_visible()
    await context.close()
