"""Invoices as PDF files: how many a second one process makes, beside the same compiler with nothing to say."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import typst

from bench.figures import Figure, Group, ratio
from bench.plan import Bench, Plan
from quntedge.invoices.documents import Document
from quntedge.invoices.facturx import structured
from quntedge.invoices.lines import invoice_lines
from quntedge.invoices.parties import BuyerDetails, Seller
from quntedge.invoices.pdf import FONTS, PdfMaker
from quntedge.kit.money import Money
from quntedge.pricing.rules import Label, Line, LineKind
from quntedge.pricing.told import price_told, told

_AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
_EMPTY = """\
#set text(font: "Inter")
#set document(date: datetime(year: 2026, month: 9, day: 1))
#sys.inputs.number
"""


async def measure(bench: Bench) -> Group:
    """Alternates between a page with one number on it and invoices, each another one."""
    bench.say("invoices: preparing")
    maker = PdfMaker()
    size = len(maker.compile(_invoice(0)))
    floor, ours, xml = [], [], []
    with TemporaryDirectory() as folder:
        empty = _empty_page(Path(folder))
        for number in range(bench.plan.rounds):
            bench.say(f"invoices: round {number + 1} of {bench.plan.rounds}")
            floor.append(_per_second(bench.plan, empty))
            ours.append(_per_second(bench.plan, lambda index: maker.compile(_invoice(index))))
            xml.append(_per_second(bench.plan, lambda index: structured(_invoice(index))))
    maker.close()
    return Group(
        "Invoices: PDF/A-3 with Factur-X inside, one thread",
        (
            Figure("invoices as PDF", "/s", tuple(ours), target=30),
            Figure("empty page, beside invoices", "/s", tuple(floor), is_floor=True),
            ratio("invoices of an empty page", ours, floor, 10),
            Figure("invoices as XML alone", "/s", tuple(xml)),
        ),
        (f"Every invoice is another one, {size / 1000:.0f} kB, fonts and data inside; nothing is kept in between.",),
    )


def _per_second(plan: Plan, make: Callable[[int], object]) -> float:
    _run(make, plan.warm_up_seconds)
    return _run(make, plan.seconds)


def _run(make: Callable[[int], object], seconds: float) -> float:
    """Calls with a new number each time until the time is over; calls a second."""
    started = time.perf_counter()
    count = 0
    while (elapsed := time.perf_counter() - started) < seconds:
        make(count)
        count += 1
    return count / elapsed


def _empty_page(folder: Path) -> Callable[[int], object]:
    page = folder / "empty.typ"
    page.write_text(_EMPTY, encoding="utf-8")
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS[0].parent])
    compiler = typst.Compiler(input=page, root=folder, font_paths=fonts, ignore_system_fonts=True)

    def make(number: int) -> object:
        return compiler.compile(format="pdf", sys_inputs={"number": str(number)}, pdf_standards=["a-3b"], timestamp=_AT)

    return make


def _invoice(number: int) -> Document:
    seller = Seller(
        code="",
        name="QuntEdge SAS",
        line1="12 rue des Exemples",
        line2=None,
        postcode="75002",
        city="Paris",
        country="FR",
        vat_id="FR40303265045",
        registration=None,
        email="billing@example.test",
        note=None,
        time_zone="Europe/Paris",
    )
    buyer = BuyerDetails(company=f"Example {number} GmbH", line1="Hauptstraße 7", city="Berlin", country="DE")
    agreed = Line(LineKind.DISCOUNT, Label.PROMOTION, Money(-500, "eur"), "LAUNCH")
    charge = told(3480, "eur", subtotal=3400, tax=580, tax_behavior="exclusive")
    price = price_told(charge, Line(LineKind.PLAN, Label.PLAN, Money.zero("eur")), [agreed])
    lines = invoice_lines(price, ["Monthly", "LAUNCH"], "VAT", plan_id="pln_1", period=(_AT, _AT + timedelta(days=30)))
    plain = Document(
        kind="invoice",
        number="",
        issued_on=_AT.date(),
        issued_at=_AT,
        paid_on=_AT.date(),
        payment_reference="pay_A1",
        language="en",
        seller=seller,
        buyer=buyer,
        buyer_id="usr_1",
        lines=lines,
    )
    return replace(plain, number=f"INV-2026-{number:06d}")
