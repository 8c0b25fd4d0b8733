"""Further fonts: names in scripts that ours do not have are written, and a bad font keeps no invoice back."""

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from quntedge.invoices.fonts import read_fonts
from quntedge.invoices.glyphs import UnreadableFont, characters
from quntedge.invoices.pdf import FONTS, PdfMaker
from quntedge.settings import ConfigurationError
from tests.invoices.builders import BUYER, document
from tests.invoices.test_pdf import text_of

HEBREW = range(0x5D0, 0x5EB)
NAME = "שלום"


def font(names: range = HEBREW, glyph: int = 1) -> bytes:
    """A font whose glyphs are ours, under other names and for other characters."""
    held = FONTS[0].read_bytes().replace("Inter".encode("utf-16-be"), "Other".encode("utf-16-be"))
    group = struct.pack(">III", names[0], names[-1], glyph)
    table = struct.pack(">HHHHI", 0, 1, 3, 10, 12) + struct.pack(">HHIII", 12, 0, 28, 0, 1) + group
    made = bytearray(held + b"\0" * (-len(held) % 4) + table)
    (tables,) = struct.unpack_from(">H", held, 4)
    for entry in range(12, 12 + 16 * tables, 16):
        if held[entry : entry + 4] == b"cmap":
            struct.pack_into(">II", made, entry + 8, len(made) - len(table), len(table))
    return bytes(made)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with such a font in it, and something else."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "Other.TTF").write_bytes(font())
    (tmp_path / "README.txt").write_text("fonts")
    return tmp_path


def test_what_our_fonts_lack_is_taken_from_others(folder: Path) -> None:
    fonts = read_fonts(str(folder))
    assert [file.name for file in fonts] == ["Other.TTF"]
    named = document(buyer=replace(BUYER, company=NAME))
    pdf = PdfMaker(fonts).compile(named)
    assert NAME in text_of(pdf)
    assert "Camille Martin" in text_of(pdf)
    without = PdfMaker().compile(named)
    assert "????" in text_of(without)
    assert _embedded(pdf) == _embedded(without) + 1, "the other font is embedded as well"
    plain = document()
    assert PdfMaker(fonts).compile(plain) == PdfMaker().compile(plain), "it changes nothing where it is not needed"


def _embedded(pdf: bytes) -> int:
    fonts: Any = [page["/Resources"]["/Font"] for page in PdfReader(BytesIO(pdf)).pages]
    return len({str(one.get_object()["/BaseFont"]) for found in fonts for one in found.values()})


def test_a_font_that_promises_more_than_it_has_keeps_no_invoice_back(tmp_path: Path) -> None:
    (tmp_path / "empty.ttf").write_bytes(font(glyph=60_000))
    pdf = PdfMaker(read_fonts(str(tmp_path))).compile(document(buyer=replace(BUYER, company=NAME)))
    assert "????" in text_of(pdf)


def test_a_collection_is_read_by_its_first_font() -> None:
    inner = bytearray(font())
    head = 16
    (tables,) = struct.unpack_from(">H", inner, 4)
    for entry in range(12, 12 + 16 * tables, 16):
        (offset,) = struct.unpack_from(">I", inner, entry + 8)
        struct.pack_into(">I", inner, entry + 8, offset + head)
    collection = b"ttcf" + struct.pack(">HHII", 1, 0, 1, head) + bytes(inner)
    assert characters(collection) == set(HEBREW)
    for damaged in (b"", b"ttcf", collection[:20], b"no font at all, but long enough to be read as one"):
        with pytest.raises(UnreadableFont):
            characters(damaged)


def test_the_setting_is_checked_when_the_program_starts(tmp_path: Path) -> None:
    assert read_fonts(None) == read_fonts("  ") == ()
    with pytest.raises(ConfigurationError, match="is not a folder"):
        read_fonts(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="holds no font"):
        read_fonts(str(tmp_path))
    (tmp_path / "a.otf").write_bytes(b"<html>")
    with pytest.raises(ConfigurationError, match=r"a\.otf cannot be read as a font"):
        read_fonts(str(tmp_path))
