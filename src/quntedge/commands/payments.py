"""Payments: which there are, and everything about one. For looking only; nothing here changes anything."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from quntedge.catalog import queries as catalog
from quntedge.commands.errors import Explained
from quntedge.commands.output import CommandError, aside, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run
from quntedge.edge.filters import Asked, InvalidFilter, transaction_filter
from quntedge.kit.ids import is_id
from quntedge.kit.money import Money
from quntedge.payments import queries
from quntedge.payments.models import STATUSES, PaymentAttempt, PaymentTransaction

app = typer.Typer(cls=Explained, no_args_is_help=True, help="Payments and the attempts to collect them.")

_MOST = 1000
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead, for programs.")]


@app.command("list")
def list_payments(
    status: Annotated[
        list[str] | None, typer.Option("--status", help=f"Only these; may be repeated: {', '.join(STATUSES)}.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this day (2026-09-01) or time on.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this day, the whole of it, or time.")] = None,
    plan: Annotated[str | None, typer.Option("--plan", help="Code of a plan.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Such as usd.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only of this customer, usr_…")] = None,
    named: Annotated[str | None, typer.Option("--id", help="txn_…, pay_…, sub_… or mem_…")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=_MOST, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List payments, newest first."""
    run(_list(Asked(status or (), since, until, plan, currency, named), user, limit, as_json))


@app.command()
def show(
    payment: Annotated[str, typer.Argument(help="Id of the payment: ours, txn_…, or Whop's, pay_…")],
    as_json: Json = False,
) -> None:
    """Show a payment, and each attempt to collect it that failed."""
    run(_show(payment, as_json))


async def _list(asked: Asked, user: str | None, limit: int, as_json: bool) -> None:
    if user is not None and not is_id(user, "usr"):
        raise CommandError("--user must be an id of ours: usr_ and 26 letters and digits.")
    async with opened() as runtime, runtime.units() as unit:
        try:
            wanted = await transaction_filter(unit.session, asked, user)
        except InvalidFilter as error:
            raise CommandError(error.detail) from error
        page = await queries.find(unit.session, wanted, None, limit)
        plans = await catalog.plans_by_id(unit.session, {row.plan_id for row in page.data if row.plan_id is not None})
    if as_json:
        out().print(json.dumps([_document(row) for row in page.data], indent=2))
        return
    shown = table("Payment", "At (UTC)", "Status", "Plan", "Total", "Refunded", "Failed", "Method", "At Whop")
    for row in page.data:
        plan = plans.get(row.plan_id or "")
        shown.add_row(
            row.id,
            moment(row.occurred_at),
            row.status,
            plan.code if plan is not None else "–",
            _money(row.total_minor, row.currency),
            _money(row.refunded_minor, row.currency) if row.refunded_minor else "–",
            str(row.attempts_failed or "–"),
            " ".join(part for part in (row.method_brand or row.method_kind, row.method_last4) if part) or "–",
            row.whop_payment_id,
        )
    show_table(shown)
    if page.next_cursor is not None:
        aside(f"There are more than these {limit}: narrow the list, or raise --limit.")


async def _show(text: str, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await queries.by_id(unit.session, text)
        if row is None:
            raise CommandError(f"There is no payment {text}; ids begin with txn_ here and with pay_ at Whop.")
        attempts = (await queries.attempts_of(unit.session, [row.id]))[row.id]
    if as_json:
        document = _document(row) | {"attempts": [_attempt(attempt) for attempt in attempts]}
        out().print(json.dumps(document, indent=2))
        return
    for name, value in _document(row).items():
        if value is not None:
            amount = name.endswith("_minor") and isinstance(value, int)
            currency = row.presentment_currency if name == "presentment_minor" else row.currency
            out().print(f"{name:<22} {_money(value, currency or row.currency) if amount else value}")
    if attempts:
        _print_attempts(attempts)


def _print_attempts(attempts: Sequence[PaymentAttempt]) -> None:
    out().print()
    shown = table("Failed", "At (UTC)", "Code", "Class", "Whop says")
    for attempt in attempts:
        shown.add_row(
            str(attempt.number),
            moment(attempt.at),
            attempt.decline_code or "–",
            attempt.decline_class,
            attempt.message or "–",
        )
    show_table(shown)


def _document(row: PaymentTransaction) -> dict[str, Any]:
    """All columns; amounts in minor units, times in ISO 8601."""
    return {column.name: _plain(getattr(row, column.name)) for column in PaymentTransaction.__table__.columns}


def _attempt(row: PaymentAttempt) -> dict[str, Any]:
    named = ("number", "decline_code", "decline_class", "message", "at")
    return {name: _plain(getattr(row, name)) for name in named}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _money(minor: int | None, currency: str) -> str:
    return "–" if minor is None else str(Money(minor, currency))


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="payments")
