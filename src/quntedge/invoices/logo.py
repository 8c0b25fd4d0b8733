"""The seller's logo: read from a file, looked at before it is used, and drawn as SVG. No network, no database."""

import base64
import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, ParseError, fromstring

from quntedge.settings import ConfigurationError

MAXIMUM_BYTES = 256 * 1024
NONE = "none"
"""What the setting says where no picture is to stand on documents."""

Format = Literal["svg", "png", "none"]
_PNG = b"\x89PNG\r\n\x1a\n"
_SVG = "{http://www.w3.org/2000/svg}"
_MOST_PIXELS = 4000
_LEAST_PIXELS = 16
# What runs, what loads, and what would be drawn with whatever fonts are there.
_REFUSED = frozenset({"script", "foreignObject", "image", "text", "animate", "set"})
_LENGTH = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)(?:px|pt|mm|cm|in)?\s*")
_WIDE = 1.6
_FROM_OUTSIDE = re.compile(r"url\((?![\s'\"]*#)|@import", re.IGNORECASE)


class UnusableLogo(ValueError):
    """The file cannot stand on an invoice; the message says why, for whoever set it."""


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture as it was configured. `aspect` is its width by its height."""

    format: Format
    content: bytes
    aspect: float = 1.0

    @property
    def id(self) -> str:
        """Follows from the content."""
        return f"lgo_{hashlib.sha256(self.format.encode() + b':' + self.content).hexdigest()[:26]}"

    @property
    def wide(self) -> bool:
        """Whether it is wide enough to have the seller's name in it, so that the name need not stand beside it."""
        return self.aspect >= _WIDE

    @property
    def drawing(self) -> str | None:
        """The picture as an SVG document; None where there is none."""
        if self.format == "svg":
            return self.content.decode()
        if self.format == "none":
            return None
        width, height = _pixels(self.content)
        data = base64.b64encode(self.content).decode()
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
            f'<image width="{width}" height="{height}" href="data:image/png;base64,{data}"/></svg>'
        )


NO_LOGO = Logo("none", b"")


def read_logo(setting: str | None) -> Logo | None:
    """The logo that `QUNTEDGE_SELLER_LOGO` names; None without one. Raises `ConfigurationError`."""
    if setting is None or not setting.strip():
        return None
    if setting.strip().lower() == NONE:
        return NO_LOGO
    path = Path(setting)
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
        return logo_of(content)
    except OSError as error:
        raise ConfigurationError(f"QUNTEDGE_SELLER_LOGO cannot be read: {path}: {error.strerror}.") from None
    except UnusableLogo as error:
        raise ConfigurationError(f"QUNTEDGE_SELLER_LOGO is not usable: {path}: {error}") from None


def logo_of(content: bytes) -> Logo:
    """A picture with this content. Raises `UnusableLogo`."""
    if not content:
        raise UnusableLogo("the file is empty.")
    if len(content) > MAXIMUM_BYTES:
        raise UnusableLogo(
            f"it is larger than {MAXIMUM_BYTES // 1024} KiB. It goes into every document: use a small one."
        )
    if content.startswith(_PNG):
        width, height = _pixels(content)
        if not all(_LEAST_PIXELS <= side <= _MOST_PIXELS for side in (width, height)):
            raise UnusableLogo(
                f"a PNG has {_LEAST_PIXELS} to {_MOST_PIXELS} pixels on each side, not {width}×{height}."
            )
        return Logo("png", content, width / height)
    return Logo("svg", content, _aspect(_parsed(content)))


def _pixels(png: bytes) -> tuple[int, int]:
    if png[12:16] != b"IHDR" or len(png) < 33:
        raise UnusableLogo("the PNG is damaged.")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def _parsed(content: bytes) -> Element:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UnusableLogo("it is neither an SVG in UTF-8 nor a PNG.") from None
    # Entities can make a small file a huge one; no drawing needs them.
    if "<!doctype" in text.lower() or "<!entity" in text.lower():
        raise UnusableLogo("leave <!DOCTYPE> and entities out of the SVG.")
    try:
        root = fromstring(text)  # noqa: S314 (no entities: see above; and the file is the seller's own)
    except ParseError as error:
        raise UnusableLogo(f"it is neither a PNG nor an SVG: {error}.") from None
    if root.tag != f"{_SVG}svg":
        raise UnusableLogo("it is no SVG: its outermost element is not <svg> of the SVG namespace.")
    for element in root.iter():
        _check(element)
    return root


def _check(element: Element) -> None:
    name = str(element.tag).rpartition("}")[2]
    if name in _REFUSED:
        hint = " Turn it into paths." if name == "text" else ""
        raise UnusableLogo(f"leave <{name}> out of the SVG.{hint}")
    if _FROM_OUTSIDE.search(element.text or ""):
        raise UnusableLogo("the SVG refers to something outside of itself.")
    for attribute, value in element.attrib.items():
        plain = attribute.rpartition("}")[2]
        if plain.lower().startswith("on"):
            raise UnusableLogo(f"leave {plain} out of the SVG: a document runs nothing.")
        if (plain == "href" and not value.startswith("#")) or _FROM_OUTSIDE.search(value):
            raise UnusableLogo("the SVG refers to something outside of itself.")


def _aspect(root: Element) -> float:
    box = root.get("viewBox", "").replace(",", " ").split()
    try:
        sides = [float(box[2]), float(box[3])] if len(box) == 4 else [_length(root, "width"), _length(root, "height")]
    except ValueError:
        sides = [0.0, 0.0]
    if not all(0 < side < 1e6 for side in sides):
        raise UnusableLogo("the SVG does not say how large it is: give it a viewBox.")
    return sides[0] / sides[1]


def _length(root: Element, name: str) -> float:
    match = _LENGTH.fullmatch(root.get(name, ""))
    if match is None:
        raise ValueError(name)
    return float(match[1])
