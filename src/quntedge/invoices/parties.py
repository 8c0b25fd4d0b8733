"""Who sells and who buys: the settings and the customer's details in the form documents need them in. Pure."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from babel import Locale

from quntedge.accounts.rules import email_problem, normal_email, normal_text
from quntedge.invoices.vat import UnusableVatNumber, normal_vat_number
from quntedge.kit.errors import FieldError, Malformed
from quntedge.settings import ConfigurationError, Settings

NAME_MAXIMUM = 120
LINE_MAXIMUM = 100
POSTCODE_MAXIMUM = 16
_COUNTRY = re.compile(r"[A-Z]{2}")


class UnusableBillingDetails(Malformed):
    """Some of the details cannot stand on an invoice; `errors` says which and how to mend them."""

    code = "unusable_billing_details"
    title = "Some of the billing details cannot be used"


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells. `country` is two capital letters, `time_zone` an IANA name: there the seller's days begin.

    `logo_id` names the picture on documents; None is the product's mark.
    """

    code: str
    name: str
    line1: str | None
    line2: str | None
    postcode: str | None
    city: str | None
    country: str | None
    vat_id: str | None
    registration: str | None
    email: str | None
    note: str | None
    time_zone: str
    logo_id: str | None = None

    @classmethod
    def from_settings(cls, settings: Settings, logo_id: str | None = None) -> "Seller":
        """The seller these settings describe. Raises `ConfigurationError` for a VAT number that cannot be right."""
        vat_id = settings.seller_vat_id
        if vat_id:
            try:
                vat_id = normal_vat_number(vat_id, settings.seller_country or "")
            except UnusableVatNumber as error:
                raise ConfigurationError(f"QUNTEDGE_SELLER_VAT_ID is not usable: {error}") from None
        return cls(
            code=settings.seller_code,
            name=normal_text(settings.seller_name or settings.product_name),
            line1=_text(settings.seller_line1),
            line2=_text(settings.seller_line2),
            postcode=_text(settings.seller_postcode),
            city=_text(settings.seller_city),
            country=settings.seller_country,
            vat_id=vat_id or None,
            registration=_text(settings.seller_registration),
            email=_text(settings.support_email),
            note=_text(settings.seller_note),
            time_zone=settings.seller_time_zone,
            logo_id=logo_id,
        )

    @property
    def id(self) -> str:
        """Follows from everything the seller is: equal sellers have equal ids."""
        members = asdict(self)
        if self.logo_id is None:
            # As it was before there were logos: what was stored then is found again.
            del members["logo_id"]
        described = json.dumps(members, sort_keys=True, ensure_ascii=True)
        return f"len_{hashlib.sha256(described.encode()).hexdigest()[:26]}"


@dataclass(frozen=True, slots=True)
class BuyerDetails:
    """What a customer wants to read on invoices. `country` is two capital letters."""

    company: str | None = None
    name: str | None = None
    email: str | None = None
    line1: str | None = None
    line2: str | None = None
    postcode: str | None = None
    city: str | None = None
    country: str | None = None
    vat_id: str | None = None

    @property
    def title(self) -> str | None:
        """Who the buyer is: the company, else the person."""
        return self.company or self.name


FIELDS = tuple(field.name for field in fields(BuyerDetails))


def check_details(given: Mapping[str, str | None]) -> BuyerDetails:
    """The details in their normal form. Checks all of them at once; raises `UnusableBillingDetails`."""
    values: dict[str, Any] = {name: normal_text(given.get(name) or "") or None for name in FIELDS}
    errors: list[FieldError] = []

    def refuse(field: str, message: str | None) -> None:
        if message is not None:
            errors.append({"field": field, "message": message})

    for name, problem in _PROBLEMS.items():
        refuse(name, problem(values[name]))
    if values["company"] is None and values["name"] is None:
        refuse("name", "Enter a name or a company.")
    values["country"] = (values["country"] or "").upper() or None
    refuse("country", country_problem(values["country"]))
    if values["email"] is not None:
        values["email"] = normal_email(values["email"])
        refuse("email", email_problem(values["email"]))
    refused = {error["field"] for error in errors}
    if values["vat_id"] is not None and not refused & {"vat_id", "country"}:
        try:
            values["vat_id"] = normal_vat_number(values["vat_id"], values["country"])
        except UnusableVatNumber as error:
            refuse("vat_id", str(error))
    if errors:
        raise UnusableBillingDetails(errors[0]["message"] if len(errors) == 1 else "", errors=errors)
    return BuyerDetails(**values)


def countries(locale: str) -> dict[str, str]:
    """The countries there are, by code, with their names in this language, in the order of the names."""
    names = Locale.parse(locale).territories
    found = [(code, str(names[code])) for code in _CODES if code in names]
    return dict(sorted(found, key=lambda item: _sortable(item[1])))


def country_name(code: str | None, locale: str) -> str | None:
    """The name of a country; the code itself for one that has none."""
    return None if code is None else str(Locale.parse(locale).territories.get(code, code))


def country_problem(code: str | None) -> str | None:
    """What is wrong with a country; None when nothing is."""
    if code is None:
        return "Choose a country."
    return None if code in _CODES else "Choose one of the countries of the list, as two letters: FR, DE, US."


def _length_problem(maximum: int, *, missing: str | None = None) -> Callable[[str | None], str | None]:
    def problem(value: str | None) -> str | None:
        if value is None:
            return missing
        if len(value) > maximum:
            return f"Use at most {maximum} characters."
        return None if value.isprintable() else "Use printable characters only."

    return problem


_PROBLEMS: Mapping[str, Callable[[str | None], str | None]] = {
    "company": _length_problem(NAME_MAXIMUM),
    "name": _length_problem(NAME_MAXIMUM),
    "line1": _length_problem(LINE_MAXIMUM, missing="Enter an address."),
    "line2": _length_problem(LINE_MAXIMUM),
    "postcode": _length_problem(POSTCODE_MAXIMUM),
    "city": _length_problem(LINE_MAXIMUM, missing="Enter a city."),
    "vat_id": _length_problem(LINE_MAXIMUM),
}

# Territories of the locale data that are not places one can live in, or not countries of ISO 3166-1.
_NOT_COUNTRIES = frozenset("EU EZ UN XA XB ZZ QO AC CP CQ DG EA IC TA XK".split())
_CODES = frozenset(
    code for code in map(str, Locale.parse("en").territories) if _COUNTRY.fullmatch(code) and code not in _NOT_COUNTRIES
)


def _sortable(name: str) -> str:
    return name.casefold().translate(_ACCENTS)


_ACCENTS = str.maketrans("àâäåéèêëîïíìôöóòûüúùçñøþ", "aaaaeeeeiiiioooouuuucnot")


def _text(value: str | None) -> str | None:
    return normal_text(value or "") or None
