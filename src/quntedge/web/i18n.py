"""The languages of the pages: which one a reader gets, and its words, amounts and dates.

English stands in the templates and in Python; other languages are gettext catalogues beside this file, written by
`python -m tools.messages` and filled by hand. Templates write `{{ _("Sign in") }}` or `{% trans %}…{% endtrans %}`,
Python writes `gettext("…")`. The language is set once for each request (`speak`), so that nothing has to pass it on.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from fastapi import Request
from jinja2 import Environment

from quntedge.accounts.rules import LOCALES
from quntedge.edge.callers import guest_of
from quntedge.edge.cookies import language_cookie
from quntedge.edge.services import services_of
from quntedge.kit.dates import SHORT, at_home, day, instant, zone_of
from quntedge.kit.money import Money
from quntedge.web.languages import preferred

FOLDER = Path(__file__).parent / "locales"
NAMES: Mapping[str, str] = {"en": "English", "fr": "Français"}
"""Each language by the name its speakers know it by."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the pages."""

    code: str
    translations: NullTranslations


def catalogue(code: str) -> Path:
    """Where the words of a language are kept."""
    return FOLDER / f"{code}.po"


def _load(code: str) -> Language:
    path = catalogue(code)
    if not path.exists():
        return Language(code, NullTranslations())
    with path.open("rb") as file:
        known = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, known)
    compiled.seek(0)
    return Language(code, Translations(compiled))


LANGUAGES: Mapping[str, Language] = {code: _load(code) for code in LOCALES}
"""Read when the process starts: a few hundred sentences, no build step."""

_spoken: ContextVar[Language] = ContextVar("language", default=LANGUAGES["en"])


def spoken() -> str:
    """The code of the language of this request."""
    return _spoken.get().code


async def speak(request: Request) -> None:
    """Sets the language of a request, and whose days its days are, before its handler runs. A dependency of all pages.

    A customer's own choice wins; a visitor's is in a cookie; else the browser knows what its owner reads.
    """
    guest = await guest_of(request)
    choose(request, None if guest.user is None else guest.user.locale)
    settle(None if guest.user is None else guest.user.time_zone, services_of(request).settings.time_zone)


def choose(request: Request, own: str | None = None) -> None:
    """Sets the language without looking anybody up: by what is known of the request, and `own` if given."""
    chosen = own or getattr(request.state, "language", None) or _asked_for(request)
    request.state.language = chosen
    _spoken.set(LANGUAGES.get(chosen) or LANGUAGES["en"])


_NOWHERE = ZoneInfo("UTC")
_home: ContextVar[ZoneInfo] = ContextVar("home", default=_NOWHERE)


def settle(time_zone: str | None, default: str) -> None:
    """Sets whose days the days on the page are: the reader's own zone, or else `default` (IANA names)."""
    _home.set(zone_of(time_zone, default))


def home() -> ZoneInfo:
    """Whose days the days on the page are."""
    return _home.get()


def gettext(message: str, **values: object) -> str:
    """The message in the language of this request, its %(name)s filled in."""
    # A catalogue keeps its own description under the empty message.
    text = _spoken.get().translations.gettext(message) if message else ""
    return text % values if values else text


def ngettext(one: str, many: str, n: int, **values: object) -> str:
    """The form of the message that fits the number, which it can name as %(n)s."""
    text: str = _spoken.get().translations.ngettext(one, many, n)
    return text % {"n": n, **values}


def money(value: Money) -> str:
    """An amount as this reader writes it, with a minus as wide as its figures."""
    return value.format(spoken()).replace("-", "\u2212")


def number(value: int) -> str:
    """A number as this reader writes it."""
    return str(numbers.format_decimal(value, locale=spoken()))


def percent(basis_points: int) -> str:
    """Hundredths of a percent as this reader writes a percentage."""
    share = Decimal(basis_points) / 10_000
    return str(numbers.format_percent(share, locale=spoken(), decimal_quantization=False))


def date(value: datetime) -> str:
    """A day as this reader writes it, by the clocks where they live."""
    return day(at_home(value, home()), spoken(), SHORT)


def moment(value: datetime) -> str:
    """A minute as this reader writes it, in UTC."""
    return f"{instant(value.astimezone(UTC), spoken(), f'{SHORT}, HH:mm')} UTC"


def install(environment: Environment) -> None:
    """Teaches a template environment the language of each request."""
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    # The extension adds this method to the environment.
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        lambda message: _spoken.get().translations.gettext(message),
        lambda one, many, n: _spoken.get().translations.ngettext(one, many, n),
        newstyle=True,
    )
    environment.filters.update(money=money, date=date, datetime=moment, number=number)
    environment.globals.update(languages=NAMES, spoken=spoken)


def _asked_for(request: Request) -> str:
    chosen = request.cookies.get(language_cookie(services_of(request).settings))
    if chosen is not None and chosen in LANGUAGES:
        return chosen
    return preferred(",".join(request.headers.getlist("accept-language")), LOCALES)
