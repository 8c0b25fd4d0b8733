"""Collects the sentences of the pages and brings the catalogues of the other languages up to date.

`python -m tools.messages` adds what is new, untranslated, and drops what is gone; a person fills in the rest. A test
fails while a sentence lacks its translation.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from quntedge.accounts.rules import LOCALES
from quntedge.web import messages, not_now, words
from quntedge.web.i18n import catalogue

SOURCE = "en"
_WEB = Path(words.__file__).parent
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false"}}
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
_TABLES: tuple[ModuleType, ...] = (words, messages, not_now)
"""Modules whose tables (mappings at the top level) hold sentences that are looked up by a key."""
_FROM_ELSEWHERE = (
    "Something went wrong on our side",
    "This was recorded. If you write to us, mention the request id.",
    "The request is not valid",
    "You may not do this",
    "Not found",
    "This does not fit the present state",
    "Too many requests",
    "Temporarily unavailable",
    "Enter your e-mail address.",
    "An e-mail address has exactly one @, as in name@example.com.",
    "The part before the @ has a character or a length that e-mail addresses cannot have.",
    "The part after the @ must be a domain, as in name@example.com.",
    "There is an account with this e-mail address already. Sign in instead.",
    "E-mail address or password is wrong.",
    "Use at least 10 characters; a few random words are easy to remember.",
    "Your password must not be your e-mail address.",
    "This password is one of the first that are guessed; choose another one.",
    "Enter a name.",
    "Please accept the terms to open an account.",
    "Enter a name or a company.",
    "Enter an address.",
    "Enter a city.",
    "Choose a country.",
    "Choose one of the countries of the list, as two letters: FR, DE, US.",
    "Use at most 120 characters.",
    "Use at most 100 characters.",
    "Use at most 16 characters.",
    "Use printable characters only.",
    "A VAT number has 3 to 20 letters and digits.",
    "A Swiss VAT number looks like CHE-123.456.788 MWST.",
    "The check digits of this VAT number do not fit: look for a mistyped digit.",
    "This is not how VAT numbers of that country look: check its length and its letters.",
    "An e-mail address has at most 254 characters.",
)
"""What other layers say and pages show in the reader's language."""


def collected() -> Catalog:
    """Every sentence, in English, with where it stands."""
    found = Catalog(project="QuntEdge Payments", version="", charset="utf-8")
    for name, line, message, comments, context in extract_from_dir(
        _WEB, _METHODS, _OPTIONS, keywords=_KEYWORDS, comment_tags=()
    ):
        found.add(message, None, [(f"quntedge/web/{name}", line)], auto_comments=comments, context=context)
    for module in _TABLES:
        place = f"quntedge/web/{Path(str(module.__file__)).name}"
        for text in _table_texts(module):
            found.add(text, None, [(place, 0)])
    for text in _FROM_ELSEWHERE:
        found.add(text)
    return found


def _table_texts(module: ModuleType) -> Iterator[str]:
    for name, table in vars(module).items():
        if isinstance(table, Mapping) and not name.startswith("__"):
            for value in table.values():
                yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        # The fields that name another field are no sentences.
        named = ((field.name, getattr(value, field.name)) for field in fields(value))
        yield from (text for name, text in named if isinstance(text, str) and not name.endswith("_of"))


def read(locale: str) -> Catalog:
    """The catalogue of a language as it is; empty where there is none yet."""
    path = catalogue(locale)
    if not path.exists():
        return Catalog(locale=locale, charset="utf-8", fuzzy=False, header_comment=f"# The pages in: {locale}.")
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def main() -> int:
    """Writes the catalogues and says how many sentences wait for a translation."""
    template = collected()
    for locale in LOCALES:
        if locale == SOURCE:
            continue
        known = read(locale)
        known.update(template, no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
        known.obsolete.clear()
        catalogue(locale).parent.mkdir(exist_ok=True)
        with catalogue(locale).open("wb") as file:
            write_po(file, known, width=120, sort_output=True, no_location=True, ignore_obsolete=True)
        missing = [message.id for message in known if message.id and not message.string]
        sys.stdout.write(f"{catalogue(locale)}: {len(missing)} of {len(known)} wait for a translation.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
