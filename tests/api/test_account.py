"""Signing up, in and out as JSON, and what keeps other sites from doing it."""

import pytest
from sqlalchemy import func, select

from quntedge.accounts.models import AppUser, UserSession
from tests.edge.shop import PASSWORD, Person, Shop

GOOD = {"email": "ada@customer.test", "password": PASSWORD, "name": "Ada Example", "accept_terms": True}


async def count(shop: Shop, table: type) -> int:
    async with shop.units() as unit:
        return int(await unit.session.scalar(select(func.count()).select_from(table)) or 0)


async def test_sign_up_signs_in_and_me_knows_it(shop: Shop) -> None:
    client = shop.client()
    answer = await client.post("/api/account/sign-up", json=GOOD)
    assert answer.status_code == 201
    assert set(answer.json()) == {"user", "csrf_token", "expires_at"}
    assert answer.json()["expires_at"].endswith("Z")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert client.cookies["quntedge_session"] not in answer.text, "the token is in the cookie alone"
    me = await client.get("/api/account/me")
    assert me.json() == {
        "user": answer.json()["user"],
        "email": "ada@customer.test",
        "name": "Ada Example",
        "locale": "en",
        "time_zone": None,
        "csrf_token": answer.json()["csrf_token"],
    }
    assert me.headers["cache-control"] == "no-store"


async def test_a_customer_tells_where_they_live(shop: Shop, kim: Person) -> None:
    changed = await kim.http.patch("/api/account/me", json={"time_zone": "Europe/Paris"}, headers=kim.headers())
    assert (changed.status_code, changed.json()["time_zone"]) == (200, "Europe/Paris")
    for nonsense in ("Mars/Olympus", "", "../etc/localtime", "Europe"):
        refused = await kim.http.patch("/api/account/me", json={"time_zone": nonsense}, headers=kim.headers())
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_account")
    assert (await kim.http.patch("/api/account/me", json={"time_zone": None})).status_code == 403
    assert (await kim.http.get("/api/account/me")).json()["time_zone"] == "Europe/Paris"
    forgotten = await kim.http.patch("/api/account/me", json={"time_zone": None}, headers=kim.headers())
    assert forgotten.json()["time_zone"] is None


BAD_SIGN_UPS: list[tuple[dict[str, object], set[str]]] = [
    ({"email": "no-at"}, {"email"}),
    ({"email": "ada@customer.test\r\nBcc: x@y.test"}, {"email"}),
    ({"password": "short"}, {"password"}),
    ({"name": "\x00"}, {"name"}),
    ({"accept_terms": False}, {"accept_terms"}),
    ({"accept_terms": "yes"}, {"accept_terms"}),
    ({"email": 5}, {"email"}),
    ({"email": "x" * 2000}, {"email"}),
    ({"role": "admin"}, {"role"}),
    ({"locale": "xx"}, {"locale"}),
    ({"email": "", "password": "", "name": ""}, {"email", "password", "name"}),
]


async def test_bad_input_names_its_fields_and_changes_nothing(shop: Shop, subtests: pytest.Subtests) -> None:
    for number, (change, fields) in enumerate(BAD_SIGN_UPS):
        client = shop.client(address=f"203.0.113.{100 + number}")
        with subtests.test(change=change):
            # An address of its own for each, or the limit for one address would answer first.
            body = GOOD | {"email": f"ada{number}@customer.test"} | change
            answer = await client.post("/api/account/sign-up", json=body)
            assert answer.status_code == 422
            assert {error["field"] for error in answer.json()["errors"]} == fields
            assert PASSWORD not in answer.text
    assert await count(shop, AppUser) == 0


@pytest.mark.parametrize("text", [b'{"email": "\\ud800@x.test", "password": "\\ud800"}'])
async def test_half_a_character_is_no_crash(shop: Shop, text: bytes) -> None:
    answer = await shop.client().post(
        "/api/account/sign-in", content=text, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (401, 422)


async def test_a_taken_address_is_said_at_the_field(shop: Shop, kim: Person) -> None:
    answer = await shop.client().post("/api/account/sign-up", json=GOOD | {"email": kim.email.upper()})
    assert (answer.status_code, answer.json()["code"]) == (409, "email_taken")
    assert await count(shop, AppUser) == 1


async def test_wrong_credentials_sound_the_same_whatever_is_wrong(shop: Shop, kim: Person) -> None:
    client = shop.client()
    wrong = await client.post("/api/account/sign-in", json={"email": kim.email, "password": "wrong password"})
    nobody = await client.post("/api/account/sign-in", json={"email": "nobody@customer.test", "password": PASSWORD})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json() == nobody.json()
    assert "www-authenticate" in wrong.headers


async def test_a_planted_session_never_becomes_a_signed_in_one(shop: Shop, kim: Person) -> None:
    """Session fixation: whatever token the browser comes with, signing in gives another one and ends the old one."""
    planted = shop.client()
    planted.cookies.set("quntedge_session", "A" * 43)
    answer = await planted.post("/api/account/sign-in", json={"email": kim.email, "password": PASSWORD})
    assert answer.status_code == 200
    assert "A" * 43 not in answer.headers["set-cookie"]
    before = shop.cookie(kim)
    again = await kim.http.post("/api/account/sign-in", json={"email": kim.email, "password": PASSWORD})
    assert again.status_code == 200
    assert shop.cookie(kim) != before
    stale = shop.client()
    stale.cookies.set("quntedge_session", str(before))
    assert (await stale.get("/api/account/me")).status_code == 401


async def test_sign_out_ends_the_session_on_the_server(shop: Shop, kim: Person) -> None:
    token = shop.cookie(kim)
    answer = await kim.http.post("/api/account/sign-out", headers=kim.headers())
    assert answer.status_code == 204
    assert shop.cookie(kim) is None
    stale = shop.client()
    stale.cookies.set("quntedge_session", str(token))
    assert (await stale.get("/api/account/me")).status_code == 401
    assert await count(shop, UserSession) == 0


async def test_an_unsafe_call_needs_the_token_of_this_session(shop: Shop, kim: Person) -> None:
    for token in (None, "", "wrong", "é" * 10):
        headers = {} if token is None else {"X-CSRF-Token": token.encode()}
        answer = await kim.http.post("/api/account/sign-out", headers=headers)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
    assert await count(shop, UserSession) == 1


async def test_the_token_of_somebody_else_does_not_help(shop: Shop, kim: Person) -> None:
    other = await shop.sign_up()
    answer = await kim.http.post("/api/account/sign-out", headers={"X-CSRF-Token": other.csrf})
    assert answer.status_code == 403


async def test_another_site_is_refused_even_with_the_token(shop: Shop, kim: Person) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:8000.evil.example"},
    ):
        answer = await kim.http.post("/api/account/sign-out", headers=kim.headers(**headers))
        assert answer.status_code == 403
        sign_in = await shop.client().post(
            "/api/account/sign-in", json={"email": kim.email, "password": PASSWORD}, headers=headers
        )
        assert sign_in.status_code == 403


async def test_our_own_site_is_not_refused(shop: Shop) -> None:
    for headers in ({"Origin": "http://127.0.0.1:8000"}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "null"}):
        person = await shop.sign_up()
        answer = await person.http.post("/api/account/sign-out", headers=person.headers(**headers))
        assert answer.status_code == 204


async def test_a_form_of_another_site_cannot_sign_anybody_in(shop: Shop, kim: Person) -> None:
    body = f'{{"email": "{kim.email}", "password": "{PASSWORD}"}}'.encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = await shop.client().post("/api/account/sign-in", content=body, headers={"Content-Type": kind})
        assert answer.status_code in (415, 422), kind
        assert "set-cookie" not in answer.headers


async def test_guessing_is_limited_by_client_and_by_address(shop: Shop, kim: Person) -> None:
    body = {"email": kim.email, "password": "wrong password"}
    statuses = [
        (await shop.client(address=f"203.0.113.{100 + number}").post("/api/account/sign-in", json=body)).status_code
        for number in range(7)
    ]
    assert statuses == [401] * 4 + [429] * 3, "one of the five was the sign-up itself"
    refused = await shop.client(address="203.0.113.200").post("/api/account/sign-in", json=body)
    assert int(refused.headers["retry-after"]) >= 1


async def test_an_expired_session_is_no_session(shop: Shop, kim: Person) -> None:
    shop.clock.set(shop.clock.now().replace(year=2027))
    answer = await kim.http.get("/api/account/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
