"""Promotions in the catalogue's file: reading them, saying what would change, and making it so.

The file is the whole truth about the promotions that came from it: one that is not in it any more is archived. What
staff have made otherwise stays as it is.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from quntedge.catalog.rules import ABSENT, CatalogFile, Change, InvalidCatalog
from quntedge.catalog.toml_rules import basis_points
from quntedge.catalog.toml_tables import Table
from quntedge.kit.money import InvalidMoney, Money
from quntedge.promotions import queries
from quntedge.promotions.errors import InvalidPromotion, PromotionCodeMalformed
from quntedge.promotions.queries import PromotionView
from quntedge.promotions.rules import LONGEST_NAME, MOST_PERIODS, MOST_USES, PromotionSpec, check_spec, normal_code
from quntedge.promotions.service import PromotionService
from quntedge.storage.unit_of_work import UnitOfWork

FIELDS = {
    "code": "The promotion's name for programs; it stays for ever. Required.",
    "name": "Its name for people. Required.",
    "percent": 'What comes off in percent, as text: `"20"` or `"12.5"`. Either this or `amounts`.',
    "amounts": 'What comes off by currency, in major units: `{ usd = "5.00", eur = "4.50" }`.',
    "periods": 'How many charges it lowers, or `"forever"`. Default: 1.',
    "plans": "Codes of the plans it is for. Default: every plan.",
    "first_purchase_only": "Whether it is for new customers alone. Default: false.",
    "max_uses": "How often it can be used in all.",
    "max_per_customer": "How often one customer can use it.",
    "starts_at": "From when, a TOML date and time.",
    "ends_at": "Until when, a TOML date and time.",
    "at_whop": "Whether its codes stand at Whop too, for purchases there; only without limits. Default: false.",
    "codes": "The codes that customers type.",
}
FOREVER = "forever"
_LONGEST_AMOUNT = 30


@dataclass(frozen=True, slots=True)
class Listed:
    """A promotion of the file, with the codes it is to have."""

    spec: PromotionSpec
    codes: tuple[str, ...]


def load(source: Path | str, catalog: CatalogFile) -> tuple[Listed, ...]:
    """The promotions of a file (`Path`) or text whose plans are known already. Raises `InvalidCatalog`."""
    text = source.read_text("utf-8") if isinstance(source, Path) else source
    document = tomllib.loads(text)
    top = Table("the top of the file", {"promotions": document.get("promotions", [])}, None)
    found: dict[str, Listed] = {}
    for table in top.tables("promotions", FIELDS):
        listed = _listed(table, catalog)
        if listed.spec.code in found:
            raise table.error("code", f"{listed.spec.code!r} is given twice; every promotion needs its own")
        found[listed.spec.code] = listed
    seen: dict[str, str] = {}
    for listed in found.values():
        for code in listed.codes:
            if seen.setdefault(code, listed.spec.code) != listed.spec.code:
                raise InvalidCatalog(f"promotions: the code {code} is given to {seen[code]} and {listed.spec.code}.")
    return tuple(found.values())


def packaged(catalog: CatalogFile) -> tuple[Listed, ...]:
    """The promotions of the catalogue that comes with the program."""
    return load(resources.files("quntedge.catalog").joinpath("catalog.toml").read_text("utf-8"), catalog)


def _listed(table: Table, catalog: CatalogFile) -> Listed:
    spec = PromotionSpec(
        code=table.code(),
        name=table.text("name", longest=LONGEST_NAME),
        percent_bp=basis_points(table) if table.has("percent") else None,
        amounts=_amounts(table),
        periods=_periods(table),
        plans=_plans(table, catalog),
        first_purchase_only=table.flag("first_purchase_only"),
        max_uses=_limit(table, "max_uses"),
        max_per_customer=_limit(table, "max_per_customer"),
        starts_at=_moment(table, "starts_at"),
        ends_at=_moment(table, "ends_at"),
        at_whop=table.flag("at_whop"),
    )
    try:
        check_spec(spec)
        codes = tuple(dict.fromkeys(normal_code(code) for code in table.texts("codes")))
    except InvalidPromotion as error:
        first = error.errors[0]
        raise table.error(first["field"], first["message"].rstrip(".")) from None
    except PromotionCodeMalformed as error:
        raise table.error("codes", error.detail.rstrip(".")) from None
    return Listed(spec, codes)


def _amounts(table: Table) -> dict[str, Money]:
    listed = table.table("amounts", None)
    found: dict[str, Money] = {}
    for currency in listed.names():
        text = listed.text(currency, longest=_LONGEST_AMOUNT, hint='write it as text in major units, such as "5.00"')
        try:
            found[currency] = Money.parse(text, currency)
        except InvalidMoney as error:
            raise listed.error(currency, f"{text!r} is not an amount: {error}") from None
    return found


def _periods(table: Table) -> int | None:
    if table.raw("periods") == FOREVER:
        return None
    return table.number("periods", smallest=1, largest=MOST_PERIODS, default=1)


def _plans(table: Table, catalog: CatalogFile) -> tuple[str, ...] | None:
    if not table.has("plans"):
        return None
    plans = tuple(table.texts("plans"))
    paid = [code for code, plan in catalog.plans.items() if plan.kind != "free"]
    for code in plans:
        if code not in paid:
            raise table.error("plans", f"{code!r} is not a plan to buy; write some of {', '.join(paid)}")
    # In the catalogue's order, as they are read back: another order in the file is no difference.
    return tuple(code for code in paid if code in plans)


def _limit(table: Table, name: str) -> int | None:
    return table.number(name, smallest=1, largest=MOST_USES) if table.has(name) else None


def _moment(table: Table, name: str) -> datetime | None:
    value = table.raw(name)
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise table.error(name, f"is {value!r}; write a date and time without quotes, such as 2026-09-01T00:00:00Z")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


async def diff(unit: UnitOfWork, wanted: Sequence[Listed]) -> list[Change]:
    """What has to happen for the promotions to be what the file says. Changes nothing."""
    held = {view.spec.code: view for view in await queries.promotions(unit.session, archived=True)}
    changes: list[Change] = []
    for listed in wanted:
        view = held.get(listed.spec.code)
        missing = await _missing(unit, view, listed.codes)
        if view is None:
            changes.append(Change("add", "promotion", listed.spec.code, _fields({}, missing)))
            continue
        differing = _fields(_differences(view.spec, listed.spec), missing)
        if view.archived_at is not None:
            changes.append(Change("restore", "promotion", listed.spec.code, differing))
        elif differing:
            changes.append(Change("update", "promotion", listed.spec.code, differing))
    names = {listed.spec.code for listed in wanted}
    return changes + [
        Change("archive", "promotion", code)
        for code, view in held.items()
        if view.origin == "catalog" and view.archived_at is None and code not in names
    ]


async def apply(unit: UnitOfWork, wanted: Sequence[Listed], service: PromotionService, *, by: str) -> list[Change]:
    """Makes the promotions what the file says, in the caller's unit, and returns what changed.

    Raises `PromotionCodeTaken` where a code belongs to another promotion, `InvalidPromotion`.
    """
    changes = await diff(unit, wanted)
    listed = {one.spec.code: one for one in wanted}
    for change in changes:
        if change.action == "archive":
            await service.archive(unit, change.code)
        else:
            one = listed[change.code]
            await service.save(unit, one.spec, by=by, origin="catalog", codes=one.codes)
    return changes


async def _missing(unit: UnitOfWork, view: PromotionView | None, codes: Sequence[str]) -> list[str]:
    held = await queries.code_texts(unit.session, view.id, codes) if view is not None else frozenset()
    return [code for code in codes if code not in held]


def _fields(differing: Mapping[str, tuple[Any, Any]], missing: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    return dict(differing) | ({"codes": (ABSENT, list(missing))} if missing else {})


def _differences(before: PromotionSpec, after: PromotionSpec) -> dict[str, tuple[Any, Any]]:
    pairs = {one.name: (getattr(before, one.name), getattr(after, one.name)) for one in fields(PromotionSpec)}
    return {name: (_shown(old), _shown(new)) for name, (old, new) in pairs.items() if old != new}


def _shown(value: Any) -> Any:
    """Values as a difference shows them."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, dict):
        return [str(amount) for amount in value.values()]
    return value
