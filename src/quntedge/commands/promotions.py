"""Promotions: what there is, making them and their codes, and what they brought."""

import csv
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from quntedge.checkout.promotion_report import PromotionReport
from quntedge.checkout.promotion_report import report as promotion_report
from quntedge.commands.errors import Explained
from quntedge.commands.operator import operator
from quntedge.commands.output import CommandError, aside, complain, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.progress import counted
from quntedge.commands.running import opened, run
from quntedge.commands.times import parse_moment, parse_since
from quntedge.kit.money import InvalidMoney, Money
from quntedge.pricing.labels import share_text
from quntedge.pricing.rules import WHOLE_BP
from quntedge.promotions import queries
from quntedge.promotions.queries import PromotionView
from quntedge.promotions.rules import PromotionSpec
from quntedge.wiring import Runtime

app = typer.Typer(cls=Explained, no_args_is_help=True, help="Promotions and their codes.")

Json = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Name = Annotated[str, typer.Argument(help="The promotion's name for programs, such as launch.")]
_PAGE = 1000
_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))? ?%?", re.ASCII)


@app.command("list")
def list_(
    archived: Annotated[bool, typer.Option("--archived", help="Show archived ones, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the promotions, newest first."""
    run(_list(archived, as_json))


@app.command()
def create(
    name: Name,
    title: Annotated[str, typer.Option(help="What people call it.")],
    percent: Annotated[str | None, typer.Option(help="How much comes off, in percent: 20 or 12.5.")] = None,
    amount: Annotated[
        list[str] | None, typer.Option(help="How much comes off, in major units: usd=5.00; may be repeated.")
    ] = None,
    periods: Annotated[int, typer.Option(help="How many charges it lowers.")] = 1,
    forever: Annotated[bool, typer.Option("--forever", help="It lowers all charges.")] = False,
    plan: Annotated[list[str] | None, typer.Option(help="A plan it is for; may be repeated. Default: all.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="A code to type; may be repeated.")] = None,
    first_purchase_only: Annotated[bool, typer.Option("--first-purchase-only", help="For new customers.")] = False,
    max_uses: Annotated[int | None, typer.Option(help="Uses in all.")] = None,
    max_per_customer: Annotated[int | None, typer.Option(help="Uses of one customer.")] = None,
    starts: Annotated[str | None, typer.Option(help="From when: 2026-09-01 or 2026-09-01T12:00Z.")] = None,
    ends: Annotated[str | None, typer.Option(help="Until when.")] = None,
    at_whop: Annotated[
        bool, typer.Option("--at-whop", help="Its codes stand at Whop too. Only without limits.")
    ] = False,
) -> None:
    """Make a promotion, or make the one of this name what the options say.

    Who holds or has used it keeps the terms that were shown. Codes are only added; `archive` ends the promotion.
    """
    spec = PromotionSpec(
        code=name,
        name=title,
        percent_bp=None if percent is None else basis_points(percent),
        amounts=_amounts(amount or []),
        periods=None if forever else periods,
        plans=tuple(plan) if plan else None,
        first_purchase_only=first_purchase_only,
        max_uses=max_uses,
        max_per_customer=max_per_customer,
        at_whop=at_whop,
    )
    run(_create(spec, code or [], starts, ends))


@app.command()
def codes(
    name: Name,
    count: Annotated[int, typer.Option(min=0, help="How many random codes to make; 0 only lists those there are.")] = 0,
    prefix: Annotated[str, typer.Option(help="What they begin with.")] = "",
    max_uses: Annotated[int | None, typer.Option(help="Uses of each of them.")] = None,
    batch: Annotated[str | None, typer.Option(help="List only those that were made together.")] = None,
    file: Annotated[
        Path | None, typer.Option("--csv", dir_okay=False, help="Write them into this file instead of showing them.")
    ] = None,
) -> None:
    """Make many codes at once, or list them, as CSV."""
    run(_codes(name, count, prefix, max_uses, batch, file))


@app.command()
def archive(name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """End a promotion: nobody new gets it. Who has it keeps it."""
    if not yes and not typer.confirm(f"End {name}?"):
        complain("nothing was changed.")
        raise typer.Exit(1)
    run(_archive(name))


@app.command()
def sync() -> None:
    """Bring Whop up to date with the codes that stand there under their own names.

    Run it again after an interruption: it goes on where it stopped, and makes nothing twice.
    """
    run(_sync())


@app.command()
def report(
    since: Annotated[str | None, typer.Option(help="Payments from then on: 2026-09-01, 30d, 12h.")] = None,
    name: Annotated[str | None, typer.Option("--promotion", help="Only this one.")] = None,
    as_json: Json = False,
) -> None:
    """Show uses and revenue by promotion and currency."""
    run(_report(since, name, as_json))


async def _list(archived: bool, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        found, now = await queries.promotions(unit.session, archived=archived), unit.clock.now()
    if as_json:
        out().print_json(json.dumps([_members(view) for view in found]))
        return
    if not found:
        out().print("There is no promotion; `quntedge promotions create` makes one.")
        return
    shown = table("Name", "Title", "Off", "Charges", "Plans", "Uses", "Codes", "Until (UTC)", "State")
    for view in found:
        spec = view.spec
        shown.add_row(
            spec.code, spec.name, off_text(spec), "all" if spec.periods is None else str(spec.periods),
            "all" if spec.plans is None else ", ".join(spec.plans), _uses(view), f"{view.codes:,}",
            moment(spec.ends_at), view.state(now),
        )  # fmt: skip
    show_table(shown)


async def _create(spec: PromotionSpec, codes: list[str], starts: str | None, ends: str | None) -> None:
    async with opened("promotion.save", "promotion", spec.code) as runtime:
        wanted = replace(
            spec,
            starts_at=None if starts is None else parse_moment(starts),
            ends_at=None if ends is None else parse_moment(ends),
        )
        async with runtime.units() as unit:
            view = await runtime.services.promotions.service.save(unit, wanted, by=operator(), codes=codes)
            await unit.commit()
        out().print(f"{view.spec.code}: {off_text(view.spec)} off, version {view.version}, {_codes_of(view.codes)}.")
        if view.spec.at_whop:
            await say_promo_sync(runtime)


async def _codes(
    name: str, count: int, prefix: str, max_uses: int | None, batch: str | None, file: Path | None
) -> None:
    async with opened("promotion.add_codes", "promotion", name) as runtime:
        async with runtime.units() as unit:
            view = await runtime.services.promotions.service.get(unit, name)
            if count:
                made = await runtime.services.promotions.service.add_codes(
                    unit, name, by=operator(), count=count, prefix=prefix, max_uses=max_uses
                )
                await unit.commit()
                batch = made.id
        rows = await _all_codes(runtime, view.id, batch)
    if file is None:
        _write_csv(sys.stdout, rows)
        return
    try:
        with file.open("w", newline="", encoding="utf-8") as target:
            _write_csv(target, rows)
    except OSError as error:
        raise CommandError(
            f"{file} cannot be written: {error.strerror}. The codes are made; list them again."
        ) from None
    aside(f"{len(rows):,} codes written to {file}" + (f" (batch {batch})." if batch else "."))


async def _all_codes(runtime: Runtime, promotion_id: str, batch: str | None) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    cursor: str | None = None
    while True:
        async with runtime.units() as unit:
            page = await queries.codes(unit.session, promotion_id, cursor, _PAGE, batch=batch)
        rows += [
            (
                one.code,
                str(one.uses),
                "" if one.max_uses is None else str(one.max_uses),
                one.batch or "",
                one.created_at.isoformat(),
                "" if one.archived_at is None else one.archived_at.isoformat(),
            )
            for one in page.data
        ]
        cursor = page.next_cursor
        if cursor is None:
            return rows


def _write_csv(target: IO[str], rows: Iterable[tuple[str, ...]]) -> None:
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(("code", "uses", "max_uses", "batch", "created_at", "archived_at"))
    writer.writerows(rows)


async def _archive(name: str) -> None:
    async with opened("promotion.archive", "promotion", name) as runtime:
        async with runtime.units() as unit:
            view = await runtime.services.promotions.service.archive(unit, name)
            await unit.commit()
        out().print(f"{name} is archived. {view.uses:,} uses stay as they are.")
        if view.spec.at_whop:
            await say_promo_sync(runtime)


async def _sync() -> None:
    async with opened() as runtime:
        await say_promo_sync(runtime)


async def say_promo_sync(runtime: Runtime) -> None:
    """Brings the gateway up to date and says what was done. Exits with 1 when a code was refused."""
    promotions = runtime.services.promotions.sync
    pending = await promotions.pending()
    with counted("promo codes at Whop", len(pending)) as advance:
        done = await promotions.run(lambda _code, _number, _total: advance(1))
    for text, codes_done in (("Made at Whop", done.made), ("Archived at Whop", done.archived)):
        if codes_done:
            out().print(f"{text}: {', '.join(codes_done)}.")
    if not pending:
        out().print("Whop has every promo code as it should be.")
    for code, why in done.refused.items():
        complain(f"Whop did not take {code}: {why}.")
    if done.refused:
        raise typer.Exit(1)


def _codes_of(count: int) -> str:
    return "1 code" if count == 1 else f"{count:,} codes"


async def _report(since: str | None, name: str | None, as_json: bool) -> None:
    async with opened() as runtime:
        start = None if since is None else parse_since(since, runtime.clock.now())
        async with runtime.units() as unit:
            found = await promotion_report(unit.session, since=start, code=name)
    if as_json:
        out().print_json(json.dumps(_report_members(found)))
        return
    if not found.rows and not found.holdings:
        out().print("Nothing has been paid with a promotion.")
        return
    shown = table("Promotion", "Currency", "Uses", "Payments", "Taken off", "Revenue", "Differing")
    for row in found.rows:
        shown.add_row(
            row.code or "(codes at Whop only)", row.currency.upper(), f"{row.uses:,}", f"{row.payments:,}",
            row.discounts.format(), row.revenue.format(), f"{row.differing:,}",
        )  # fmt: skip
    show_table(shown)
    for one in found.holdings:
        out().print(
            f"{one.code}: {one.held:,} held by open checkouts, {one.paid_without_code:,} paid without the code."
        )


def _report_members(found: PromotionReport) -> dict[str, Any]:
    rows = [
        {
            "code": row.code,
            "currency": row.currency,
            "uses": row.uses,
            "payments": row.payments,
            "discounts": row.discounts.to_json(),
            "revenue": row.revenue.to_json(),
            "differing": row.differing,
        }
        for row in found.rows
    ]
    holdings = [
        {"code": one.code, "held": one.held, "paid_without_code": one.paid_without_code} for one in found.holdings
    ]
    return {"rows": rows, "holdings": holdings}


def _members(view: PromotionView) -> dict[str, Any]:
    spec = view.spec
    return {
        "code": spec.code,
        "name": spec.name,
        "percent_bp": spec.percent_bp,
        "amounts": [amount.to_json() for amount in spec.amounts.values()],
        "periods": spec.periods,
        "plans": None if spec.plans is None else list(spec.plans),
        "max_uses": spec.max_uses,
        "uses": view.uses,
        "codes": view.codes,
        "archived": view.archived_at is not None,
    }


def off_text(spec: PromotionSpec) -> str:
    """What a promotion takes off, for people."""
    if spec.percent_bp is not None:
        return share_text(spec.percent_bp)
    return " or ".join(amount.format() for amount in spec.amounts.values())


def _uses(view: PromotionView) -> str:
    limit = view.spec.max_uses
    return f"{view.uses:,}" if limit is None else f"{view.uses:,} of {limit:,}"


def basis_points(text: str) -> int:
    """A percentage as people type it, in basis points. Raises `typer.BadParameter`."""
    share = _PERCENT.fullmatch(text.strip())
    points = 0 if share is None else int(share[1]) * 100 + int((share[2] or "").ljust(2, "0"))
    if not 1 <= points <= WHOLE_BP:
        raise typer.BadParameter(f"{text!r} is no percentage; write 20 or 12.5, with at most two decimals, up to 100.")
    return points


def _amounts(texts: list[str]) -> dict[str, Money]:
    found: dict[str, Money] = {}
    for text in texts:
        currency, separator, amount = text.partition("=")
        try:
            if not separator:
                raise InvalidMoney("the currency is missing")
            money = Money.parse(amount.strip(), currency.strip())
        except InvalidMoney as error:
            raise typer.BadParameter(f"{text!r}: {error}; write it like usd=5.00.") from None
        found[money.currency] = money
    return found


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="promotions")
