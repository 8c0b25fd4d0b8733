"""The structured part of a document: a Cross Industry Invoice (UN/CEFACT D22B) as Factur-X 1.0 wants it.

The profile is EN 16931 where everything it demands is known, above all the buyer's country; else MINIMUM, which tells
parties and totals alone. There is none where not even that can be said: a seller without a country, an amount finer
than two decimals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring
from zoneinfo import ZoneInfo

from quntedge.invoices.documents import Document
from quntedge.invoices.lines import Line
from quntedge.invoices.parties import BuyerDetails, Seller, country_problem
from quntedge.invoices.words import words
from quntedge.kit.money import Money
from quntedge.pricing.rules import sum_of

FILE_NAME = "factur-x.xml"
_RSM = "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
_RAM = "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
_UDT = "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100"
_QDT = "urn:un:unece:uncefact:data:standard:QualifiedDataType:100"
for _prefix, _uri in (("rsm", _RSM), ("ram", _RAM), ("udt", _UDT), ("qdt", _QDT)):
    register_namespace(_prefix, _uri)

# Codes of UNTDID 1001 (kinds of documents) and 4461 (means of payment; 1: not specified), and of UN/ECE Rec 20.
_TYPE_CODES: Mapping[str, str] = MappingProxyType({"invoice": "380", "credit_note": "381", "cancellation": "381"})
_MEANS = "1"
_PIECE = "C62"
_DAY = "102"
_CENT = Decimal("0.01")
_SLACK = Decimal("0.9")
_FINEST = Decimal("0.000000001")


class Profile(Enum):
    """How much the XML tells: its level in the PDF's metadata, and the guideline it names."""

    EN16931 = ("EN 16931", "urn:cen.eu:en16931:2017")
    MINIMUM = ("MINIMUM", "urn:factur-x.eu:1p0:minimum")

    @property
    def level(self) -> str:
        """The conformance level as the PDF's metadata say it."""
        return self.value[0]

    @property
    def relationship(self) -> str:
        """What the XML is to the page (Factur-X 1.0, 6.2.2): the same invoice for machines, or, where it tells less
        than an invoice does, data about it."""
        return "alternative" if self is Profile.EN16931 else "data"


@dataclass(frozen=True, slots=True)
class Structured:
    """The XML of a document and its profile."""

    xml: bytes
    profile: Profile


@dataclass(frozen=True, slots=True)
class _Tax:
    """Category (UNTDID 5305), rate in percent (None outside the scope of the tax), and why none is charged."""

    category: str
    percent: str | None
    reason: str | None = None
    reason_code: str | None = None


def structured(document: Document) -> Structured | None:
    """The XML of a document; None where nothing that is valid can be said."""
    amounts = [line.amount for line in document.lines]
    if document.seller.country is None or not all(map(_fits, amounts)):
        return None
    profile = Profile.EN16931 if _is_complete(document) else Profile.MINIMUM
    root = Element(f"{{{_RSM}}}CrossIndustryInvoice")
    _heading(root, document, profile)
    transaction = SubElement(root, f"{{{_RSM}}}SupplyChainTradeTransaction")
    tax = _tax_of(document)
    if profile is Profile.EN16931:
        for position, line in enumerate(_items(document), start=1):
            _line(transaction, document, position, line, tax)
    agreement = _add(transaction, "ApplicableHeaderTradeAgreement")
    _seller(agreement, document.seller, profile, tax)
    _buyer(agreement, document, profile, tax)
    delivery = _add(transaction, "ApplicableHeaderTradeDelivery")
    settlement = _add(transaction, "ApplicableHeaderTradeSettlement")
    if profile is Profile.EN16931:
        _day(_add(delivery, "ActualDeliverySupplyChainEvent"), "OccurrenceDateTime", document.issued_on)
        _settlement(settlement, document, tax)
    else:
        _add(settlement, "InvoiceCurrencyCode", document.currency.upper())
        _totals(settlement, document, ())
    indent(root)
    return Structured(tostring(root, encoding="utf-8", xml_declaration=True), profile)


def _fits(amount: Money) -> bool:
    """Whether an amount can be written with two decimals, which is all that EN 16931 allows."""
    return amount.to_major() == amount.to_major().quantize(_CENT)


def _is_complete(document: Document) -> bool:
    """Whether everything is known that EN 16931 demands: where the buyer is, and by what the seller is known."""
    seller = document.seller
    known = seller.vat_id is not None or (seller.registration is not None and not document.is_taxed)
    return known and document.buyer.country is not None


def _tax_of(document: Document) -> _Tax:
    text = words(document.language)
    if document.is_taxed:
        return _Tax("S", _percent(document))
    if document.reverse_charge:
        return _Tax("AE", "0.00", text["reverse_charge"], "VATEX-EU-AE")
    reason = document.seller.note or text["untaxed"]
    if document.seller.vat_id is None:
        return _Tax("O", None, reason, "VATEX-EU-O")
    return _Tax("E", "0.00", reason)


def _percent(document: Document) -> str:
    """The rate. Where hundredths of a percent are too coarse to lead to the tax within one whole unit of the currency,
    which BR-CO-17 and BR-S-09 ask for, with as many decimals as it takes."""
    rate, net, tax = Decimal(document.tax_basis_points) / 100, document.net.to_major(), document.tax.to_major()
    if abs(net * rate / 100 - tax) < _SLACK:
        return f"{rate:.2f}"
    return f"{(tax * 100 / net).quantize(_FINEST):f}"


def _items(document: Document) -> list[Line]:
    """The lines that are lines in the XML: tax and what is taken off an invoice have places of their own."""
    return [line for line in document.lines if line.kind != "tax" and line not in _allowances(document)]


def _allowances(document: Document) -> list[Line]:
    if document.kind != "invoice":
        return []
    return [line for line in document.lines if line.kind != "tax" and line.amount < Money.zero(document.currency)]


def _heading(root: Element, document: Document, profile: Profile) -> None:
    context = SubElement(root, f"{{{_RSM}}}ExchangedDocumentContext")
    _add(_add(context, "GuidelineSpecifiedDocumentContextParameter"), "ID", profile.value[1])
    heading = SubElement(root, f"{{{_RSM}}}ExchangedDocument")
    _add(heading, "ID", document.number)
    _add(heading, "TypeCode", _TYPE_CODES[document.kind])
    _day(heading, "IssueDateTime", document.issued_on)
    if profile is Profile.EN16931 and document.seller.note:
        _add(_add(heading, "IncludedNote"), "Content", document.seller.note)


def _line(transaction: Element, document: Document, position: int, line: Line, tax: _Tax) -> None:
    item = _add(transaction, "IncludedSupplyChainTradeLineItem")
    _add(_add(item, "AssociatedDocumentLineDocument"), "LineID", str(position))
    _add(_add(item, "SpecifiedTradeProduct"), "Name", line.label)
    price = _add(_add(item, "SpecifiedLineTradeAgreement"), "NetPriceProductTradePrice")
    # A price is never negative; what is cancelled is a piece less.
    _add(price, "ChargeAmount", _number(abs(line.amount)))
    pieces = "-1" if line.amount < Money.zero(document.currency) else "1"
    _add(_add(item, "SpecifiedLineTradeDelivery"), "BilledQuantity", pieces, unitCode=_PIECE)
    settlement = _add(item, "SpecifiedLineTradeSettlement")
    _category(_add(settlement, "ApplicableTradeTax"), tax)
    _period(settlement, document, line)
    _add(_add(settlement, "SpecifiedTradeSettlementLineMonetarySummation"), "LineTotalAmount", _number(line.amount))


def _period(parent: Element, document: Document, line: Line) -> None:
    if line.period_start is None or line.period_end is None:
        return
    period = _add(parent, "BillingSpecifiedPeriod")
    for name, moment in (("StartDateTime", line.period_start), ("EndDateTime", line.period_end)):
        _day(period, name, local_day(moment, document.seller))


def _seller(agreement: Element, seller: Seller, profile: Profile, tax: _Tax) -> None:
    party = _add(agreement, "SellerTradeParty")
    _add(party, "Name", seller.name)
    if seller.registration:
        _add(_add(party, "SpecifiedLegalOrganization"), "ID", seller.registration)
    _address(party, seller, profile)
    if profile is Profile.EN16931 and seller.email:
        _add(_add(party, "URIUniversalCommunication"), "URIID", seller.email, schemeID="EM")
    if seller.vat_id and tax.category != "O":
        _add(_add(party, "SpecifiedTaxRegistration"), "ID", seller.vat_id, schemeID="VA")


def _buyer(agreement: Element, document: Document, profile: Profile, tax: _Tax) -> None:
    buyer = document.buyer
    party = _add(agreement, "BuyerTradeParty")
    _add(party, "Name", buyer.title or words(document.language)["customer"].format(id=document.buyer_id))
    if profile is not Profile.EN16931:
        return
    if buyer.company and buyer.name:
        _add(_add(party, "DefinedTradeContact"), "PersonName", buyer.name)
    _address(party, buyer, profile)
    if buyer.email:
        _add(_add(party, "URIUniversalCommunication"), "URIID", buyer.email, schemeID="EM")
    if buyer.vat_id and tax.category != "O" and _has_prefix(buyer.vat_id):
        _add(_add(party, "SpecifiedTaxRegistration"), "ID", buyer.vat_id, schemeID="VA")


def _has_prefix(vat_id: str) -> bool:
    """Whether a VAT number begins with a country, as it must here; some countries of the world write none."""
    return vat_id[:2] in ("EL", "XI") or country_problem(vat_id[:2]) is None


def _address(party: Element, held: Seller | BuyerDetails, profile: Profile) -> None:
    address = _add(party, "PostalTradeAddress")
    if profile is Profile.EN16931:
        parts = {"PostcodeCode": held.postcode, "LineOne": held.line1, "LineTwo": held.line2, "CityName": held.city}
        for name, value in parts.items():
            if value:
                _add(address, name, value)
    _add(address, "CountryID", held.country or "")


def _settlement(settlement: Element, document: Document, tax: _Tax) -> None:
    if document.payment_reference:
        _add(settlement, "PaymentReference", document.payment_reference)
    _add(settlement, "InvoiceCurrencyCode", document.currency.upper())
    _add(_add(settlement, "SpecifiedTradeSettlementPaymentMeans"), "TypeCode", _MEANS)
    breakdown = _add(settlement, "ApplicableTradeTax")
    _add(breakdown, "CalculatedAmount", _number(document.tax))
    _category(breakdown, tax, basis=document.net)
    allowances = _allowances(document)
    for line in allowances:
        allowance = _add(settlement, "SpecifiedTradeAllowanceCharge")
        SubElement(_add(allowance, "ChargeIndicator"), f"{{{_UDT}}}Indicator").text = "false"
        _add(allowance, "ActualAmount", _number(-line.amount))
        _add(allowance, "Reason", line.label)
        _category(_add(allowance, "CategoryTradeTax"), tax)
    _totals(settlement, document, allowances)
    if document.corrects is not None:
        reference = _add(settlement, "InvoiceReferencedDocument")
        _add(reference, "IssuerAssignedID", document.corrects.invoice_number)
        when = SubElement(_add(reference, "FormattedIssueDateTime"), f"{{{_QDT}}}DateTimeString", format=_DAY)
        when.text = f"{document.corrects.invoice_date:%Y%m%d}"


def _category(parent: Element, tax: _Tax, *, basis: Money | None = None) -> None:
    """The tax of a line, or, with a `basis`, of the document. The order of the elements is the standard's."""
    _add(parent, "TypeCode", "VAT")
    if basis is not None:
        if tax.reason:
            _add(parent, "ExemptionReason", tax.reason)
        _add(parent, "BasisAmount", _number(basis))
    _add(parent, "CategoryCode", tax.category)
    if basis is not None and tax.reason_code:
        _add(parent, "ExemptionReasonCode", tax.reason_code)
    if tax.percent is not None:
        _add(parent, "RateApplicablePercent", tax.percent)


def _totals(settlement: Element, document: Document, allowances: Sequence[Line]) -> None:
    totals = _add(settlement, "SpecifiedTradeSettlementHeaderMonetarySummation")
    complete = settlement.find(f"{{{_RAM}}}ApplicableTradeTax") is not None
    zero = Money.zero(document.currency)
    if complete:
        _add(totals, "LineTotalAmount", _number(sum_of(_items(document), document.currency)))
        if allowances:
            _add(totals, "AllowanceTotalAmount", _number(-sum_of(allowances, document.currency)))
    _add(totals, "TaxBasisTotalAmount", _number(document.net))
    _add(totals, "TaxTotalAmount", _number(document.tax), currencyID=document.currency.upper())
    _add(totals, "GrandTotalAmount", _number(document.total))
    if complete:
        # What is invoiced has been paid, and what is credited has been given back.
        _add(totals, "TotalPrepaidAmount", _number(document.total))
    _add(totals, "DuePayableAmount", _number(zero))


def local_day(moment: datetime, seller: Seller) -> date:
    """The day of a moment where the seller is."""
    return moment.astimezone(ZoneInfo(seller.time_zone)).date()


def _number(amount: Money) -> str:
    return f"{amount.to_major().quantize(_CENT):f}"


def _day(parent: Element, name: str, day: date) -> None:
    SubElement(_add(parent, name), f"{{{_UDT}}}DateTimeString", format=_DAY).text = f"{day:%Y%m%d}"


def _add(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    element = SubElement(parent, f"{{{_RAM}}}{name}", attributes)
    element.text = text
    return element
