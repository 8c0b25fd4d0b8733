"""Reading a catalogue from TOML, with errors that say which plan, which field, and what to write instead."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from quntedge.catalog.rules import CatalogFile, FeatureSpec, InvalidCatalog, PlanSpec, is_code
from quntedge.kit.money import InvalidMoney, Money

_KINDS = ("free", "recurring", "lifetime")
# Whop's limits: a plan's title has 30 characters, a billing period 365 days, the smallest price is 1.00.
_LONGEST_TITLE = 30
_LONGEST_PERIOD = 365
_SMALLEST_PRICE = "1"
_LONGEST_TEXT = 200
_MOST_DAYS = 365

_TOP_FIELDS = {"currency", "grace_days", "features", "plans"}
_FEATURE_FIELDS = {"code", "name", "description"}
_PLAN_FIELDS = {
    "code", "name", "tagline", "kind", "price", "currency", "period_days", "trial_days", "grace_days", "highlighted",
    "archived", "features",
}  # fmt: skip


def load(source: Path | str) -> CatalogFile:
    """Reads a catalogue from a file (`Path`) or from the text itself (`str`). Raises `InvalidCatalog`."""
    try:
        text = source.read_text("utf-8") if isinstance(source, Path) else source
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidCatalog(f"The catalogue {source} cannot be read: {error}.") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidCatalog(f"The catalogue is not TOML: {error}.") from None
    return _catalog(document)


def packaged() -> CatalogFile:
    """The catalogue that comes with the program."""
    return load(resources.files("quntedge.catalog").joinpath("catalog.toml").read_text("utf-8"))


def _catalog(document: Mapping[str, Any]) -> CatalogFile:
    top = _Table("the top of the file", document, _TOP_FIELDS)
    currency = top.text("currency", default="usd", longest=3)
    grace_days = top.days("grace_days", default=7)
    features: dict[str, FeatureSpec] = {}
    for position, table in enumerate(top.tables("features", _FEATURE_FIELDS)):
        feature = _feature(table, position)
        if feature.code in features:
            raise table.error("code", f"{feature.code!r} is given twice; every feature needs its own")
        features[feature.code] = feature
    plans: dict[str, PlanSpec] = {}
    for position, table in enumerate(top.tables("plans", _PLAN_FIELDS)):
        plan = _plan(table, position, currency, grace_days, features)
        if plan.code in plans:
            raise table.error("code", f"{plan.code!r} is given twice; every plan needs its own")
        if (
            plan.kind == "free"
            and not plan.archived
            and any(p.kind == "free" and not p.archived for p in plans.values())
        ):
            raise table.error("kind", "there is a free plan already; only one can be everybody's")
        plans[plan.code] = plan
    if not plans:
        raise top.error("plans", "is empty; write at least one [[plans]] table")
    return CatalogFile(features, plans)


def _feature(table: "_Table", position: int) -> FeatureSpec:
    return FeatureSpec(
        code=table.code(),
        name=table.text("name", longest=_LONGEST_TEXT),
        description=table.text("description", default="", longest=_LONGEST_TEXT),
        position=position,
    )


def _plan(
    table: "_Table", position: int, currency: str, grace_days: int, features: Mapping[str, FeatureSpec]
) -> PlanSpec:
    code = table.code()
    kind = table.text("kind", longest=_LONGEST_TEXT)
    if kind not in _KINDS:
        raise table.error("kind", f"{kind!r} is unknown; write one of {', '.join(_KINDS)}")
    recurring = kind == "recurring"
    trial_days = table.days("trial_days", default=0)
    if trial_days and not recurring:
        raise table.error("trial_days", f"only a recurring plan can have a trial; this one is {kind}")
    if not recurring and table.has("period_days"):
        raise table.error("period_days", f"only a recurring plan has a period; leave it out of a {kind} one")
    return PlanSpec(
        code=code,
        name=table.text("name", longest=_LONGEST_TITLE),
        tagline=table.text("tagline", default="", longest=_LONGEST_TEXT),
        kind=kind,
        price=_price(table, kind, table.text("currency", default=currency, longest=3)),
        period_days=table.days("period_days", smallest=1, largest=_LONGEST_PERIOD) if recurring else None,
        trial_days=trial_days,
        grace_days=table.days("grace_days", default=grace_days),
        highlighted=table.flag("highlighted"),
        position=position,
        archived=table.flag("archived"),
        features=_granted(table, features),
    )


def _price(table: "_Table", kind: str, currency: str) -> Money:
    if kind == "free":
        if table.has("price"):
            raise table.error("price", "a free plan has none; leave it out")
        text = "0"
    else:
        text = table.text("price", longest=30, hint='write it as text in major units, for example "29.00"')
    try:
        price = Money.parse(text, currency)
        smallest = Money.parse(_SMALLEST_PRICE, currency)
    except InvalidMoney as error:
        raise table.error("price", f"{text!r} {currency!r} is not an amount: {error}") from None
    if kind != "free" and price < smallest:
        raise table.error("price", f"{text!r} is below the smallest price Whop takes, {smallest.to_major_text()}")
    return price


def _granted(table: "_Table", features: Mapping[str, FeatureSpec]) -> tuple[str, ...]:
    codes = table.texts("features")
    for code in codes:
        if code not in features:
            raise table.error(
                "features", f"{code!r} is unknown; write one of {', '.join(features) or '(none defined)'}"
            )
    if len(set(codes)) != len(codes):
        raise table.error("features", "one feature is listed twice")
    return tuple(sorted(codes))


class _Table:
    """A TOML table that knows its place in the file and refuses what it does not know."""

    def __init__(self, where: str, values: Any, known: set[str]) -> None:
        if not isinstance(values, Mapping):
            raise InvalidCatalog(f"{where}: must be a table.")
        self._where = where
        self._values = values
        for name in values:
            if name not in known:
                raise self.error(name, f"is not a field; known fields: {', '.join(sorted(known))}")

    def error(self, name: str, problem: str) -> InvalidCatalog:
        return InvalidCatalog(f"{self._where}: {name}: {problem}.")

    def has(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, *, longest: int, default: str | None = None, hint: str = "write a text in quotes") -> str:
        value = self._values.get(name, default)
        if value is None:
            raise self.error(name, f"is missing; {hint}")
        if not isinstance(value, str):
            raise self.error(name, f"is {value!r}; {hint}")
        if len(value) > longest or not value.isprintable() or (not value.strip() and default is None):
            raise self.error(name, f"must be 1 to {longest} printable characters")
        return value

    def code(self) -> str:
        code = self.text("code", longest=40)
        if not is_code(code):
            raise self.error("code", f"{code!r} is not a code; use lower-case letters, digits and _, letter first")
        return code

    def days(self, name: str, *, default: int | None = None, smallest: int = 0, largest: int = _MOST_DAYS) -> int:
        value = self._values.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
            found = "is missing" if value is None else f"is {value!r}"
            raise self.error(name, f"{found}; write a whole number of days from {smallest} to {largest}")
        return value

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self.error(name, f"is {value!r}; write true or false")
        return value

    def texts(self, name: str) -> list[str]:
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(name, 'must be a list of codes, for example ["basic_dashboard"]')
        return value

    def tables(self, name: str, known: set[str]) -> list["_Table"]:
        value = self._values.get(name, [])
        if not isinstance(value, list):
            raise self.error(name, f"must be written as [[{name}]] tables")
        tables = []
        for number, values in enumerate(value, start=1):
            code = values.get("code") if isinstance(values, Mapping) else None
            label = f"{name}[{number}]" + (f" ({code})" if isinstance(code, str) else "")
            tables.append(_Table(label, values, known))
        return tables
