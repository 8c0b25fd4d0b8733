"""Documents as PDF/A-3 files with the structured data inside, tagged so that they can be read aloud (PDF/UA-1).

The same document gives the same bytes.
"""

import asyncio
import json
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final

import typst

from quntedge.invoices.documents import Document
from quntedge.invoices.errors import DocumentFailed
from quntedge.invoices.facturx import FILE_NAME, Structured, local_day, structured
from quntedge.invoices.glyphs import Glyphs
from quntedge.invoices.lines import Line
from quntedge.invoices.logo import Logo, UnusableLogo, logo_of
from quntedge.invoices.parties import BuyerDetails, Seller, country_name
from quntedge.invoices.words import words
from quntedge.invoices.xmp import UnexpectedPdf, declare_facturx
from quntedge.kit.dates import day
from quntedge.kit.logging import get_logger
from quntedge.kit.money import Money

_HERE = Path(__file__).parent
FONTS = tuple(sorted((_HERE / "fonts").glob("*.ttf")))
_TEMPLATE = _HERE / "templates" / "document.typ"
_MARK = _HERE / "templates" / "logo.svg"
_STANDARDS: Final = ("a-3a", "ua-1")
# Where the postcode stands behind the city.
_CITY_FIRST = frozenset("AU BD CA GB GG IE IM IN JE KE MT NZ PH PK SG TH US ZA".split())
# What a line says, and in parentheses how it came about.
_EXPLAINED = re.compile(r"(.+?) \((.+)\)")

log = get_logger(__name__)


class PdfMaker:
    """Compiles documents, one after the other in a thread of its own: a page takes milliseconds, not the event loop."""

    def __init__(self, fonts: Sequence[Path] = ()) -> None:
        """`fonts` are files to look into for characters that our own fonts lack."""
        self._fonts = tuple(fonts)
        self._glyphs = Glyphs(FONTS)
        self._all_glyphs = Glyphs(FONTS, fonts) if fonts else self._glyphs
        self._mark = logo_of(_MARK.read_bytes())
        self._compiler: typst.Compiler | None = None
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="invoices-pdf")

    async def make(self, document: Document) -> bytes:
        """The document as a file. Raises `DocumentFailed`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.compile, document)

    def close(self) -> None:
        """Ends the thread; what is being made is finished first."""
        self._thread.shutdown()

    def compile(self, document: Document) -> bytes:
        """The document as a file, made here and now. Raises `DocumentFailed`."""
        told = structured(document)
        try:
            return self._with_all_fonts(document, told)
        except (typst.TypstError, UnexpectedPdf) as error:
            log.exception("invoice.document_failed", number=document.number)
            raise DocumentFailed("Try again later; if it fails again, write to us.") from error

    def _with_all_fonts(self, document: Document, told: Structured | None) -> bytes:
        if self._fonts:
            try:
                return self._compile(document, told, self._all_glyphs)
            except typst.TypstError:
                # A font that promises more than it has must not keep an invoice back: ours are known to do.
                log.exception("invoice.font_failed", number=document.number)
        return self._compile(document, told, self._glyphs)

    def _compile(self, document: Document, told: Structured | None, glyphs: Glyphs) -> bytes:
        inputs = {"document": json.dumps(_inputs(document, told, glyphs, self._mark), ensure_ascii=False)}
        with self._lock:
            made = self._held().compile(
                format="pdf",
                sys_inputs=inputs,
                pdf_standards=list(_STANDARDS),
                timestamp=datetime.combine(document.issued_on, time(), UTC),
            )
        if not isinstance(made, bytes):
            raise TypeError("a PDF is one file")
        return made if told is None else declare_facturx(made, file_name=FILE_NAME, level=told.profile.level)

    def check_logo(self, logo: Logo) -> None:
        """Draws a logo, to see that it can be drawn. Raises `UnusableLogo`."""
        if logo.drawing is None:
            return
        # A PNG by itself: inside of an SVG a damaged one would be left out without a word.
        content = json.dumps(list(logo.content))
        # The title and the description are what the standards ask for, whatever is drawn.
        drawn = f'image(bytes(json(bytes(sys.inputs.content))), format: "{logo.format}", alt: "Logo")'
        page = f'#set document(title: "Logo")\n#{drawn}'
        compiler = typst.Compiler(input=page.encode(), ignore_system_fonts=True)
        try:
            compiler.compile(format="pdf", sys_inputs={"content": content}, pdf_standards=list(_STANDARDS))
        except typst.TypstError as error:
            raise UnusableLogo("it cannot be drawn: the file is damaged.") from error

    def _held(self) -> typst.Compiler:
        """The compiler, with the template and the fonts read once; made with the first document."""
        if self._compiler is None:
            places = [_HERE / "fonts", *sorted({font.parent for font in self._fonts})]
            fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=places)
            self._compiler = typst.Compiler(
                input=_TEMPLATE, root=_TEMPLATE.parent, font_paths=fonts, ignore_system_fonts=True
            )
        return self._compiler


def _inputs(document: Document, told: Structured | None, glyphs: Glyphs, mark: Logo) -> dict[str, Any]:
    """What the template reads; all text is made of characters that the fonts have."""
    content = _content(document)
    shown: dict[str, Any] = _shown(content, glyphs)
    attached = None if told is None else {"xml": told.xml.decode(), "relationship": told.profile.relationship}
    return shown | {"logo": _logo(document.logo or mark), "structured": attached, "date": content["date"]}


def _shown(value: Any, glyphs: Glyphs) -> Any:
    if isinstance(value, str):
        return glyphs.shown(value)
    if isinstance(value, dict):
        return {name: _shown(part, glyphs) for name, part in value.items()}
    return [_shown(part, glyphs) for part in value] if isinstance(value, list) else value


def _logo(logo: Logo) -> dict[str, Any] | None:
    return None if logo.drawing is None else {"drawing": logo.drawing, "wide": logo.wide}


def _content(document: Document) -> dict[str, Any]:
    text, language = words(document.language), document.language
    heading = text[document.kind]
    facts = [(text["number"], document.number), (text["issued"], day(document.issued_on, language))]
    if document.payment_reference:
        facts.append((text["payment"], document.payment_reference))
    total = {"invoice": "total", "credit_note": "total_credit", "cancellation": "total_cancelled"}[document.kind]
    return {
        "language": language,
        "title": f"{heading} {document.number}",
        "number": document.number,
        "heading": heading,
        "date": {
            "year": document.issued_on.year,
            "month": document.issued_on.month,
            "day": document.issued_on.day,
        },
        "facts": [{"label": label, "value": value} for label, value in facts],
        "seller": {"caption": text["from"], "name": document.seller.name, "lines": _seller_lines(document)},
        "buyer": {
            "caption": text["to"],
            "name": document.buyer.title or text["customer"].format(id=document.buyer_id),
            "lines": _buyer_lines(document),
        },
        "words": {"description": text["description"], "amount": text["amount"]},
        "lines": [_line(line, document) for line in document.lines if line.kind != "tax"],
        "sums": _sums(document),
        "total": {"label": text[total], "amount": _amount(document.total, document)},
        "notes": _notes(document),
        "footer": _footer(document.seller),
        "page": text["page"],
    }


def _line(line: Line, document: Document) -> dict[str, Any]:
    label, detail = line.label, None
    if line.kind == "proration" and (explained := _EXPLAINED.fullmatch(label)):
        label, detail = explained[1], explained[2]
    if line.period_start is not None and line.period_end is not None:
        days = (local_day(moment, document.seller) for moment in (line.period_start, line.period_end))
        detail = " – ".join(day(one, document.language) for one in days)
    return {"label": label, "detail": detail, "amount": _amount(line.amount, document)}


def _sums(document: Document) -> list[dict[str, str]]:
    text = words(document.language)
    rows = []
    for line in document.lines:
        if line.kind == "tax":
            rate = _percent(line.tax_basis_points or 0, document.language)
            rows.append({"label": f"{line.label} ({rate})", "amount": _amount(line.amount, document)})
    return [{"label": text["net"], "amount": _amount(document.net, document)}, *rows] if rows else []


def _percent(basis_points: int, language: str) -> str:
    whole, rest = divmod(basis_points, 100)
    fraction = f"{rest:02d}".rstrip("0")
    mark = "," if language == "fr" else "."
    number = f"{whole}{mark}{fraction}" if fraction else str(whole)
    return f"{number}\u00a0%" if language == "fr" else f"{number}%"


def _amount(amount: Money, document: Document) -> str:
    """An amount as people of this language write it. The sign is a true minus, as wide as the digits."""
    return amount.format(document.language).replace("-", "\u2212")


def _notes(document: Document) -> list[str]:
    text, language = words(document.language), document.language
    notes = []
    if document.paid_on is not None:
        notes.append(text["paid_in_full"].format(date=day(document.paid_on, language)))
    if document.corrects is not None:
        notes.append(
            text["cancels" if document.kind == "cancellation" else "corrects"].format(
                number=document.corrects.invoice_number,
                date=day(document.corrects.invoice_date, language),
                credit_number=document.corrects.credit_number,
            )
        )
    if document.reverse_charge:
        notes.append(text["reverse_charge"])
    if document.seller.note:
        notes.append(document.seller.note)
    return notes


def _seller_lines(document: Document) -> list[str]:
    seller = document.seller
    lines = _address(seller, document.language)
    if seller.vat_id:
        lines.append(words(document.language)["vat_id"].format(number=seller.vat_id))
    return lines


def _buyer_lines(document: Document) -> list[str]:
    buyer = document.buyer
    lines = [buyer.name] if buyer.company and buyer.name else []
    lines += _address(buyer, document.language)
    if buyer.vat_id:
        lines.append(words(document.language)["vat_id"].format(number=buyer.vat_id))
    if buyer.email:
        lines.append(buyer.email)
    return lines


def _address(held: Seller | BuyerDetails, language: str) -> list[str]:
    parts = (held.city, held.postcode) if held.country in _CITY_FIRST else (held.postcode, held.city)
    town = " ".join(part for part in parts if part)
    lines = (held.line1, held.line2, town, country_name(held.country, language))
    return [line for line in lines if line]


def _footer(seller: Seller) -> str:
    return " · ".join(part for part in (seller.name, seller.registration, seller.email) if part)
