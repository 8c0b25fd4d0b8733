"""The files: what stands on them, that they are PDF/A-3 with the data inside, and that no text becomes a program."""

import re
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import fromstring

import facturx
import pypdfium2
import pytest
from babel import Locale
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

from quntedge.invoices.documents import Document
from quntedge.invoices.facturx import FILE_NAME, Profile, structured
from quntedge.invoices.glyphs import Glyphs
from quntedge.invoices.lines import Line as DocumentLine
from quntedge.invoices.parties import BuyerDetails
from quntedge.invoices.pdf import FONTS, PdfMaker
from quntedge.invoices.xmp import UnexpectedPdf, declare_facturx
from quntedge.kit.currencies import EXPONENTS
from quntedge.kit.dates import day
from quntedge.kit.money import Money
from quntedge.pricing.rules import Label, Line, LineKind
from tests.invoices.builders import BUYER, SELLER, charge, credit_note, document, seller

MAKER = PdfMaker()
TAXED_YEN = charge(Money(3190, "jpy"), Money(2900, "jpy"), Money(290, "jpy"), "exclusive")


def text_of(pdf: bytes) -> str:
    """What a reader copies out of a file, with single blanks."""
    with pypdfium2.PdfDocument(pdf) as opened:
        pages = [opened[index].get_textpage().get_text_bounded() for index in range(len(opened))]
    return re.sub(r"\s+", " ", " ".join(pages))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u2212", "-"))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(
    "held",
    [
        document(),
        document(amounts=charge(Money(2529, "usd"), Money(2900, "usd"), Money(209, "usd"), "exclusive")),
        document(amounts=TAXED_YEN),
        document(buyer=replace(BUYER, company=None, vat_id=None)),
        credit_note(),
        credit_note("cancellation", -1500, -124),
    ],
    ids=["taxed", "discount", "yen", "person", "credit note", "cancellation"],
)
def test_what_stands_in_the_data_stands_on_the_page(held: Document, language: str) -> None:
    held = replace(held, language=language)
    shown = _plain(text_of(MAKER.compile(held)))
    wanted = [held.number, held.seller.name, "12 rue des Tests", "75002 Paris", "FR40303265045", held.payment_reference]
    wanted += [held.buyer.title, held.buyer.name, held.buyer.line1, held.buyer.line2, "10115 Berlin", held.buyer.vat_id]
    wanted += [Locale.parse(language).territories["DE"], held.buyer.email]
    wanted += [day(held.issued_on, language), *(line.label for line in held.lines if line.kind != "tax")]
    wanted += [amount.format(language) for amount in (held.total, held.net, *(line.amount for line in held.lines))]
    if held.corrects is not None:
        wanted += [held.corrects.invoice_number, held.corrects.credit_number]
    for expected in wanted:
        if expected is not None:
            assert _plain(expected) in shown


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_every_currency_can_be_shown(currency: str) -> None:
    glyphs = Glyphs(list(FONTS))
    for language in ("en", "fr"):
        amount = Money(-1_234_567, currency).format(language).replace("-", "\u2212")
        shown = glyphs.shown(amount)
        assert "?" not in shown, f"{amount!r} cannot be shown"


def test_the_same_document_gives_the_same_bytes() -> None:
    assert MAKER.compile(document()) == PdfMaker().compile(document())
    assert MAKER.compile(document()) != MAKER.compile(document(number="INV-2026-000043"))


@pytest.mark.parametrize("held", [document(), credit_note(), document(buyer=BuyerDetails())])
def test_it_is_an_archival_file_with_the_data_inside(held: Document) -> None:
    pdf = MAKER.compile(held)
    told = structured(held)
    assert told is not None
    name, xml = facturx.get_facturx_xml_from_pdf(pdf)
    assert (name, xml) == (FILE_NAME, told.xml)
    reader = PdfReader(BytesIO(pdf), strict=True)
    catalog: Any = reader.trailer["/Root"]
    metadata = catalog["/Metadata"].get_object().get_data().decode()
    fromstring(metadata[metadata.index("<x:xmpmeta") : metadata.index("<?xpacket end")])
    assert re.search(r'pdfaid:part(>|=")3', metadata)
    assert re.search(r'pdfaid:conformance(>|=")A', metadata)
    assert re.search(r'pdfuaid:part(>|=")1', metadata)
    assert f"<fx:ConformanceLevel>{told.profile.level}</fx:ConformanceLevel>" in metadata
    assert f"<fx:DocumentFileName>{FILE_NAME}</fx:DocumentFileName>" in metadata
    assert metadata.count("<pdfaExtension:schemas>") == 1
    (attached,) = [file.get_object() for file in catalog["/AF"]]
    assert attached["/AFRelationship"] == ("/Alternative" if told.profile is Profile.EN16931 else "/Data")
    assert attached["/EF"]["/F"]["/Subtype"] == "/text/xml"
    assert attached in [named.get_object() for named in catalog["/Names"]["/EmbeddedFiles"]["/Names"][1::2]]
    (intent,) = catalog["/OutputIntents"]
    assert intent["/S"] == "/GTS_PDFA1"
    assert intent["/DestOutputProfile"].get_data()[36:40] == b"acsp", "an ICC profile"
    assert not {"/OpenAction", "/AA", "/AcroForm"} & set(catalog), "nothing runs, nothing can be filled in"
    assert "/JavaScript" not in catalog["/Names"]
    assert not reader.is_encrypted
    assert catalog["/Lang"] == held.language
    fonts = {
        str(font.get_object()["/BaseFont"]): font.get_object()
        for page in reader.pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert fonts
    for base, font in fonts.items():
        assert re.match(r"/[A-Z]{6}\+Inter", base), "every font is embedded, as a subset"
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile2", "/FontFile3"} & set(descriptor)


def test_it_can_be_read_aloud() -> None:
    """Tags (PDF/UA-1): a heading, a table whose head is one, a picture that says what it shows, a title to announce."""
    catalog: Any = PdfReader(BytesIO(MAKER.compile(document()))).trailer["/Root"]
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/ViewerPreferences"]["/DisplayDocTitle"]
    tags = list(_tags(catalog["/StructTreeRoot"]))
    kinds = [str(tag["/S"]) for tag in tags]
    assert kinds.count("/H1") == 1
    assert (kinds.count("/Table"), kinds.count("/TH"), kinds.count("/TD")) == (1, 2, 2)
    assert [tag["/Alt"] for tag in tags if tag["/S"] == "/Figure"] == [SELLER.name]


def _tags(held: Any) -> Iterator[Any]:
    below = held.get("/K", ArrayObject()).get_object()
    for one in below if isinstance(below, list) else [below]:
        tag = one.get_object()
        if isinstance(tag, DictionaryObject) and "/S" in tag:
            yield tag
            yield from _tags(tag)


def test_a_seller_of_whom_too_little_is_known_has_plain_files() -> None:
    pdf = MAKER.compile(document(seller=seller(country=None)))
    assert "/AF" not in PdfReader(BytesIO(pdf)).trailer["/Root"]
    assert "INV-2026-000042" in text_of(pdf)


EVIL = '#panic("x") $a$ *b* _c_ `d` \\u{41} <label> @ref // /* = - + #{1 + 1} #include "/etc/passwd" ]]> & "quoted"'


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@example(EVIL)
@example("中文 😀 \u202e\u0000\x1b[31m")
@given(st.text(min_size=1, max_size=60))
def test_no_text_becomes_a_program(text: str) -> None:
    held = document(buyer=BuyerDetails(company=text, name=text, line1=text, city=text), plan=text)
    assert MAKER.compile(held).startswith(b"%PDF-")


def test_what_looks_like_markup_is_shown_as_it_was_typed() -> None:
    shown = text_of(MAKER.compile(document(buyer=BuyerDetails(company="Kim", line1=EVIL, country="DE"))))
    for piece in ('#panic("x")', "$a$", "*b*", "_c_", "`d`", "\\u{41}", "<label>", "@ref", "#{1 + 1}", "]]> &"):
        assert piece in shown


def test_long_names_stay_on_the_page() -> None:
    name = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    pdf = MAKER.compile(document(buyer=replace(BUYER, company=name)))
    assert name in re.sub(r"[\s\u200b]", "", text_of(pdf))
    with pypdfium2.PdfDocument(pdf) as opened:
        page = opened[0].get_textpage()
        right = max(page.get_charbox(index)[2] for index in range(page.count_chars()))
        assert right < opened[0].get_width() - 50, "the margin stays free"


def test_a_name_with_hyphens_is_broken_at_these() -> None:
    shown = _lines_of(
        MAKER.compile(document(buyer=replace(BUYER, name="Anne-Charlotte de La Rochefoucauld-Montbazon-Guéméné")))
    )
    # How pdfium tells a hyphen at the end of a line.
    assert "Anne-Charlotte de La Rochefoucauld\x02Montbazon-Guéméné" in shown


def test_addresses_are_written_as_where_they_are() -> None:
    american = replace(BUYER, country="US", postcode="62701", city="Springfield, IL", vat_id=None)
    assert "Springfield, IL 62701" in _lines_of(MAKER.compile(document(buyer=american)))


def test_unused_time_says_below_how_it_came_about() -> None:
    unused = Line(LineKind.PRORATION, Label.UNUSED_TIME, Money(-1160, "usd"))
    text = "Unused time on Monthly: 12 of 30 days (1 Sep 2026 to 1 Oct 2026, paid $29.00)"
    charged = charge(Money(18740, "usd"), Money(19900, "usd"))
    shown = _lines_of(MAKER.compile(document(amounts=charged, agreed=[(unused, text)])))
    assert {"Unused time on Monthly: 12 of 30 days", "1 Sep 2026 to 1 Oct 2026, paid $29.00"} <= shown


def test_every_page_of_many_says_whose_it_is() -> None:
    lines = [DocumentLine("plan", f"Seat {number}", Money(100, "usd")) for number in range(30)]
    shown = text_of(MAKER.compile(document(lines=tuple(lines))))
    assert "INV-2026-000042 · Page 1 of 2" in shown
    assert "INV-2026-000042 · Page 2 of 2" in shown
    assert shown.count("DESCRIPTION") == 2
    assert "Page" not in text_of(MAKER.compile(document()))


def _lines_of(pdf: bytes) -> set[str]:
    with pypdfium2.PdfDocument(pdf) as opened:
        return {line.strip().replace("\u200b", "") for line in opened[0].get_textpage().get_text_bounded().splitlines()}


def test_characters_without_a_glyph_are_replaced_by_what_they_are_made_of() -> None:
    glyphs = Glyphs(list(FONTS))
    assert glyphs.shown("Łódź Ὀδυσσεύς Київ ﬁ ①") == "Łódź Ὀδυσσεύς Київ fi 1"
    assert glyphs.shown("1\u202f234\u2011x \u4e2d\u202e\n") == "1\u00a0234-x ?"
    assert glyphs.shown("a\u0000b\r\ufeff\u00ad\ue000") == "ab?"


def test_a_file_that_is_built_otherwise_is_refused() -> None:
    pdf = MAKER.compile(document(seller=seller(country=None)))
    with pytest.raises(UnexpectedPdf):
        declare_facturx(pdf.replace(b"startxref", b"startxxxx"), file_name=FILE_NAME, level="MINIMUM")
    with pytest.raises(UnexpectedPdf):
        declare_facturx(pdf.replace(b"/Metadata", b"/Metadxxx"), file_name=FILE_NAME, level="MINIMUM")


async def test_files_are_made_beside_the_event_loop() -> None:
    maker = PdfMaker()
    try:
        assert await maker.make(document()) == MAKER.compile(document())
    finally:
        maker.close()
    assert SELLER.name in text_of(MAKER.compile(document()))
