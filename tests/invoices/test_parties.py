"""Sellers and buyers: what may stand on a document, and which version of it stands on which."""

import asyncio
from dataclasses import replace

import pytest

from quntedge.invoices.entities import seller_at
from quntedge.invoices.feature import Invoices
from quntedge.invoices.parties import (
    BuyerDetails,
    Seller,
    UnusableBillingDetails,
    check_details,
    countries,
    country_name,
)
from quntedge.invoices.profiles import key_of
from quntedge.invoices.vat import UnusableVatNumber, normal_vat_number
from quntedge.payments.events import PaymentRecorded
from quntedge.settings import ConfigurationError, Settings
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import DataKey, Vault
from tests.invoices.builders import BUYER, SELLER, seller
from tests.payments.builders import USER, apply, rows, snapshot

GIVEN = {"company": " Éditions  X ", "line1": "1 rue A", "city": "Paris", "country": "fr", "vat_id": "40 303 265 045"}


def test_details_are_brought_into_their_normal_form() -> None:
    assert check_details(GIVEN) == BuyerDetails(
        company="Éditions X", line1="1 rue A", city="Paris", country="FR", vat_id="FR40303265045"
    )


@pytest.mark.parametrize(
    ("change", "field", "word"),
    [
        ({"company": ""}, "name", "name or a company"),
        ({"line1": " "}, "line1", "address"),
        ({"city": None}, "city", "city"),
        ({"country": ""}, "country", "Choose a country"),
        ({"country": "XX"}, "country", "list"),
        ({"country": "France"}, "country", "list"),
        ({"country": "ＦＲ"}, "country", "list"),
        ({"company": "x" * 121}, "company", "120"),
        ({"line1": "x" * 101}, "line1", "100"),
        ({"postcode": "1" * 17}, "postcode", "16"),
        ({"name": "a\u0000b"}, "name", "printable"),
        ({"city": "a\u202eb"}, "city", "printable"),
        ({"email": "nobody"}, "email", "@"),
        ({"vat_id": "FR40303265046"}, "vat_id", "check digits"),
        ({"vat_id": "DE1"}, "vat_id", "length"),
        ({"vat_id": "FR４０303265045"}, "vat_id", "letters and digits"),
        ({"vat_id": "x" * 101}, "vat_id", "100"),
    ],
)
def test_what_cannot_stand_on_an_invoice_is_refused(change: dict[str, str | None], field: str, word: str) -> None:
    with pytest.raises(UnusableBillingDetails) as refusal:
        check_details(GIVEN | change)
    (error,) = refusal.value.errors
    assert error["field"] == field
    assert word in error["message"]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UnusableBillingDetails) as refusal:
        check_details({})
    assert [error["field"] for error in refusal.value.errors] == ["line1", "city", "name", "country"]
    with pytest.raises(UnusableBillingDetails) as refusal:
        check_details(GIVEN | {"line1": "", "email": "x", "vat_id": "FR1"})
    assert [error["field"] for error in refusal.value.errors] == ["line1", "email", "vat_id"]


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("FR 40 303 265 045", "FR", "FR40303265045"),
        ("40.303.265.045", "FR", "FR40303265045"),
        ("de136695976", "DE", "DE136695976"),
        ("DE136695976", "FR", "DE136695976"),
        ("094259216", "GR", "EL094259216"),
        ("GR094259216", "GR", "EL094259216"),
        ("GB 980 780 684", "GB", "GB980780684"),
        ("CHE-107.787.577 IVA", "CH", "CHE107787577"),
        ("995525828MVA", "NO", "NO995525828MVA"),
        ("51 824 753 556", "AU", "51824753556"),
    ],
)
def test_vat_numbers_have_one_form(number: str, country: str, expected: str) -> None:
    assert normal_vat_number(number, country) == expected
    assert normal_vat_number(expected, country) == expected


@pytest.mark.parametrize(
    ("number", "country"),
    [("FR4030326504", "FR"), ("", "FR"), ("12", "US"), ("CHE107787578", "CH"), ("GB980780685", "GB"), ("1" * 21, "US")],
)
def test_vat_numbers_that_cannot_be_right(number: str, country: str) -> None:
    with pytest.raises(UnusableVatNumber):
        normal_vat_number(number, country)


def test_countries_are_listed_by_name() -> None:
    names = countries("fr")
    assert list(names)[:3] == ["AF", "ZA", "AL"]
    assert names["EG"] == "Égypte"
    assert "EU" not in names
    assert country_name("XX", "fr") == "XX"
    assert country_name("DE", "fr") == "Allemagne"


def test_the_seller_is_who_the_settings_say(settings: Settings) -> None:
    plain = Seller.from_settings(settings)
    assert (plain.name, plain.country, plain.time_zone) == ("QuntEdge", None, "UTC")
    named = settings.model_copy(update={"seller_name": "X SA", "seller_vat_id": "40303265045", "seller_country": "FR"})
    found = Seller.from_settings(named)
    assert (found.name, found.vat_id) == ("X SA", "FR40303265045")
    assert found.id != plain.id
    assert found.id == Seller.from_settings(named).id
    with pytest.raises(ConfigurationError, match="QUNTEDGE_SELLER_VAT_ID"):
        Seller.from_settings(settings.model_copy(update={"seller_vat_id": "FR1", "seller_country": "FR"}))


async def test_an_invoice_keeps_seller_and_buyer_of_its_day(
    shop: UnitOfWorkFactory, billing: Invoices, vault: Vault
) -> None:
    async with shop() as unit:
        await apply(unit, snapshot("pay_1"))
        await unit.commit()
    async with shop() as unit:
        await billing.profiles.save(unit, USER, BUYER)
        await unit.commit()
    shop = _with_seller(shop, vault, seller(city="Lyon"))
    async with shop() as unit:
        await apply(unit, snapshot("pay_2"))
        await unit.commit()
    async with shop() as unit:
        await billing.profiles.save(unit, USER, replace(BUYER, company="Nachfolger AG"))
        await unit.commit()
    found = await rows(shop, "SELECT legal_entity_id, billing_profile_id FROM invoice ORDER BY number")
    async with shop() as unit:
        sellers = [await seller_at(unit.session, entity_id) for entity_id, _ in found]
        buyers = [await billing.profiles.at(unit.session, profile_id) for _, profile_id in found]
    assert sellers == [SELLER, seller(city="Lyon")]
    assert buyers == [BuyerDetails(), BUYER]
    versions = await rows(shop, "SELECT version, current, automatic FROM billing_profile ORDER BY version")
    assert versions == [(1, False, True), (2, False, False), (3, True, False)]


async def test_another_legal_entity_has_a_series_of_its_own(shop: UnitOfWorkFactory, vault: Vault) -> None:
    async with shop() as unit:
        await apply(unit, snapshot("pay_1"))
        await unit.commit()
    other = _with_seller(shop, vault, seller(code="DE", country="DE", vat_id="DE136695976"))
    async with other() as unit:
        await apply(unit, snapshot("pay_2"))
        await unit.commit()
    assert await rows(shop, "SELECT number FROM invoice ORDER BY number") == [
        ("DE-INV-2026-000001",),
        ("INV-2026-000001",),
    ]


async def test_saying_the_same_again_makes_no_version(shop: UnitOfWorkFactory, billing: Invoices) -> None:
    for _ in range(2):
        async with shop() as unit:
            await billing.profiles.save(unit, USER, BUYER)
            await unit.commit()
    assert await rows(shop, "SELECT version FROM billing_profile") == [(1,)]


async def test_ten_at_once_make_one_version_after_the_other(shop: UnitOfWorkFactory, billing: Invoices) -> None:
    async def save(number: int) -> None:
        async with shop() as unit:
            if number % 2:
                await billing.profiles.ensure(unit, [USER])
            else:
                await billing.profiles.save(unit, USER, replace(BUYER, company=f"Company {number}"))
            await unit.commit()

    await asyncio.gather(*(save(number) for number in range(10)))
    found = await rows(shop, "SELECT version, current FROM billing_profile ORDER BY version")
    assert [version for version, _ in found] == list(range(1, len(found) + 1))
    assert [current for _, current in found].count(True) == 1


async def test_nothing_is_readable_and_the_key_is_not_the_persons(
    shop: UnitOfWorkFactory, billing: Invoices, vault: Vault
) -> None:
    async with shop() as unit:
        profile = await billing.profiles.save(unit, USER, BUYER)
        await unit.commit()
    ((dump,),) = await rows(shop, "SELECT billing_profile::text FROM billing_profile")
    for value in (BUYER.company, BUYER.name, BUYER.email, BUYER.line1, BUYER.vat_id):
        assert str(value) not in dump
    async with shop() as unit:
        # Erasing the person leaves the invoices' key; destroying that one leaves nothing but the country.
        key = await unit.session.get_one(DataKey, key_of(USER))
        assert await billing.profiles.at(unit.session, profile.id) == BUYER
        key.wrapped = None
        await unit.session.flush()
        assert await billing.profiles.at(unit.session, profile.id) == BuyerDetails(country="DE")


def _with_seller(shop: UnitOfWorkFactory, vault: Vault, sold_by: Seller) -> UnitOfWorkFactory:
    """The same shop after its settings were changed."""
    bus = EventBus()
    units = UnitOfWorkFactory(shop._sessions, shop.clock, bus)
    bus.subscribe(PaymentRecorded, Invoices(units, vault, sold_by).service.on_payments_recorded)
    return units
