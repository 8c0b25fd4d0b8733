"""Which characters our fonts can show. A document in PDF/A must not hold a character without a glyph.

Read from the fonts' `cmap` tables (OpenType 1.9, formats 4 and 12): what stands in the files is what counts.
"""

import struct
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

UNKNOWN = "?"
# What our fonts lack and what looks the same: a narrow blank that must not break, and a hyphen that must not either.
_ALIKE: Mapping[str, str] = MappingProxyType({"\u202f": "\u00a0", "\u2011": "-"})
_UNICODE = frozenset({(0, 3), (0, 4), (3, 1), (3, 10)})


class Glyphs:
    """The characters that all of some fonts have."""

    def __init__(self, fonts: list[Path]) -> None:
        self._known = frozenset.intersection(*(frozenset(_characters(font.read_bytes())) for font in fonts))

    def shown(self, text: str) -> str:
        """The text with what cannot be shown replaced: by what it is composed of, else by a question mark.

        Control characters and those that turn the direction of writing are left out.
        """
        return "".join(self._shown(character) for character in unicodedata.normalize("NFC", text))

    def _shown(self, character: str) -> str:
        if ord(character) in self._known:
            return character
        if character in _ALIKE:
            return _ALIKE[character]
        if unicodedata.category(character) in ("Cc", "Cf"):
            return ""
        parts = unicodedata.normalize("NFKD", character)
        kept = "".join(part for part in parts if not unicodedata.combining(part))
        return kept if kept and all(ord(part) in self._known for part in kept) else UNKNOWN


def _characters(font: bytes) -> Iterator[int]:
    (tables,) = struct.unpack_from(">H", font, 4)
    start = next(
        offset for tag, _, offset, _ in struct.iter_unpack(">4sIII", font[12 : 12 + 16 * tables]) if tag == b"cmap"
    )
    (count,) = struct.unpack_from(">H", font, start + 2)
    for platform, encoding, offset in struct.iter_unpack(">HHI", font[start + 4 : start + 4 + 8 * count]):
        if (platform, encoding) in _UNICODE:
            yield from _subtable(font, start + offset)


def _subtable(font: bytes, at: int) -> Iterator[int]:
    (kind,) = struct.unpack_from(">H", font, at)
    if kind == 12:
        (groups,) = struct.unpack_from(">I", font, at + 12)
        for first, last, _ in struct.iter_unpack(">III", font[at + 16 : at + 16 + 12 * groups]):
            yield from range(first, last + 1)
    elif kind == 4:
        (double,) = struct.unpack_from(">H", font, at + 6)
        ends = struct.unpack_from(f">{double // 2}H", font, at + 14)
        starts = struct.unpack_from(f">{double // 2}H", font, at + 16 + double)
        for first, last in zip(starts, ends, strict=True):
            if first != 0xFFFF:
                yield from range(first, last + 1)
