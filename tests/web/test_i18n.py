"""The pages in the reader's language."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from babel.messages.catalog import Message
from tools.messages import SOURCE, collected, read

from quntedge.accounts.models import AppUser
from quntedge.accounts.rules import LOCALES
from quntedge.edge.cookies import language_cookie
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.web.i18n import LANGUAGES, NAMES
from tests.edge.shop import Person, Shop
from tests.web.browser import HTML, form

FRENCH = HTML | {"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.5"}
OTHERS = [locale for locale in LOCALES if locale != SOURCE]
_PLACEHOLDER = re.compile(r"%\([a-z_]+\)[sd]")
_TAG = re.compile(r"<[^>]+>")


def _forms(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _sentences(locale: str) -> list[Message]:
    return [message for message in read(locale) if message.id]


@pytest.mark.parametrize("locale", OTHERS)
def test_every_sentence_of_the_pages_is_translated(locale: str) -> None:
    found = {message.id: message.string for message in _sentences(locale)}
    wanted = {message.id for message in collected() if message.id}
    missing = [message for message in wanted if message not in found or not all(_forms(found[message]))]
    assert missing == [], "run `python -m tools.messages`, then translate these"
    assert sorted(map(str, found.keys() - wanted)) == [], "run `python -m tools.messages`: these are gone"


@pytest.mark.parametrize("locale", OTHERS)
def test_a_translation_keeps_what_is_filled_in(locale: str) -> None:
    for message in _sentences(locale):
        wanted = set(_PLACEHOLDER.findall(" ".join(_forms(message.id))))
        for translated in _forms(message.string):
            assert set(_PLACEHOLDER.findall(translated)) <= wanted, message.id
            assert _TAG.findall(translated) == [], "markup stays in the templates"
        assert set(_PLACEHOLDER.findall(" ".join(_forms(message.string)))) == wanted, message.id
        assert not message.fuzzy, message.id


def test_french_is_set_as_the_french_set_it() -> None:
    for message in _sentences("fr"):
        for text in _forms(message.string):
            assert not re.search(r" [:;?!»]|« ", text), f"a blank that may break the line: {text}"
            assert "'" not in text.replace("%(", ""), f"a typewriter's apostrophe: {text}"


def test_every_language_has_a_name_and_a_catalogue() -> None:
    assert set(NAMES) == set(LANGUAGES) == set(LOCALES)
    for locale in OTHERS:
        assert LANGUAGES[locale].translations.gettext("Billing") != "Billing"


async def test_the_browsers_language_counts_for_a_visitor(selling_shop: Shop) -> None:
    client = selling_shop.client()
    page = await client.get("/pricing", headers=FRENCH)
    for text in ('<html lang="fr">', "Formules et tarifs", "29,00\u00a0$US", "par mois", "Résiliable à tout moment"):
        assert text in page.text, text
    assert "Plans and pricing" in (await client.get("/pricing", headers=HTML)).text
    missing = await client.get("/nowhere", headers=FRENCH)
    assert "L’adresse est peut-être mal saisie" in missing.text


async def test_a_visitors_choice_wins_over_the_browser(shop: Shop) -> None:
    client = shop.client()
    page = await client.get("/sign-in?next=/billing", headers=FRENCH)
    fields = form(page, "/language") | {"locale": "en"}
    answer = await client.post("/language", data=fields, headers=FRENCH)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert client.cookies[language_cookie(shop.services.settings)] == "en"
    assert "Welcome back" in (await client.get("/sign-in", headers=FRENCH)).text


async def test_a_customers_choice_holds_for_pages_and_mails(shop: Shop, kim: Person, units: UnitOfWorkFactory) -> None:
    await shop.subscribe(kim.user_id)
    page = await kim.http.get("/billing", headers=FRENCH)
    assert "Your plan" in page.text, "what the account says wins over the browser"
    answer = await kim.http.post("/language", data=form(page, "/language") | {"locale": "fr"}, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/billing")
    french = await kim.http.get("/billing", headers=HTML)
    for text in ("Facturation", "Votre formule", "Actif", "Renouvellement le", "1er oct. 2026", "29,00\u00a0$US"):
        assert text in french.text, text
    async with units() as unit:
        user = await unit.session.get(AppUser, kim.user_id)
    assert user is not None
    assert user.locale == "fr"


async def test_a_new_account_gets_the_language_its_form_was_read_in(shop: Shop, units: UnitOfWorkFactory) -> None:
    client = shop.client()
    page = await client.get("/sign-up", headers=FRENCH)
    fields = form(page, "/sign-up") | {"name": "Luc", "email": "luc@example.org", "password": "short", "terms": "yes"}
    refused = await client.post("/sign-up", data=fields, headers=FRENCH)
    assert "Veuillez vérifier votre saisie" in refused.text
    assert "Utilisez au moins 10 caractères" in refused.text
    fields |= {"password": "trois lampes vertes"}
    assert (await client.post("/sign-up", data=fields, headers=FRENCH)).status_code == 303
    page = await client.get("/billing", headers=HTML)
    assert "Votre formule" in page.text


@pytest.mark.parametrize("locale", ["de", "", "EN", "../fr"])
async def test_a_language_we_do_not_speak_is_refused(shop: Shop, kim: Person, locale: str) -> None:
    page = await kim.http.get("/billing", headers=HTML)
    answer = await kim.http.post("/language", data=form(page, "/language") | {"locale": locale}, headers=HTML)
    assert answer.status_code == 422


async def test_the_switch_needs_its_token_and_leads_nowhere_else(shop: Shop, kim: Person) -> None:
    assert (await kim.http.post("/language", data={"locale": "fr"}, headers=HTML)).status_code == 403
    page = await kim.http.get("/billing", headers=HTML)
    fields = form(page, "/language") | {"locale": "fr", "next": "https://evil.example/"}
    assert (await kim.http.post("/language", data=fields, headers=HTML)).headers["location"] == "/"
