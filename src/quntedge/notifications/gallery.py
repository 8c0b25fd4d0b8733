"""All mails on one page, as their readers would see them: wide, on a phone, and as text.

The page needs nothing but itself: it can be opened as a file. Each mail stands in a frame that may run nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from quntedge.notifications.editing import Edition, Shown
from quntedge.notifications.wording import TEMPLATES

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What the page, and with it every frame in it, may load: nothing."""


@dataclass(frozen=True, slots=True)
class Hung:
    """One mail with all its shapes, or with what is wrong with it."""

    edition: Edition
    shapes: Sequence[Shown]
    faults: Sequence[str] = ()


def gallery(mails: Sequence[Hung], product_name: str) -> str:
    """The page, as HTML."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("gallery.html").render(mails=mails, product_name=product_name, policy=POLICY)
