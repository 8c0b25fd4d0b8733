"""Refunds at the terminal: what waits, giving money back, and agreeing to it."""

import json
from typing import Annotated, Any

import typer

from quntedge.commands.errors import Explained
from quntedge.commands.operator import operator
from quntedge.commands.output import CommandError, aside, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run
from quntedge.edge.filters import InvalidFilter, id_filter
from quntedge.kit.money import InvalidMoney, Money
from quntedge.refunds import queries
from quntedge.refunds.models import Refund, RefundEvent
from quntedge.refunds.queries import STATUSES, Filter
from quntedge.refunds.rules import FOR_STAFF, RefundReason

app = typer.Typer(cls=Explained, no_args_is_help=True, help="Refunds: what waits, giving money back, agreeing to it.")

RefundId = Annotated[str, typer.Argument(help="Id of the refund, ref_… as `list` shows it.")]
Note = Annotated[str | None, typer.Option(help="For your own eyes; kept sealed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.command("list")
def list_(
    status: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(STATUSES)}; may be repeated.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this customer, usr_…")] = None,
    payment: Annotated[str | None, typer.Option(help="Only of this payment, txn_…")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List refunds, the newest first. `--status requested` is what waits for a second person."""
    for one in status or ():
        if one not in STATUSES:
            raise typer.BadParameter(f"{one!r} is not a status; write one of {', '.join(STATUSES)}.")
    try:
        which = Filter(status, id_filter("--user", user, "usr"), id_filter("--payment", payment, "txn"))
    except InvalidFilter as error:
        raise CommandError(error.detail) from error
    run(_list(which, limit, as_json))


@app.command()
def show(refund_id: RefundId, as_json: AsJson = False) -> None:
    """Show one refund, what was said about it, and everything that happened to it."""
    run(_show(refund_id, as_json))


@app.command()
def request(
    payment: Annotated[str, typer.Argument(help="Id of the payment, txn_…")],
    amount: Annotated[
        str | None, typer.Option(help="How much, as 10.00, in the payment's currency. Default: all that is left.")
    ] = None,
    reason: Annotated[str, typer.Option(help=f"One of {', '.join(FOR_STAFF)}.")] = RefundReason.REQUESTED.value,
    note: Note = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Give money back: at once, or once a second person agrees. You are the user of this machine."""
    run(_request(payment, amount, reason, note, yes))


@app.command()
def approve(refund_id: RefundId, note: Note = None) -> None:
    """Agree to a refund that waits. Whoever asked for it cannot, whether here or with an API key they hold."""
    run(_decide(refund_id, note, agree=True))


@app.command()
def reject(refund_id: RefundId, note: Note = None) -> None:
    """Turn down a refund that waits."""
    run(_decide(refund_id, note, agree=False))


async def _list(which: Filter, limit: int, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        found = (await queries.find(unit.session, which, None, limit)).data
    if as_json:
        out().print(json.dumps([_document(row) for row in found], indent=2))
        return
    if not found:
        out().print("No refund matches.")
        return
    shown = table("Refund", "Of (UTC)", "Status", "Amount", "Payment", "Asked for by", "Approved by")
    for row in found:
        shown.add_row(
            row.id, moment(row.occurred_at), row.status, str(_amount(row)), row.transaction_id,
            row.requested_by or "whop", row.approved_by or "–",
        )  # fmt: skip
    show_table(shown)


async def _show(refund_id: str, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await queries.one(unit.session, refund_id)
        events = await queries.events(unit.session, refund_id)
        note, decision_note = await runtime.services.refunds.desk.notes(unit, row)
    if as_json:
        told = {"note": note, "decision_note": decision_note, "history": [_event(event) for event in events]}
        out().print(json.dumps(_document(row) | told, indent=2, ensure_ascii=False))
        return
    facts = _document(row) | {"amount": str(_amount(row)), "note": note, "decision_note": decision_note}
    for name, value in facts.items():
        if value is not None:
            out().print(f"{name.replace('_', ' '):<18} {value}")
    out().print()
    shown = table("At (UTC)", "What", "Who", "Cause")
    for event in events:
        shown.add_row(
            moment(event.at), event.after or f"denied: {event.code}", event.actor, event.cause
        )  # fmt: skip
    show_table(shown)


async def _request(payment: str, amount: str | None, reason: str, note: str | None, yes: bool) -> None:
    async with opened("refund.request", "payment", payment) as runtime:
        async with runtime.units() as unit:
            row = await queries.payment(unit.session, payment)
            standing = await queries.standing(unit.session, row)
        wanted = _parse(amount, row.currency) if amount is not None else None
        shown = wanted or standing.left
        if not yes and not typer.confirm(f"Give back {shown} of the payment {payment}?"):
            raise CommandError("nothing was given back.")
        desk = runtime.services.refunds.desk
        refund = await desk.request(
            payment, key=desk.new_refund_id(), actor=operator(), amount=wanted, reason=reason, note=note
        )
    _report(refund)


async def _decide(refund_id: str, note: str | None, *, agree: bool) -> None:
    act = "refund.approve" if agree else "refund.reject"
    async with opened(act, "refund", refund_id) as runtime:
        desk = runtime.services.refunds.desk
        decide = desk.approve if agree else desk.reject
        refund = await decide(refund_id, actor=operator(), note=note)
    _report(refund)


def _report(row: Refund) -> None:
    """How a refund stands, in a sentence, and what comes next."""
    out().print(f"{row.id}: {_amount(row)}, {row.status}.")
    if row.status == "requested":
        aside(f"A second person has to agree, as a user of their own: quntedge refunds approve {row.id}")
    elif row.status in ("sending", "unknown"):
        aside("Whop has not said whether it was done. A worker finds out; do not ask for it again.")
    elif row.status == "failed":
        raise CommandError(f"Whop did not do it. {row.failure_detail or row.failure_reason or ''}".strip())


def _parse(text: str, currency: str) -> Money:
    try:
        return Money.parse(text, currency)
    except InvalidMoney as error:
        raise typer.BadParameter(f"{error}.", param_hint="--amount") from None


def _amount(row: Refund) -> Money:
    return Money(row.amount_minor, row.currency)


def _document(row: Refund) -> dict[str, Any]:
    times = {name: getattr(row, name) for name in ("occurred_at", "requested_at", "approved_at", "rejected_at")}
    return {
        "id": row.id,
        "status": row.status,
        "amount": _amount(row).to_json(),
        "payment": row.transaction_id,
        "user": row.user_id,
        "reason": row.reason,
        "requested_by": row.requested_by,
        "approval_required": row.approval_required,
        "approved_by": row.approved_by,
        "rejected_by": row.rejected_by,
        "whop_refund": row.whop_refund_id,
        "failure_reason": row.failure_reason,
        "failure_detail": row.failure_detail,
    } | {name: at.isoformat() if at is not None else None for name, at in times.items()}


def _event(event: RefundEvent) -> dict[str, Any]:
    return {
        "at": event.at.isoformat(),
        "kind": event.kind,
        "actor": event.actor,
        "before": event.before,
        "after": event.after,
        "code": event.code,
        "cause": event.cause,
    }


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="refunds")
