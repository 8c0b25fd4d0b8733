"""Sign in with Whop, as an application sees it."""

import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from quntedge.gateway.emulator.callers.tokens import InvalidToken, signer_for
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from tests.emulator.conftest import NO_CERTIFICATES, START, Shop
from tests.emulator.oidc_client import CHALLENGE, REDIRECT, VERIFIER, OidcClient, query_of, unpadded


@pytest.fixture(scope="module")
async def emu() -> AsyncIterator[RunningEmulator]:
    """One emulator for all tests of this file: each makes its own sign-ins, and time only goes on."""
    async with running_emulator(EmulatorConfig(start=START)) as running:
        yield running


@pytest.fixture
async def client(emu: RunningEmulator) -> AsyncIterator[OidcClient]:
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        yield await OidcClient.discovered(emu, http)


def assert_is_oauth_error(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == code


async def test_signing_in(client: OidcClient) -> None:
    back = await client.emu.sign_in(client.authorize_url(), "Kim@Customer.test", "Kim")
    assert back.startswith(f"{REDIRECT}&code=")
    assert query_of(back)["state"] == "state-1"
    answer = await client.exchange(query_of(back)["code"])
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    claims = await client.verified(tokens["id_token"])
    now = datetime.fromisoformat((await client.emu.state())["now"]).timestamp()
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (client.emu.url, "app_emulator", "nonce-1")
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["iat"] <= now < claims["exp"]
    assert claims["auth_time"] <= now
    assert claims["at_hash"] == unpadded(hashlib.sha256(tokens["access_token"].encode()).digest()[:16])
    known = (await client.userinfo(tokens["access_token"])).json()
    assert known["sub"] == claims["sub"]
    assert (known["name"], known["email"], known["email_verified"]) == ("Kim", "kim@customer.test", True)


async def test_a_changed_token_does_not_verify(client: OidcClient) -> None:
    token = (await client.tokens())["id_token"]
    head, body, signature = token.split(".")
    with pytest.raises(InvalidSignature):
        await client.verified(f"{head}.{body[:-2]}{'AA' if body[-2:] != 'AA' else 'BB'}.{signature}")


async def test_the_buyer_is_who_signs_in(client: OidcClient, shop: Shop) -> None:
    paid = await shop.sell("kim@customer.test")
    page = await client.http.get(client.authorize_url(login_hint="lee@customer.test"))
    assert "Sign in as kim@customer.test" in page.text
    assert 'value="lee@customer.test"' in page.text
    tokens = await client.tokens("kim@customer.test")
    assert (await client.verified(tokens["id_token"]))["sub"] == paid["membership"]["user_id"]


async def test_scopes_limit_what_is_told(client: OidcClient) -> None:
    bare = await client.tokens(scope="openid")
    assert set((await client.userinfo(bare["access_token"])).json()) == {"sub"}
    named = await client.tokens(scope="openid profile")
    assert set((await client.userinfo(named["access_token"])).json()) == {
        *("sub", "name", "preferred_username", "picture"),
    }
    plain = await client.tokens(scope="profile", nonce=None)
    assert "id_token" not in plain
    assert_is_oauth_error(await client.userinfo(plain["access_token"]), 403, "insufficient_scope")


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "openid everything"}, "invalid_scope"),
        ({"nonce": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"company_id": "biz_other"}, "invalid_request"),
        ({"state": "x" * 2001}, "invalid_request"),
    ],
)
async def test_wrong_requests_go_back_with_an_error(over: dict[str, Any], code: str, client: OidcClient) -> None:
    for method in ("GET", "POST"):
        answer = await client.http.request(method, client.authorize_url(**over))
        assert answer.status_code == 303
        back = query_of(answer.headers["location"])
        assert (back["error"], back["state"]) == (code, over.get("state", "state-1"))
        assert back["error_description"]


@pytest.mark.parametrize(
    "over",
    [
        {"client_id": "app_unknown"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/steal"},
        {"redirect_uri": "http://localhost.evil.example/"},
        {"redirect_uri": "javascript:alert(1)//localhost"},
        {"redirect_uri": "http://localhost/#fragment"},
        {"redirect_uri": "http://[::1"},
        {"redirect_uri": "http://localhost/\r\nset-cookie: a=b"},
    ],
)
async def test_nobody_is_sent_to_an_address_that_was_not_checked(over: dict[str, Any], client: OidcClient) -> None:
    for method in ("GET", "POST"):
        answer = await client.http.request(method, client.authorize_url(**over))
        assert answer.status_code == 400
        assert "location" not in answer.headers


async def test_refusing_and_not_being_asked(client: OidcClient) -> None:
    refused = await client.http.post(client.authorize_url(), data={"action": "deny"})
    assert query_of(refused.headers["location"])["error"] == "access_denied"
    silent = await client.http.get(client.authorize_url(prompt="none"))
    assert query_of(silent.headers["location"])["error"] == "login_required"
    for email in ("", "kim", "kim@", "k im@customer.test", f"{'k' * 250}@customer.test"):
        assert (await client.http.post(client.authorize_url(), data={"email": email})).status_code == 422


@pytest.mark.parametrize(
    "over",
    [
        {"code": "oac_unknown"},
        {"redirect_uri": "http://127.0.0.1:3000/other"},
        {"code_verifier": VERIFIER + "x"},
        {"code_verifier": ""},
        {"code_verifier": CHALLENGE},
    ],
)
async def test_a_code_is_only_good_as_it_was_asked_for(over: dict[str, str], client: OidcClient) -> None:
    code = await client.code()
    assert_is_oauth_error(await client.exchange(**{"code": code, **over}), 400, "invalid_grant")
    assert (await client.exchange(code)).status_code == 200


async def test_a_code_runs_out_after_ten_minutes(client: OidcClient) -> None:
    late, in_time = await client.code(), await client.code()
    await client.emu.advance(minutes=9)
    assert (await client.exchange(in_time)).status_code == 200
    await client.emu.advance(minutes=1)
    assert_is_oauth_error(await client.exchange(late), 400, "invalid_grant")


async def test_a_code_used_twice_ends_everything_that_came_of_it(client: OidcClient) -> None:
    code = await client.code()
    tokens = (await client.exchange(code)).json()
    assert_is_oauth_error(await client.exchange(code), 400, "invalid_grant")
    assert_is_oauth_error(await client.refresh(tokens["refresh_token"]), 400, "invalid_grant")


async def test_refresh_tokens_rotate(client: OidcClient) -> None:
    first = await client.tokens()
    second = (await client.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    claims, before = await client.verified(second["id_token"]), await client.verified(first["id_token"])
    assert "nonce" not in claims
    assert (claims["sub"], claims["auth_time"]) == (before["sub"], before["auth_time"])
    assert_is_oauth_error(await client.refresh(first["refresh_token"]), 400, "invalid_grant")
    assert_is_oauth_error(await client.refresh(second["refresh_token"]), 400, "invalid_grant")


async def test_access_tokens_last_an_hour(client: OidcClient) -> None:
    tokens = await client.tokens()
    await client.emu.advance(minutes=59)
    assert (await client.userinfo(tokens["access_token"])).status_code == 200
    await client.emu.advance(minutes=1)
    gone = await client.userinfo(tokens["access_token"])
    assert_is_oauth_error(gone, 401, "invalid_token")
    assert "invalid_token" in gone.headers["www-authenticate"]
    fresh = (await client.refresh(tokens["refresh_token"])).json()
    assert (await client.userinfo(fresh["access_token"])).status_code == 200


async def test_revoking(client: OidcClient) -> None:
    tokens, kept = await client.tokens(), await client.tokens()
    revoke = client.document["revocation_endpoint"]
    for token in (tokens["refresh_token"], tokens["refresh_token"], "unknown"):
        form = {"client_id": client.client_id, "token": token}
        assert (await client.http.post(revoke, data=form)).status_code == 200
    assert_is_oauth_error(await client.refresh(tokens["refresh_token"]), 400, "invalid_grant")
    assert (await client.userinfo(tokens["access_token"])).status_code == 200  # as at Whop: these run out by themselves
    assert (await client.refresh(kept["refresh_token"])).status_code == 200
    assert_is_oauth_error(await client.http.post(revoke, data={"client_id": client.client_id}), 400, "invalid_request")


async def test_registered_applications(client: OidcClient) -> None:
    body = {"name": "Shop", "redirect_uris": [REDIRECT], "id": "app_shop", "secret": "s3cret: %"}
    made = await client.emu.control.post("applications", json=body)
    assert (made.status_code, made.json()["oauth_client_type"]) == (201, "confidential")
    shop = await OidcClient.discovered(client.emu, client.http, client_id="app_shop")
    elsewhere = await client.http.get(shop.authorize_url(redirect_uri="http://127.0.0.1:3000/"))
    assert elsewhere.status_code == 400
    code = await shop.code()
    for secret in (None, "wrong"):
        over = {} if secret is None else {"client_secret": secret}
        assert_is_oauth_error(await shop.exchange(code, **over), 401, "invalid_client")
    assert_is_oauth_error(await client.exchange(code), 400, "invalid_grant")
    assert (await shop.exchange(code, client_secret="s3cret: %")).status_code == 200
    basic = httpx.BasicAuth("app_shop", "s3cret%3A%20%25")
    form = {"grant_type": "authorization_code", "code": await shop.code(), "redirect_uri": REDIRECT}
    answer = await client.http.post(
        shop.document["token_endpoint"], data={**form, "code_verifier": VERIFIER}, auth=basic
    )
    assert answer.status_code == 200


async def test_json_is_understood_as_well(client: OidcClient) -> None:
    form = {"grant_type": "authorization_code", "code": await client.code(), "redirect_uri": REDIRECT}
    body = {**form, "client_id": client.client_id, "code_verifier": VERIFIER}
    answer = await client.http.post(client.document["token_endpoint"], json=body)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    asked = await client.http.options(client.document["token_endpoint"], headers={"origin": "https://app.example"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")


@pytest.mark.parametrize(
    ("content", "type_"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"client_id": 1}', "application/json"),
        (b'{"client_id": "\\ud800"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"client_id=a&client_id=b", "application/x-www-form-urlencoded"),
        (b"\xff=\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(60)), "application/x-www-form-urlencoded"),
    ],
)
async def test_bodies_that_cannot_be_read(content: bytes, type_: str, client: OidcClient) -> None:
    for name in ("token_endpoint", "revocation_endpoint"):
        answer = await client.http.post(client.document[name], content=content, headers={"content-type": type_})
        assert_is_oauth_error(answer, 400, "invalid_request")


async def test_other_wrong_token_requests(client: OidcClient) -> None:
    assert_is_oauth_error(await client.token(grant_type="password"), 400, "unsupported_grant_type")
    assert_is_oauth_error(await client.token(client_id="app_unknown"), 401, "invalid_client")
    for header in ("Basic !!!", "Basic /w==", "Basic YQ=="):
        answer = await client.http.post(client.document["token_endpoint"], headers={"authorization": header})
        assert_is_oauth_error(answer, 401, "invalid_client")
    huge = await client.http.post(client.document["token_endpoint"], content=b"x" * 300_000)
    assert_is_oauth_error(huge, 413, "invalid_request")


@pytest.mark.parametrize("token", ["%", "x", "a.b.c", "..", "é.é.é", "e30.e30." + "A" * 86])
async def test_made_up_tokens(token: str, client: OidcClient) -> None:
    head = {b"authorization": f"Bearer {token}".encode()}
    for path in ("/oauth/userinfo", "/api/v1/users/me"):
        assert (await client.http.get(client.emu.url + path, headers=head)).status_code == 401


async def test_an_id_token_is_no_access_token(client: OidcClient) -> None:
    tokens = await client.tokens()
    assert (await client.userinfo(tokens["id_token"])).status_code == 401
    with pytest.raises(InvalidToken):
        signer_for(2).read(tokens["access_token"], type_="at+jwt")


async def test_what_a_person_may_ask_of_the_api(client: OidcClient, shop: Shop) -> None:
    own, other = await shop.sell("mia@customer.test"), await shop.sell("lee@customer.test")
    token = (await client.tokens("mia@customer.test"))["access_token"]
    head, user_id = {"authorization": f"Bearer {token}"}, own["membership"]["user_id"]

    async def ask(path: str, method: str = "GET") -> httpx.Response:
        return await client.http.request(method, f"{client.emu.api_base_url}/{path}", headers=head)

    me = (await ask("users/me")).json()
    assert (me["id"], me["email"]) == (user_id, "mia@customer.test")
    assert (await ask(f"users/{other['membership']['user_id']}")).json()["email"] is None
    listed = (await ask("memberships?user_id=me")).json()["data"]
    assert [one["id"] for one in listed] == [own["membership"]["id"]]
    assert listed[0]["member"]["access_level"] == "customer"
    access = (await ask(f"users/me/access/{own['membership']['product_id']}")).json()
    assert access == {"access_level": "customer", "has_access": True}
    assert (await ask(f"users/{other['membership']['user_id']}/access/biz_emulator")).status_code == 403
    assert (await ask(f"memberships/{other['membership']['id']}")).status_code == 404
    assert (await ask(f"members/{own['membership']['member_id']}")).status_code == 200
    assert (await ask(f"members/{other['membership']['member_id']}")).status_code == 404
    for path, method in (("members", "GET"), ("payments", "GET"), ("products", "POST"), ("webhooks", "GET")):
        assert (await ask(path, method)).status_code == 403


async def test_the_key_comes_from_the_seed() -> None:
    documents = []
    for seed in (7, 7, 8):
        async with running_emulator(EmulatorConfig(start=START, seed=seed)) as emu:
            documents.append((await emu.control.get(f"{emu.url}/.well-known/jwks.json")).json())
    assert documents[0] == documents[1] != documents[2]
    assert "d" not in documents[0]["keys"][0]


async def test_a_sign_in_outlives_a_restart(tmp_path: Path) -> None:
    config = EmulatorConfig(start=START, state_path=tmp_path / "state.sqlite")
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as http:
        async with running_emulator(config) as emu:
            first = await (await OidcClient.discovered(emu, http)).tokens()
        async with running_emulator(config) as emu:
            client = await OidcClient.discovered(emu, http)
            assert (await client.userinfo(first["access_token"])).json()["email"] == "kim@customer.test"
            second = (await client.refresh(first["refresh_token"])).json()
            claims = await client.verified(second["id_token"])
            assert claims["sub"] == (await client.verified(first["id_token"]))["sub"]


async def test_user_tokens_of_embedded_apps(client: OidcClient, shop: Shop) -> None:
    user_id = (await shop.sell("ned@customer.test"))["membership"]["user_id"]
    made = await client.emu.control.post("user_tokens", json={"user_id": user_id})
    claims = await client.verified(made.json()["token"])
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("urn:whopcom:exp-proxy", user_id, "app_emulator")
    assert (await client.userinfo(made.json()["token"])).status_code == 401
    unknown: list[dict[str, str]] = [{"user_id": "user_none"}, {"user_id": user_id, "application_id": "app_none"}]
    for body in unknown:
        assert (await client.emu.control.post("user_tokens", json=body)).status_code == 404
