"""The seller's logo: what can be one, and that documents keep the one they were made with."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import facturx
import pypdfium2
import pytest
from pypdf import PdfReader

from quntedge.invoices.facturx import FILE_NAME
from quntedge.invoices.feature import Invoices
from quntedge.invoices.logo import MAXIMUM_BYTES, NO_LOGO, Logo, UnusableLogo, logo_of, read_logo
from quntedge.invoices.pdf import PdfMaker
from quntedge.payments.events import PaymentRecorded
from quntedge.settings import ConfigurationError, Settings
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.wiring import build
from tests.invoices.builders import SELLER, document
from tests.payments.builders import apply, rows, seed, snapshot

MAKER = PdfMaker()
NS = 'xmlns="http://www.w3.org/2000/svg"'
WIDE = f'<svg {NS} viewBox="0 0 120 30"><rect width="120" height="30" fill="#ff0000"/></svg>'.encode()
SQUARE = f'<svg {NS} width="32px" height="32px"><circle cx="16" cy="16" r="16" fill="#00ff00"/></svg>'.encode()


def png(width: int = 40, height: int = 20, *, colour: bytes = b"\x00\x00\xff\x80") -> bytes:
    """A half transparent blue rectangle."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = zlib.compress((b"\x00" + colour * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def head_of(pdf: bytes) -> set[tuple[int, int, int]]:
    """The colours of the upper seventh of the first page."""
    with pypdfium2.PdfDocument(pdf) as opened:
        image = opened[0].render(scale=1, rev_byteorder=True)
        raw, step = bytes(image.buffer), image.n_channels
        return {
            (raw[at], raw[at + 1], raw[at + 2])
            for row in range(image.height // 7)
            for at in range(row * image.stride, row * image.stride + image.width * step, step)
        }


@pytest.mark.parametrize(
    ("content", "colour", "wide"),
    [(WIDE, (255, 0, 0), True), (SQUARE, (0, 255, 0), False), (png(), (127, 127, 255), True)],
    ids=["wide", "square", "png"],
)
def test_it_stands_at_the_head_of_an_archival_file(content: bytes, colour: tuple[int, int, int], wide: bool) -> None:
    logo = logo_of(content)
    assert logo.wide == wide
    pdf = MAKER.compile(document(logo=logo))
    assert any(max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 2 for found in head_of(pdf))
    assert facturx.get_facturx_xml_from_pdf(pdf)[0] == FILE_NAME
    metadata = PdfReader(BytesIO(pdf)).trailer["/Root"]["/Metadata"].get_object().get_data().decode()
    assert "pdfaid:part" in metadata
    assert MAKER.compile(document(logo=logo)) == pdf


def test_without_a_picture_only_the_name_stands_there() -> None:
    assert (0, 255, 0) not in head_of(MAKER.compile(document(logo=NO_LOGO)))
    assert len(head_of(MAKER.compile(document(logo=NO_LOGO)))) < len(head_of(MAKER.compile(document())))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"GIF89a", "neither"),
        (b"\xff\xd8\xff\xe0 a photograph", "neither"),
        (b"x" * (MAXIMUM_BYTES + 1), "256 KiB"),
        (b"<html></html>", "no SVG"),
        (b"<svg></svg>", "no SVG"),
        (f"<svg {NS}/>".encode(), "viewBox"),
        (f'<svg {NS} viewBox="0 0 0 10"/>'.encode(), "viewBox"),
        (f'<svg {NS} viewBox="0 0 nan 10"/>'.encode(), "viewBox"),
        (f'<svg {NS} viewBox="0 0 9 9"><script>alert(1)</script></svg>'.encode(), "<script>"),
        (f'<svg {NS} viewBox="0 0 9 9" onload="x()"/>'.encode(), "onload"),
        (f'<svg {NS} viewBox="0 0 9 9"><text>QuntEdge</text></svg>'.encode(), "paths"),
        (f'<svg {NS} viewBox="0 0 9 9"><image href="http://x.test/a.png"/></svg>'.encode(), "<image>"),
        (f'<svg {NS} viewBox="0 0 9 9"><use href="file:///etc/passwd#a"/></svg>'.encode(), "outside"),
        (f'<svg {NS} viewBox="0 0 9 9"><rect fill="url(http://x.test)"/></svg>'.encode(), "outside"),
        (f'<svg {NS} viewBox="0 0 9 9"><style>@import "http://x.test"</style></svg>'.encode(), "outside"),
        (b'<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg>&a;</svg>', "DOCTYPE"),
        (png(8, 8), "16 to 4000"),
        (png()[:20], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, "damaged"),
    ],
)
def test_what_cannot_be_one(content: bytes, why: str) -> None:
    with pytest.raises(UnusableLogo, match=why):
        logo_of(content)


def test_gradients_and_classes_are_drawings() -> None:
    drawn = f'<svg {NS} viewBox="0 0 9 9"><style>.a{{fill:url(#g)}}</style><rect class="a" fill="url( \'#g\')"/></svg>'
    MAKER.check_logo(logo_of(drawn.encode()))


def test_a_damaged_picture_stops_the_start(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "logo.png"
    file.write_bytes(png()[:60])
    with pytest.raises(ConfigurationError, match="QUNTEDGE_SELLER_LOGO is not usable: it cannot be drawn"):
        build(settings.model_copy(update={"seller_logo": str(file)}), str(settings.database_url))


def test_the_setting_is_read(tmp_path: Path) -> None:
    assert read_logo(None) is None
    assert read_logo(" ") is None
    assert read_logo("none") == NO_LOGO
    (tmp_path / "logo.svg").write_bytes(WIDE)
    assert read_logo(str(tmp_path / "logo.svg")) == Logo("svg", WIDE, 4.0)
    (tmp_path / "logo.svg").write_bytes(b"nothing")
    for unusable, why in (("logo.svg", "neither"), ("missing.svg", "cannot be read"), (".", "cannot be read")):
        with pytest.raises(ConfigurationError, match=why):
            read_logo(str(tmp_path / unusable))


async def test_documents_keep_the_logo_they_were_made_with(
    units: UnitOfWorkFactory, vault: Vault, bus: EventBus
) -> None:
    await seed(units)
    files: list[bytes] = []
    subscribed: list[Callable[..., object]] = []

    async def current(unit: object, facts: object) -> None:
        await subscribed[-1](unit, facts)  # type: ignore[misc]

    bus.subscribe(PaymentRecorded, current)
    logos = (None, logo_of(WIDE), logo_of(png()), NO_LOGO, logo_of(WIDE))
    for number, logo in enumerate(logos):
        billing = Invoices(units, vault, replace(SELLER, logo_id=None if logo is None else logo.id), logo)
        subscribed.append(billing.service.on_payments_recorded)
        async with units() as unit:
            await apply(unit, snapshot(f"pay_{number}"))
            await unit.commit()
        ids = [row[0] for row in await rows(units, "SELECT id FROM invoice ORDER BY number")]
        files.append((await billing.documents.invoice(ids[-1])).content)
        assert [(await billing.documents.invoice(held)).content for held in ids] == files
        billing.close()
    assert len(await rows(units, "SELECT id FROM seller_logo")) == 3
    assert len(await rows(units, "SELECT id FROM legal_entity")) == 4
