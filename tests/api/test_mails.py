"""/api/admin/mails…"""

import httpx

from quntedge.notifications.rules import Kind
from quntedge.notifications.wording import packaged
from quntedge.notifications.words import LANGUAGES
from tests.edge.shop import Person, Shop

MAIL = "/api/admin/mails/renewal_paid/fr"


async def client(shop: Shop, *scopes: str) -> httpx.AsyncClient:
    token = await shop.api_key(*(scopes or ("mails:read", "mails:write")))
    return shop.client(headers={"Authorization": f"Bearer {token}"})


async def test_a_mail_is_read_reworded_and_taken_back(shop: Shop) -> None:
    http = await client(shop)
    listed = (await http.get("/api/admin/mails")).json()["data"]
    assert len(listed) == len(Kind) * len(LANGUAGES)
    before = (await http.get(MAIL)).json()
    assert before["version"] == 0
    assert before["text"] == packaged(Kind.RENEWAL_PAID, "fr").text
    assert {"amount", "plan_name"} <= set(before["names"])

    answer = await http.put(MAIL, json={"subject": "Merci pour {{ plan_name }}", "based_on": 0})
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert (changed["version"], changed["subject"], changed["text"]) == (
        1, "Merci pour {{ plan_name }}", before["text"],
    )  # fmt: skip
    assert [(entry["version"], entry["active"]) for entry in changed["history"]] == [(1, True), (0, False)]
    assert changed["history"][0]["created_by"].startswith("service:key_")
    row = next(row for row in (await http.get("/api/admin/mails")).json()["data"] if row["version"])
    assert (row["kind"], row["locale"], row["changed_by"]) == (
        "renewal_paid", "fr", changed["history"][0]["created_by"],
    )  # fmt: skip

    back = (await http.delete(MAIL)).json()
    assert (back["version"], back["subject"]) == (0, before["subject"])
    again = (await http.post(f"{MAIL}/activate", json={"version": 1})).json()
    assert (again["version"], again["subject"]) == (1, "Merci pour {{ plan_name }}")


async def test_a_draft_is_shown_in_all_its_shapes_and_changes_nothing(shop: Shop) -> None:
    http = await client(shop, "mails:read")
    answer = await http.post(f"{MAIL}/preview", json={"text": "Bonjour {{ name or 'vous' }}"})
    assert answer.status_code == 200, answer.text
    shapes = {shape["shape"]: shape for shape in answer.json()["data"]}
    assert shapes["everything is known"]["text"] == "Bonjour Camille Martin\n"
    assert shapes["without name"]["text"] == "Bonjour vous\n"
    assert (await http.get(MAIL)).json()["version"] == 0


async def test_a_template_that_cannot_be_used_is_refused_with_its_lines(shop: Shop) -> None:
    http = await client(shop)
    for method, path in (("PUT", MAIL), ("POST", f"{MAIL}/preview")):
        answer = await http.request(method, path, json={"html": "<p>\n{{ prenom }}"})
        assert answer.status_code == 422
        problem = answer.json()
        assert problem["code"] == "mail_template_refused"
        (error,) = problem["errors"]
        assert error["field"] == "html"
        assert error["message"].startswith("line 2: there is no name “prenom”. There are: ")
        assert "plan_name" in problem["names"]
    assert (await http.get(MAIL)).json()["version"] == 0


async def test_who_read_an_older_version_is_told(shop: Shop) -> None:
    http = await client(shop)
    await http.put(MAIL, json={"subject": "Un"})
    late = await http.put(MAIL, json={"subject": "Deux", "based_on": 0})
    assert (late.status_code, late.json()["code"]) == (409, "mail_template_changed")


REFUSED: list[tuple[str, str, object, int]] = [
    ("GET", "/api/admin/mails/birthday/fr", None, 404),
    ("PUT", "/api/admin/mails/renewal_paid/de", {}, 404),
    ("POST", f"{MAIL}/activate", {"version": 7}, 404),
    ("POST", f"{MAIL}/activate", {"version": 2**40}, 422),
    ("POST", f"{MAIL}/activate", {"version": -1}, 422),
    ("PUT", MAIL, {"subjekt": "x"}, 422),
    ("PUT", MAIL, {"subject": ["x"]}, 422),
    ("PUT", MAIL, {"text": "x" * 100_001}, 422),
    ("PUT", MAIL, {"text": "\x00"}, 422),
    ("PUT", MAIL, {"subject": ""}, 422),
]


async def test_bad_input_is_refused(shop: Shop) -> None:
    http = await client(shop)
    for method, path, body, status in REFUSED:
        answer = await http.request(method, path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_only_a_key_with_the_scope_may(shop: Shop, kim: Person) -> None:
    assert (await kim.http.get("/api/admin/mails")).status_code == 401
    reader = await client(shop, "mails:read")
    for method, path, body in (
        ("PUT", MAIL, {"subject": "x"}),
        ("DELETE", MAIL, None),
        ("POST", f"{MAIL}/activate", {"version": 0}),
    ):
        assert (await reader.request(method, path, json=body)).status_code == 403
    host = await client(shop, "access:read", "subscription:read")
    assert (await host.get("/api/admin/mails")).status_code == 403
    assert (await host.post(f"{MAIL}/preview", json={})).status_code == 403
