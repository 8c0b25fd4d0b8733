from html import escape

import httpx

from quntedge.edge.cookies import flash_cookie
from quntedge.web.messages import MESSAGES
from tests.edge.shop import Person, Shop
from tests.web.browser import HTML, form

ALREADY = escape(MESSAGES["already_subscribed"])


async def refused_purchase(shop: Shop, kim: Person) -> httpx.Response:
    """Buys a second plan, which is refused with a message for the next page."""
    page = await kim.http.get("/pricing", headers=HTML)
    fields = form(page, "/checkout/start", plan="monthly")
    await shop.subscribe(kim.user_id)
    answer = await kim.http.post("/checkout/start", data=fields, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/billing")
    return answer


async def test_a_message_is_shown_once_on_the_next_page(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    await refused_purchase(selling_shop, kim)
    page = await kim.http.get("/billing", headers=HTML)
    assert ALREADY in page.text
    assert 'role="status"' in page.text, "whoever listens to the page hears it"
    again = await kim.http.get("/billing", headers=HTML)
    assert ALREADY not in again.text


async def test_errors_and_fragments_leave_the_message_for_the_page(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    await refused_purchase(selling_shop, kim)
    missing = await kim.http.get("/nowhere", headers=HTML)
    fragment = await kim.http.get("/pricing", headers={**HTML, "HX-Request": "true"})
    assert ALREADY not in missing.text + fragment.text
    assert ALREADY in (await kim.http.get("/billing", headers=HTML)).text


async def test_signing_out_says_so(shop: Shop, kim: Person) -> None:
    page = await kim.http.get("/billing", headers=HTML)
    answer = await kim.http.post("/sign-out", data=form(page, "/sign-out"), headers=HTML)
    assert MESSAGES["signed_out"] in (await kim.http.get(answer.headers["location"], headers=HTML)).text


async def test_a_message_we_did_not_sign_is_not_shown(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    await refused_purchase(selling_shop, kim)
    name = flash_cookie(selling_shop.services.settings)
    genuine = kim.http.cookies[name].strip('"')
    stranger = selling_shop.client(headers=HTML)
    kind, key, signature = genuine.split(".")
    for forged in (
        f"error.{key}.{signature}",
        f"{kind}.signed_out.{signature}",
        f"{kind}.{key}.{'0' * 32}",
        f"{kind}.{key}.",
        f"{kind}.{key}",
        f"{kind}.no_such_message.{signature}",
        "<script>",
        "",
    ):
        page = await stranger.get("/pricing", headers={"Cookie": f"{name}={forged}"})
        assert page.status_code == 200
        assert 'role="status"' not in page.text, forged
    shown = await stranger.get("/pricing", headers={"Cookie": f"{name}={genuine}"})
    assert ALREADY in shown.text


async def test_the_cookie_holds_only_the_key_and_is_kept_from_scripts(selling_shop: Shop) -> None:
    kim = await selling_shop.sign_up()
    answer = await refused_purchase(selling_shop, kim)
    header = next(value for value in answer.headers.get_list("set-cookie") if "flash" in value)
    assert header.partition("=")[2].strip('"').startswith("info.already_subscribed.")
    assert "HttpOnly" in header
    assert "SameSite=lax" in header
