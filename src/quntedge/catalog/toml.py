"""Reading a catalogue from TOML, with errors that say which plan, which field, and what to write instead."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from quntedge.catalog.features import FEATURE_KINDS, FeatureValue
from quntedge.catalog.rules import CatalogFile, FeatureSpec, InvalidCatalog, PlanSpec
from quntedge.catalog.toml_rules import plan_rules
from quntedge.catalog.toml_tables import LONGEST_TEXT, Table
from quntedge.kit.money import InvalidMoney, Money

_KINDS = ("free", "recurring", "lifetime")
# Whop's limits: a plan's title has 30 characters, a billing period 365 days, the smallest price is 1.00.
_LONGEST_TITLE = 30
_LONGEST_PERIOD = 365
_SMALLEST_PRICE = "1"
_LONGEST_UNIT = 40
_LONGEST_AMOUNT = 30
_HIGHEST_LIMIT = 1_000_000_000
UNLIMITED = "unlimited"

# What may be written, and what it means: the reference in the documentation is made of these.
TOP_FIELDS = {
    "currency": "The currency of prices that name none, a lower-case ISO 4217 code. Default: `usd`.",
    "grace_days": "How long access stays after a failed renewal, for plans that do not say. Default: 7.",
    "features": "The `[[features]]` tables.",
    "plans": "The `[[plans]]` tables, in the order in which they are shown.",
    "promotions": "The `[[promotions]]` tables. One that came from the file and is not in it any more is archived.",
}
FEATURE_FIELDS = {
    "code": "What applications ask for: lower-case letters, digits and `_`. Required.",
    "name": "The feature for people. Required.",
    "description": "A sentence about it.",
    "kind": "`boolean` (default): a plan has it or not. `limit`: a plan has so many. `config`: a plan has a text that "
    "the application understands.",
    "unit": "Of a limit: what is counted, for example `accounts`.",
}
PLAN_FIELDS = {
    "code": "The plan's name for programs; it stays for ever. Required.",
    "name": "The plan's name for people, at most 30 characters. Required.",
    "tagline": "A sentence under the name.",
    "kind": "`free` (everybody has it), `recurring`, or `lifetime` (paid once). Required, and fixed.",
    "currency": "The plan's own currency, in which its price is shown first. Default: the one at the top.",
    "price": 'The price in the plan\'s own currency, as text in major units: `"29.00"`.',
    "prices": 'Instead of `price`: prices in several currencies, `{ usd = "29.00", eur = "27.00" }`. The plan\'s '
    "own currency must be among them.",
    "period_days": "The length of a period in days, 1 to 365. Required for recurring plans.",
    "trial_days": "The length of a free trial in days. Default: 0, none.",
    "grace_days": "How long access stays after a failed renewal. Default: the one at the top.",
    "pause_access": "What a pause leaves: `keep` (all access), `period` (access until the paid period ends, default) "
    "or `none`.",
    "pause_max_days": "The longest pause. Without it a pause may last for any time, and until further notice.",
    "refund_access": "What giving back the whole payment for the running period does: `keep` (default), "
    "`end_of_period` (no further renewal) or `revoke` (everything ends at once). Not for a free plan; a lifetime plan "
    "has no periods to end.",
    "highlighted": "Whether the pricing page recommends it. Default: false.",
    "archived": "Whether it is sold no longer; whoever has it keeps it. Default: false.",
    "features": "Codes of the yes-or-no features it brings.",
    "values": 'Its limits and configs by feature code: a number or `"unlimited"` for a limit, a text for a config.',
    "change": "The table `[plans.change]`.",
    "dunning": "The table `[plans.dunning]`; only for recurring plans.",
    "save_offer": "The table `[plans.save_offer]`; only for recurring plans.",
    "dispute": "The table `[plans.dispute]`: what a disputed payment does to the subscription; not for a free plan.",
}


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
    top = Table("the top of the file", document, TOP_FIELDS)
    currency = top.text("currency", default="usd", longest=3)
    grace_days = top.days("grace_days", default=7)
    features: dict[str, FeatureSpec] = {}
    for position, table in enumerate(top.tables("features", FEATURE_FIELDS)):
        feature = _feature(table, position)
        if feature.code in features:
            raise table.error("code", f"{feature.code!r} is given twice; every feature needs its own")
        features[feature.code] = feature
    plans: dict[str, PlanSpec] = {}
    tables = top.tables("plans", PLAN_FIELDS)
    for position, table in enumerate(tables):
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
    _check_targets(zip(tables, plans.values(), strict=True), plans)
    return CatalogFile(features, plans)


def _check_targets(listed: "zip[tuple[Table, PlanSpec]]", plans: Mapping[str, PlanSpec]) -> None:
    for table, plan in listed:
        for target in plan.rules.change.targets or ():
            if target not in plans or target == plan.code:
                others = ", ".join(code for code in plans if code != plan.code) or "(there is no other)"
                raise table.error("change: targets", f"{target!r} is not another plan; write some of {others}")


def _feature(table: Table, position: int) -> FeatureSpec:
    kind = table.choice("kind", FEATURE_KINDS, "boolean")
    if table.has("unit") and kind != "limit":
        raise table.error("unit", f"only a limit counts something; leave it out of a {kind} feature")
    return FeatureSpec(
        code=table.code(),
        name=table.text("name", longest=LONGEST_TEXT),
        description=table.text("description", default="", longest=LONGEST_TEXT),
        position=position,
        kind=kind,
        unit=table.text("unit", default="", longest=_LONGEST_UNIT),
    )


def _plan(table: Table, position: int, currency: str, grace_days: int, features: Mapping[str, FeatureSpec]) -> PlanSpec:
    code = table.code()
    kind = table.choice("kind", _KINDS)
    recurring = kind == "recurring"
    trial_days = table.days("trial_days", default=0)
    if trial_days and not recurring:
        raise table.error("trial_days", f"only a recurring plan can have a trial; this one is {kind}")
    if not recurring and table.has("period_days"):
        raise table.error("period_days", f"only a recurring plan has a period; leave it out of a {kind} one")
    own_currency = table.text("currency", default=currency, longest=3)
    prices = _prices(table, kind, own_currency)
    return PlanSpec(
        code=code,
        name=table.text("name", longest=_LONGEST_TITLE),
        tagline=table.text("tagline", default="", longest=LONGEST_TEXT),
        kind=kind,
        currency=own_currency,
        prices=prices,
        period_days=table.days("period_days", smallest=1, largest=_LONGEST_PERIOD) if recurring else None,
        trial_days=trial_days,
        grace_days=table.days("grace_days", default=grace_days),
        rules=plan_rules(table, kind, prices[own_currency]),
        highlighted=table.flag("highlighted"),
        position=position,
        archived=table.flag("archived"),
        features=_granted(table, features) | _values(table, features),
    )


def _prices(table: Table, kind: str, currency: str) -> dict[str, Money]:
    if kind == "free":
        for name in ("price", "prices"):
            if table.has(name):
                raise table.error(name, "a free plan has none; leave it out")
        return {currency: _money(table, "price", "0", currency)}
    if not table.has("prices"):
        return {currency: _price(table, "price", currency)}
    if table.has("price"):
        raise table.error("price", "is among prices; leave one of the two out")
    listed = table.table("prices", None)
    if not listed.has(currency):
        raise table.error("prices", f"{currency!r}, the plan's own currency, is missing")
    return {code: _price(listed, code, code) for code in (currency, *(c for c in listed.names() if c != currency))}


def _price(table: Table, name: str, currency: str) -> Money:
    text = table.text(name, longest=_LONGEST_AMOUNT, hint='write it as text in major units, for example "29.00"')
    price = _money(table, name, text, currency)
    smallest = _money(table, name, _SMALLEST_PRICE, currency)
    if price < smallest:
        raise table.error(name, f"{text!r} is below the smallest price Whop takes, {smallest.to_major_text()}")
    return price


def _money(table: Table, name: str, text: str, currency: str) -> Money:
    try:
        return Money.parse(text, currency)
    except InvalidMoney as error:
        raise table.error(name, f"{text!r} in {currency.upper()} cannot be: {error}") from None


def _granted(table: Table, features: Mapping[str, FeatureSpec]) -> dict[str, FeatureValue]:
    codes = table.texts("features")
    for code in codes:
        kind = _known(table, "features", code, features).kind
        if kind != "boolean":
            raise table.error("features", f"{code!r} is a {kind}; give it a value under values instead")
    if len(set(codes)) != len(codes):
        raise table.error("features", "one feature is listed twice")
    return dict.fromkeys(sorted(codes))


def _values(table: Table, features: Mapping[str, FeatureSpec]) -> dict[str, FeatureValue]:
    values = table.table("values", None)
    granted: dict[str, FeatureValue] = {}
    for code in sorted(values.names()):
        match _known(table, "values", code, features).kind:
            case "boolean":
                raise values.error(code, "is a yes-or-no feature; list it under features instead")
            case "limit" if values.raw(code) == UNLIMITED:
                granted[code] = None
            case "limit":
                if isinstance(values.raw(code), str):
                    raise values.error(code, f'is {values.raw(code)!r}; write a whole number or "{UNLIMITED}"')
                granted[code] = values.number(code, smallest=0, largest=_HIGHEST_LIMIT)
            case _:
                granted[code] = values.text(code, longest=LONGEST_TEXT)
    return granted


def _known(table: Table, name: str, code: str, features: Mapping[str, FeatureSpec]) -> FeatureSpec:
    found = features.get(code)
    if found is None:
        raise table.error(name, f"{code!r} is unknown; write one of {', '.join(features) or '(none defined)'}")
    return found
