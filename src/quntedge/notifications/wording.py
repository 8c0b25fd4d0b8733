"""How a mail is worded: the three templates behind it, packaged with this release or written by staff."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from quntedge.notifications.rules import Kind

TEMPLATES = Path(__file__).parent / "templates"
LAYOUT = "layout.html"
PARTS = ("subject", "text", "html")
PACKAGED = 0
"""The version that came with this release."""
_SUBJECT = "Subject: "


@dataclass(frozen=True, slots=True)
class Wording:
    """The templates of one kind of mail in one language. `version` counts staff's own from 1; `PACKAGED` is ours.

    Two wordings with one `id` are the same; None is a draft that nobody has saved.
    """

    kind: Kind
    language: str
    version: int
    subject: str
    text: str
    html: str
    id: str | None = None

    def part(self, name: str) -> str:
        """The source of the part with this name, one of `PARTS`."""
        return {"subject": self.subject, "text": self.text, "html": self.html}[name]


@cache
def packaged(kind: Kind, language: str) -> Wording:
    """The wording that came with this release.

    Raises ValueError when its text does not begin with the subject, FileNotFoundError when there is none.
    """
    first, _, text = _source(f"{kind}.{language}.txt").partition("\n")
    if not first.startswith(_SUBJECT):
        raise ValueError(f"{kind}.{language}.txt must begin with its subject")
    html = _source(f"{kind}.{language}.html")
    subject = first.removeprefix(_SUBJECT)
    return Wording(kind, language, PACKAGED, subject, text.strip("\n"), html, f"packaged:{kind}:{language}")


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
