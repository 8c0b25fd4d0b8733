"""VAT numbers: whether they can be right, by their form and check digits. Nobody is asked whether they exist. Pure."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from stdnum.ch import uid as swiss
from stdnum.eu import vat as european
from stdnum.exceptions import InvalidChecksum, ValidationError
from stdnum.gb import vat as british
from stdnum.no import mva as norwegian

MAXIMUM = 20
_SEPARATORS = re.compile(r"[\s.\-/]+")
_ELSEWHERE = re.compile(r"[A-Z0-9]{3,20}")
_SWISS = re.compile(r"(CHE\d{9})(MWST|TVA|IVA)?")
# Greece writes EL before its numbers, though its country code is GR.
PREFIXES: Mapping[str, str] = MappingProxyType({"GR": "EL"})
EUROPEAN = frozenset(state.upper() for state in european.MEMBER_STATES) - {"XI"}
"""Countries whose numbers are checked together, by their ISO codes."""


class UnusableVatNumber(ValueError):
    """The number cannot be right; the message says why, in words for whoever typed it."""


def normal_vat_number(text: str, country: str) -> str:
    """The number in its normal form: capitals, no blanks, with the country before it where that is usual.

    `country` is that of the address, two capital letters; a number of another country of the EU is taken as it is.
    Raises `UnusableVatNumber`.
    """
    compact = _SEPARATORS.sub("", text).upper()
    if not compact.isascii() or not _ELSEWHERE.fullmatch(compact):
        raise UnusableVatNumber(f"A VAT number has 3 to {MAXIMUM} letters and digits.")
    if country == "CH" or compact.startswith("CHE"):
        return _swiss(compact)
    if country in EUROPEAN or compact[:2] in _EUROPEAN_PREFIXES:
        return _european(compact, country)
    if country in _OTHERS:
        prefix, validate = _OTHERS[country]
        return prefix + _checked(validate, compact.removeprefix(prefix))
    return compact


def is_european(number: str) -> bool:
    """Whether a number in its normal form is one of the EU, Northern Ireland included."""
    return number[:2] in _EUROPEAN_PREFIXES


_EUROPEAN_PREFIXES = frozenset(PREFIXES.get(state, state) for state in EUROPEAN) | {"GR", "XI"}
_OTHERS: Mapping[str, tuple[str, Callable[[str], str]]] = MappingProxyType(
    {"GB": ("GB", british.validate), "NO": ("NO", norwegian.validate)}
)


def _european(compact: str, country: str) -> str:
    prefix = PREFIXES.get(country, country)
    if compact[:2] not in _EUROPEAN_PREFIXES:
        compact = prefix + compact
    if compact.startswith("GR"):
        compact = f"EL{compact[2:]}"
    return _checked(european.validate, compact)


def _swiss(compact: str) -> str:
    match = _SWISS.fullmatch(compact)
    if match is None:
        raise UnusableVatNumber("A Swiss VAT number looks like CHE-123.456.788 MWST.")
    return _checked(swiss.validate, match[1])


def _checked(validate: Callable[[str], str], number: str) -> str:
    try:
        return str(validate(number))
    except InvalidChecksum:
        raise UnusableVatNumber("The check digits of this VAT number do not fit: look for a mistyped digit.") from None
    except ValidationError:
        raise UnusableVatNumber(
            "This is not how VAT numbers of that country look: check its length and its letters."
        ) from None
