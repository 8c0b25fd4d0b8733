"""Which characters our fonts can show. A document in PDF/A must not hold a character without a glyph.

Read from the fonts' `cmap` tables (OpenType 1.9, formats 4 and 12): what stands in the files is what counts.
"""

import struct
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

UNKNOWN = "?"
# What our fonts lack and what looks the same: a narrow blank that must not break, and a hyphen that must not either.
_ALIKE: Mapping[str, str] = MappingProxyType({"\u202f": "\u00a0", "\u2011": "-"})
# Control characters (fonts have a glyph for some of them) and what turns the direction of writing.
_INVISIBLE = frozenset({"Cc", "Cf"})
_PRIVATE = "Co"
_COLLECTION = b"ttcf"
_UNICODE = frozenset({(0, 3), (0, 4), (3, 1), (3, 10)})


class UnreadableFont(ValueError):
    """The file is no OpenType font, or a damaged one."""


class Glyphs:
    """The characters that all of some fonts have, or one of those that are looked into where they do not."""

    def __init__(self, fonts: Sequence[Path], further: Sequence[Path] = ()) -> None:
        ours = frozenset.intersection(*(characters(font.read_bytes()) for font in fonts))
        self._known = ours.union(*(characters(font.read_bytes()) for font in further))

    def shown(self, text: str) -> str:
        """The text with what cannot be shown replaced: by what it is composed of, else by a question mark.

        Control characters and those that turn the direction of writing are left out.
        """
        return "".join(self._shown(character) for character in unicodedata.normalize("NFC", text))

    def _shown(self, character: str) -> str:
        category = unicodedata.category(character)
        if category in _INVISIBLE:
            return ""
        # What is for private use means something to nobody else, even where a font has a glyph for it.
        if ord(character) in self._known and category != _PRIVATE:
            return character
        if character in _ALIKE:
            return _ALIKE[character]
        parts = unicodedata.normalize("NFKD", character)
        kept = "".join(part for part in parts if not unicodedata.combining(part))
        return kept if kept and all(ord(part) in self._known for part in kept) else UNKNOWN


def characters(font: bytes) -> frozenset[int]:
    """The characters that a font has a glyph for; of a collection, its first font's. Raises `UnreadableFont`."""
    try:
        start = struct.unpack_from(">I", font, 12)[0] if font[:4] == _COLLECTION else 0
        return frozenset(_characters(font, start))
    except struct.error:
        raise UnreadableFont("it is damaged, or no OpenType font.") from None


def _characters(font: bytes, at: int) -> Iterator[int]:
    (tables,) = struct.unpack_from(">H", font, at + 4)
    directory = struct.iter_unpack(">4sIII", font[at + 12 : at + 12 + 16 * tables])
    start = next((offset for tag, _, offset, _ in directory if tag == b"cmap"), None)
    if start is None:
        raise UnreadableFont("it has no table of characters.")
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
