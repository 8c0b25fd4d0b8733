import pytest
from sqlalchemy import func, select

from quntedge.accounts.models import AppUser, UserSession
from tests.edge.shop import PASSWORD, Person, Shop
from tests.web.browser import HTML, form


async def users(shop: Shop) -> int:
    async with shop.units() as unit:
        return int(await unit.session.scalar(select(func.count()).select_from(AppUser)) or 0)


async def test_signing_up_from_a_plan_leads_back_to_it_signed_in(shop: Shop) -> None:
    client = shop.client(headers=HTML)
    page = await client.get("/sign-up?plan=monthly")
    fields = form(page, "/sign-up") | {
        "name": "Ada <b>Example</b>",
        "email": "ada@customer.test",
        "password": PASSWORD,
        "terms": "yes",
    }
    answer = await client.post("/sign-up", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/pricing#plan-monthly")
    pricing = await client.get("/pricing")
    assert "ada@customer.test" in pricing.text
    assert "Ada &lt;b&gt;Example&lt;/b&gt;" in pricing.text
    assert "<b>Example</b>" not in pricing.text


async def test_somebody_who_signs_up_is_written_to_in_the_language_of_their_browser(shop: Shop) -> None:
    asked = {"ada": None, "zoe": "de, fr-CA;q=0.9, en;q=0.4", "kim": "fr;q=0.1, en-GB"}
    for name, language in asked.items():
        client = shop.client(headers=HTML | ({} if language is None else {"Accept-Language": language}))
        fields = form(await client.get("/sign-up"), "/sign-up")
        fields |= {"name": name, "email": f"{name}@customer.test", "password": PASSWORD, "terms": "yes"}
        assert (await client.post("/sign-up", data=fields)).status_code == 303
    async with shop.units() as unit:
        found = (await unit.session.scalars(select(AppUser.locale).order_by(AppUser.id))).all()
    assert found == ["en", "fr", "en"]


async def test_mistakes_are_shown_at_their_fields_and_what_was_typed_is_kept(shop: Shop) -> None:
    client = shop.client(headers=HTML)
    fields = form(await client.get("/sign-up"), "/sign-up")
    answer = await client.post(
        "/sign-up", data=fields | {"name": '"><script>', "email": "nonsense", "password": "short"}
    )
    assert answer.status_code == 422
    for field in ("email", "password", "terms"):
        assert f'id="{field}-error"' in answer.text
    assert 'id="name-error"' not in answer.text
    assert 'value="nonsense"' in answer.text
    assert 'value="&#34;&gt;&lt;script&gt;"' in answer.text
    assert "short" not in form(answer, "/sign-up").values()
    assert await users(shop) == 0
    taken = await shop.sign_up()
    answer = await client.post(
        "/sign-up", data=fields | {"name": "Kim", "email": taken.email, "password": PASSWORD, "terms": "yes"}
    )
    assert answer.status_code == 422
    assert 'id="email-error"' in answer.text
    assert await users(shop) == 1


async def test_signing_in_and_out(shop: Shop, kim: Person) -> None:
    client = shop.client(headers=HTML)
    fields = form(await client.get("/sign-in?next=/billing/invoices"), "/sign-in")
    wrong = await client.post("/sign-in", data=fields | {"email": kim.email, "password": "wrong password"})
    assert wrong.status_code == 422
    assert "E-mail address or password is wrong" in wrong.text
    assert kim.email in wrong.text
    answer = await client.post("/sign-in", data=form(wrong, "/sign-in") | {"email": kim.email, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/billing/invoices")
    again = await client.get("/sign-in")
    assert (again.status_code, again.headers["location"]) == (303, "/billing")
    out = await client.post("/sign-out", data=form(await client.get("/billing"), "/sign-out"))
    assert (out.status_code, out.headers["location"]) == (303, "/pricing")
    assert (await client.get("/billing")).headers["location"] == "/sign-in?next=%2Fbilling"


async def test_signing_in_never_leads_to_another_site(shop: Shop, kim: Person) -> None:
    for number, bad in enumerate(("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)")):
        client = shop.client(headers=HTML, address=f"203.0.113.{100 + number}")
        page = await client.get("/sign-in", params={"next": bad})
        assert form(page, "/sign-in")["next"] == "/billing"
        fields = form(page, "/sign-in") | {"email": kim.email, "password": PASSWORD, "next": bad}
        assert (await client.post("/sign-in", data=fields)).headers["location"] == "/billing"
        assert (await client.get("/sign-in", params={"next": bad})).headers["location"] == "/billing"
        injected = await client.get("/sign-up", params={"plan": "x\r\nSet-Cookie: a=b"})
        assert injected.headers["location"] == "/pricing"


async def test_a_form_without_its_token_does_nothing(shop: Shop, kim: Person) -> None:
    victim = shop.client(headers=HTML)
    attacker = shop.client(headers=HTML)
    theirs = form(await attacker.get("/sign-in"), "/sign-in")["csrf_token"]
    await victim.get("/sign-in")
    for token in (None, "", "nonsense", theirs):
        fields = {"email": kim.email, "password": PASSWORD} | ({} if token is None else {"csrf_token": token})
        answer = await victim.post("/sign-in", data=fields)
        assert answer.status_code == 403, token
        assert "Reload the page" in answer.text
    no_cookie = await shop.client(headers=HTML).post(
        "/sign-in", data={"email": kim.email, "password": PASSWORD, "csrf_token": theirs}
    )
    assert no_cookie.status_code == 403
    signed_in = await kim.http.post("/sign-out", data={}, headers=HTML)
    assert signed_in.status_code == 403
    async with shop.units() as unit:
        assert await unit.session.scalar(select(func.count()).select_from(UserSession)) == 1


async def test_a_form_of_another_site_does_nothing(shop: Shop, kim: Person) -> None:
    token = form(await kim.http.get("/billing", headers=HTML), "/sign-out")["csrf_token"]
    answer = await kim.http.post("/sign-out", data={"csrf_token": token}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


async def test_a_page_opened_before_signing_in_elsewhere_still_works(shop: Shop, kim: Person) -> None:
    client = shop.client(headers=HTML)
    first_tab = form(await client.get("/sign-in"), "/sign-in") | {"email": kim.email, "password": PASSWORD}
    second_tab = form(await client.get("/sign-in"), "/sign-in") | {"email": kim.email, "password": PASSWORD}
    assert (await client.post("/sign-in", data=second_tab)).status_code == 303
    stale = await client.post("/sign-in", data=first_tab)
    assert stale.status_code in (303, 403)
    assert (await client.get("/billing")).status_code == 200


async def test_bodies_that_are_no_form(shop: Shop, subtests: pytest.Subtests) -> None:
    client = shop.client(headers=HTML)
    await client.get("/sign-in")
    form_type = "application/x-www-form-urlencoded"
    for content, kind, status in (
        (b"{}", "application/json", 403),
        (b"\xff\xfe=\x00", form_type, 403),
        (b"&".join(b"a%d=1" % n for n in range(5000)), form_type, 400),
        (b"garbage", "multipart/form-data", 403),
        (b"", "", 403),
    ):
        with subtests.test(content=content[:10], kind=kind):
            answer = await client.post("/sign-in", content=content, headers={"Content-Type": kind})
            assert answer.status_code == status


async def test_sign_ups_are_limited(shop: Shop) -> None:
    client = shop.client(headers=HTML)
    fields = form(await client.get("/sign-up"), "/sign-up")
    statuses = [(await client.post("/sign-up", data=fields | {"email": f"a{n}@x.test"})).status_code for n in range(12)]
    assert statuses == [422] * 10 + [429] * 2
