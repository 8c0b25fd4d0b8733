"""The structured data: valid by the schemas of Factur-X, and in agreement with the document."""

from dataclasses import replace
from decimal import Decimal
from xml.etree.ElementTree import Element, fromstring

import facturx
import pytest

from quntedge.invoices.documents import Document
from quntedge.invoices.facturx import Profile, structured
from quntedge.invoices.parties import BuyerDetails
from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.money import Money
from quntedge.pricing.rules import Label, Line, LineKind
from tests.invoices.builders import BUYER, charge, credit_note, document, seller

RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"
UNUSED = Line(LineKind.PRORATION, Label.UNUSED_TIME, Money(-1160, "usd"))
LEVELS = {Profile.EN16931: "en16931", Profile.MINIMUM: "minimum"}

DOCUMENTS: dict[str, Document] = {
    "taxed": document(),
    "discount": document(amounts=charge(Money(2529, "usd"), Money(2900, "usd"), Money(209, "usd"), "exclusive")),
    "inclusive": document(amounts=charge(Money(2900, "eur"), Money(2900, "eur"), Money(483, "eur"), "inclusive")),
    "proration": document(
        amounts=charge(Money(18740, "usd"), Money(19900, "usd")), agreed=[(UNUSED, "Unused time on Monthly")]
    ),
    "reverse charge": document(amounts=charge(Money(2900, "eur"))),
    "no tax, consumer": document(
        amounts=charge(Money(2900, "usd")), buyer=BuyerDetails(name="Kim Doe", country="US", email="kim@example.test")
    ),
    "seller without VAT": document(amounts=charge(Money(2900, "usd")), seller=seller(vat_id=None, note="Exempt.")),
    "buyer unknown": document(buyer=BuyerDetails()),
    "number without country": document(buyer=replace(BUYER, country="AU", vat_id="51824753556")),
    "control characters": document(buyer=replace(BUYER, company='A < B & "C" ]]> <!-- \'', name="x")),
    "no round rate": document(
        amounts=charge(Money(9_776_543, "jpy"), Money(8_765_432, "jpy"), Money(1_011_111, "jpy"), "exclusive")
    ),
    "credit note": credit_note(),
    "credit note without tax": credit_note(tax=0, rate=0),
    "credit note over next to nothing": credit_note(amount=3, tax=0),
    "cancellation": credit_note("cancellation", -1500, -124),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_xml_is_valid(name: str) -> None:
    told = structured(DOCUMENTS[name])
    assert told is not None
    assert facturx.xml_check_xsd(told.xml, flavor="factur-x", level=LEVELS[told.profile])
    _check_rules(fromstring(told.xml), DOCUMENTS[name], told.profile)


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_every_currency_is_told_exactly_or_not_at_all(currency: str) -> None:
    whole = 10 ** EXPONENTS[currency]
    coarse = structured(document(amounts=charge(Money(1234 * whole, currency), None, Money(200 * whole, currency))))
    assert coarse is not None
    assert _amount(fromstring(coarse.xml), "GrandTotalAmount") == Decimal(1234)
    fine = structured(document(amounts=charge(Money(1234 * whole + 1, currency))))
    assert (fine is None) == (EXPONENTS[currency] > 2), "EN 16931 knows two decimals"


def test_what_cannot_be_told_is_not() -> None:
    assert structured(document(seller=seller(country=None))) is None
    untaxable = structured(document(seller=seller(vat_id=None)))
    assert untaxable is not None
    assert untaxable.profile is Profile.MINIMUM, "who takes VAT must say under which number"


def test_who_and_what_for() -> None:
    told = structured(document())
    assert told is not None
    root = fromstring(told.xml)
    assert [e.text for e in root.iter(f"{RAM}Name")] == ["Pro", "QuntEdge SAS", "Éditions Müller & Söhne GmbH"]
    assert [e.text for e in root.iter(f"{RAM}CountryID")] == ["FR", "DE"]
    taxed = [e.text for e in root.iter(f"{RAM}ID") if (e.get("schemeID") or "") == "VA"]
    assert taxed == ["FR40303265045", "DE136695976"]
    assert [e.text for e in root.iter(f"{RAM}RateApplicablePercent")] == ["9.00", "9.00"]


def test_a_credit_note_names_its_invoice() -> None:
    told = structured(credit_note())
    assert told is not None
    root = fromstring(told.xml)
    (reference,) = root.iter(f"{RAM}InvoiceReferencedDocument")
    assert reference.findtext(f"{RAM}IssuerAssignedID") == "INV-2026-000042"
    kinds = [e.text for e in root.iter(f"{RAM}TypeCode")]
    assert kinds[0] == "381"


def test_a_few_cents_of_what_was_taxed_are_taxed_too() -> None:
    """Their share of the tax is less than a cent, which makes them neither exempt nor somebody else's to tax."""
    few = credit_note(amount=3, tax=0)
    assert few.is_taxed
    assert not few.reverse_charge
    told = structured(few)
    assert told is not None
    root = fromstring(told.xml)
    assert {e.text for e in root.iter(f"{RAM}CategoryCode")} == {"S"}
    assert {e.text for e in root.iter(f"{RAM}RateApplicablePercent")} == {"9.00"}
    assert root.find(f".//{RAM}ExemptionReason") is None
    assert credit_note(tax=0, rate=0).reverse_charge


def _check_rules(root: Element, held: Document, profile: Profile) -> None:
    """The arithmetic of EN 16931 (BR-CO-10 to 17), which schemas cannot check."""
    assert _amount(root, "GrandTotalAmount") == held.total.to_major()
    assert _amount(root, "TaxBasisTotalAmount") + _amount(root, "TaxTotalAmount") == _amount(root, "GrandTotalAmount")
    assert _amount(root, "DuePayableAmount") == 0
    if profile is Profile.MINIMUM:
        return
    lines = sum(_amounts(root, "LineTotalAmount")[:-1], Decimal(0))
    allowances = sum(_amounts(root, "ActualAmount"), Decimal(0))
    assert lines == _amounts(root, "LineTotalAmount")[-1]
    assert lines - allowances == _amount(root, "TaxBasisTotalAmount") == _amount(root, "BasisAmount")
    assert _amount(root, "CalculatedAmount") == _amount(root, "TaxTotalAmount") == held.tax.to_major()
    if held.is_taxed:
        rate = _amount(root, "RateApplicablePercent")
        tax, reckoned = held.tax.to_major(), _amount(root, "BasisAmount") * rate / 100
        assert abs(tax - reckoned) < Decimal("0.99"), "BR-CO-17, BR-S-09"
    assert all(amount >= 0 for amount in (*_amounts(root, "ChargeAmount"), *_amounts(root, "ActualAmount")))
    category = root.findtext(f".//{RAM}ApplicableHeaderTradeSettlement/{RAM}ApplicableTradeTax/{RAM}CategoryCode")
    numbers = [e.text for e in root.iter(f"{RAM}ID") if e.get("schemeID") == "VA"]
    if category == "O":
        assert numbers == [], "BR-O-02: outside the scope of VAT nobody has a number"
    else:
        assert numbers[:1] == [held.seller.vat_id]
    if category == "AE":
        assert len(numbers) == 2, "BR-AE-02: reverse charge is between two numbers"
    assert (category == "S") == held.is_taxed


def _amounts(root: Element, name: str) -> list[Decimal]:
    return [Decimal(str(element.text)) for element in root.iter(f"{RAM}{name}")]


def _amount(root: Element, name: str) -> Decimal:
    return _amounts(root, name)[0]
