"""Payments that buyers contest: what is open until when, what our records say about it, and what we answer."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from quntedge.api.dispute_models import AlarmOut, AlertOut, DisputeDetailOut, DisputeOut
from quntedge.commands.errors import Explained
from quntedge.commands.operator import operator
from quntedge.commands.output import CommandError, aside, moment, out, table
from quntedge.commands.output import show as show_table
from quntedge.commands.running import opened, run
from quntedge.disputes import alarms, queries
from quntedge.disputes.answers import ResponseView, new_response_id
from quntedge.disputes.evidence import LONGEST_TEXT, DisputeFile
from quntedge.disputes.models import Dispute
from quntedge.disputes.package import as_zip
from quntedge.disputes.papers import Paper, check
from quntedge.disputes.queries import DisputeFilter
from quntedge.disputes.rules import STATUSES
from quntedge.edge.dispute_file import dispute_file
from quntedge.edge.dispute_papers import dispute_papers, for_bank
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.wiring import Runtime

_MOST = 100

app = typer.Typer(
    cls=Explained, no_args_is_help=True, help="Disputes, inquiries and warnings: deadlines, evidence, answers."
)

DisputeId = Annotated[str, typer.Argument(help="Id of the dispute: dsp_… here, dspt_… at Whop.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Notes = Annotated[str | None, typer.Option(help="Remarks for the bank; without them a summary of the records.")]
Refusal = Annotated[str | None, typer.Option(help="Why a refund was refused, if one was asked for.")]
Attach = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PROVES=FILE",
        help="A file of your own, as digital_fulfillment=usage.pdf; PDF, JSON or image, at most 10 MB. Repeatable.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for evidence, by deadline.")] = False,
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = None,
    as_json: AsJson = False,
) -> None:
    """List disputes, the newest first."""
    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"--status is one of {', '.join(STATUSES)}.")
    run(_list(DisputeFilter(status=status, waiting=waiting), as_json))


@app.command()
def show(dispute_id: DisputeId, as_json: AsJson = False) -> None:
    """Show a dispute, what was answered with which files, and what somebody has to look at."""
    run(_show(dispute_id, as_json))


@app.command()
def evidence(
    dispute_id: DisputeId,
    output: Annotated[Path, typer.Option("--out", "-o", dir_okay=False, help="The ZIP to write.")],
    notes: Notes = None,
    refusal: Refusal = None,
) -> None:
    """Write everything on record about a dispute as a ZIP: PDFs, the invoice, JSON, texts. Nothing is sent."""
    run(_evidence(dispute_id, output, notes, refusal))


@app.command()
def submit(
    dispute_id: DisputeId, notes: Notes = None, refusal: Refusal = None, attach: Attach = None, yes: Yes = False
) -> None:
    """Send the evidence, with its files, to the bank. That is final: nothing can be added afterwards."""
    run(_submit(dispute_id, notes, refusal, attach or [], yes))


@app.command()
def accept(dispute_id: DisputeId, yes: Yes = False) -> None:
    """Concede a dispute: it is lost, for good."""
    run(_accept(dispute_id, yes))


@app.command("alerts")
def alerts_(as_json: AsJson = False) -> None:
    """List warnings that payments are about to be disputed, the newest first."""
    run(_alerts(as_json))


@app.command("alarms")
def alarms_(
    resolved: Annotated[bool, typer.Option("--all", help="Also those that somebody has resolved.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what somebody has to look at: money paid out twice, deadlines, warnings, refused answers."""
    run(_alarms(resolved, as_json))


@app.command()
def resolve(
    alarm_id: Annotated[str, typer.Argument(help="Id of the alarm, dal_…")],
    note: Annotated[str, typer.Option(help="What became of it.")],
) -> None:
    """Say what became of an alarm."""
    run(_resolve(alarm_id, note))


async def _list(wanted: DisputeFilter, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.disputes(unit.session, wanted, _MOST, None)
    if as_json:
        _print_json([DisputeOut.of(row) for row in page.data])
        return
    if not page.data:
        out().print("There is no such dispute.")
        return
    shown = table("Id", "Status", "Kind", "Amount", "Reason", "Opened (UTC)", "Evidence due (UTC)", "Customer")
    for row in page.data:
        shown.add_row(
            row.id, row.status, _kind(row), _amount(row.amount_minor, row.currency), row.reason or "–",
            moment(row.opened_at), moment(row.evidence_due_at), row.user_id,
        )  # fmt: skip
    show_table(shown)
    if page.next_cursor is not None:
        aside(f"These are the first {_MOST}; the API has them all.")


async def _show(dispute_id: str, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        row = await _found(unit, dispute_id)
        detail = DisputeDetailOut.of_all(
            row,
            await queries.responses(unit.session, row.id),
            await queries.alarms_about(unit.session, row),
            await queries.documents(unit.session, row.id),
        )
    if as_json:
        _print_json(detail)
        return
    for name, value in _facts(row):
        out().print(f"{name:<18} {value}")
    for answered in detail.responses:
        ended = f" ({answered.error})" if answered.error else ""
        out().print(f"\nanswered           {answered.kind} by {answered.actor}: {answered.state}{ended}")
    if detail.documents:
        shown = table("File", "Proves", "Size", "State", "At Whop")
        for paper in detail.documents:
            size = f"{-(-paper.size_bytes // 1000):,} kB"
            shown.add_row(paper.name, paper.document_type, size, paper.state, paper.whop_file_id or "–")
        out().print()
        show_table(shown)
    for alarm in detail.alarms:
        state = f"resolved by {alarm.resolved_by}" if alarm.resolved_by else "open"
        out().print(f"\nalarm              {alarm.id} {alarm.kind} ({state}): {alarm.detail}")


def _facts(row: Dispute) -> list[tuple[str, str]]:
    fee = _amount(row.fee_minor, row.fee_currency) if row.fee_currency else "–"
    return [
        ("id", row.id),
        ("at Whop", row.whop_dispute_id),
        ("kind", _kind(row)),
        ("status", row.status),
        ("reason", " ".join(part for part in (row.reason, row.reason_code) if part) or "–"),
        ("amount", _amount(row.amount_minor, row.currency)),
        ("withdrawn", _amount(row.withdrawn_minor, row.currency)),
        ("fee", fee),
        ("customer", row.user_id),
        ("payment", row.transaction_id),
        ("subscription", row.subscription_id or "–"),
        ("opened (UTC)", moment(row.opened_at)),
        ("evidence due (UTC)", moment(row.evidence_due_at)),
        ("evidence sent", moment(row.evidence_submitted_at)),
        ("closed (UTC)", moment(row.closed_at)),
    ]


async def _evidence(dispute_id: str, output: Path, notes: str | None, refusal: str | None) -> None:
    _check_lengths(notes, refusal)
    async with opened() as runtime:
        _, found, papers = await _file_of(runtime, dispute_id, notes, refusal)
    _write(output, as_zip(found, papers))
    out().print(f"Wrote {output}.")
    for gap in found.missing:
        aside(f"Not on record: {gap}.")


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise CommandError(f"{output} cannot be written ({error.strerror or error}).") from None


async def _submit(dispute_id: str, notes: str | None, refusal: str | None, attach: list[str], yes: bool) -> None:
    _check_lengths(notes, refusal)
    added = _added(attach)
    async with opened("dispute.submit", "dispute", dispute_id) as runtime:
        internal_id, found, papers = await _file_of(runtime, dispute_id, notes, refusal)
        hanging = await runtime.services.disputes.answers.hanging(internal_id)
        sent = for_bank(papers, added, hanging=hanging)
        check(sent)
        for name, text in found.texts.given().items():
            out().print(f"{name}:\n  {text.replace(chr(10), chr(10) + '  ')}\n")
        for paper in sent:
            out().print(f"{paper.name} ({len(paper.content):,} bytes): {paper.document_type}")
        for gap in found.missing:
            aside(f"Not on record: {gap}.")
        if not yes:
            await _confirm(f"Send this to the bank about {internal_id}? It is final.")
        await _told(
            runtime,
            await runtime.services.disputes.answers.submit(
                internal_id, found.texts, sent, key=_key(runtime), actor=operator()
            ),
        )


async def _file_of(
    runtime: Runtime, dispute_id: str, notes: str | None, refusal: str | None
) -> tuple[str, DisputeFile, tuple[Paper, ...]]:
    async with runtime.units() as unit:
        row = await _found(unit, dispute_id)
        internal_id, transaction_id = row.id, row.transaction_id
        found = await dispute_file(runtime.services, unit, row, notes=notes, refusal=refusal)
    return internal_id, *await dispute_papers(runtime.services, found, transaction_id)


def _added(given: list[str]) -> list[Paper]:
    """Files named like digital_fulfillment=usage.pdf. Their own names stay here: they may name a person."""
    papers = []
    for number, one in enumerate(given, 1):
        kind, _, path = one.partition("=")
        if not path:
            raise CommandError(f"--attach {one}: write it as digital_fulfillment=usage.pdf, with what the file proves.")
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise CommandError(f"{path} cannot be read ({error.strerror or error}).") from None
        papers.append(Paper(f"attachment-{number}{Path(path).suffix.lower()}", kind, content))
    check(papers)
    return papers


async def _accept(dispute_id: str, yes: bool) -> None:
    async with opened("dispute.accept", "dispute", dispute_id) as runtime:
        async with runtime.units() as unit:
            row = await _found(unit, dispute_id)
        if not yes:
            amount = _amount(row.amount_minor, row.currency)
            await _confirm(f"Concede {row.id}, and with it {amount}? It is final.")
        await _told(
            runtime, await runtime.services.disputes.answers.accept(row.id, key=_key(runtime), actor=operator())
        )


async def _told(runtime: Runtime, view: ResponseView) -> None:
    if view.state == "requested":
        aside("Whop has not answered clearly. It is gone on with by itself; look again with `quntedge disputes show`.")
        return
    async with runtime.units() as unit:
        row = await _found(unit, view.dispute_id)
        out().print(f"Done. {row.id} is {row.status.replace('_', ' ')} now.")


async def _confirm(question: str) -> None:
    if not await asyncio.to_thread(typer.confirm, question):
        raise CommandError("nothing was sent.")


async def _alerts(as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.alerts(unit.session, _MOST, None)
    if as_json:
        _print_json([AlertOut.of(row) for row in page.data])
        return
    if not page.data:
        out().print("There is no alert.")
        return
    shown = table("Id", "Kind", "Amount", "Refunded by Whop", "At (UTC)", "Payment")
    for row in page.data:
        shown.add_row(
            row.id, row.kind, _amount(row.amount_minor, row.currency), "yes" if row.auto_refunded else "no",
            moment(row.occurred_at), row.transaction_id or "–",
        )  # fmt: skip
    show_table(shown)


async def _alarms(resolved: bool, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.alarms(unit.session, resolved=resolved, limit=_MOST, cursor=None)
    if as_json:
        _print_json([AlarmOut.of(row) for row in page.data])
        return
    if not page.data:
        out().print("Nobody has to look at anything.")
        return
    shown = table("Id", "Kind", "Raised (UTC)", "About", "Amount", "What", "Resolved by")
    for row in page.data:
        amount = _amount(row.amount_minor, row.currency) if row.amount_minor is not None and row.currency else "–"
        shown.add_row(
            row.id, row.kind, moment(row.raised_at), row.subject_id, amount, row.detail, row.resolved_by or "–"
        )
    show_table(shown)


async def _resolve(alarm_id: str, note: str) -> None:
    if not 1 <= len(note) <= alarms.LONGEST_NOTE:
        raise CommandError(f"A note has 1 to {alarms.LONGEST_NOTE} characters.")
    async with opened("dispute.resolve_alarm", "dispute_alarm", alarm_id) as runtime, runtime.units() as unit:
        row = await alarms.resolve(unit, alarm_id, by=operator(), note=note)
        await unit.commit()
    out().print(f"{row.id} is resolved.")


async def _found(unit: UnitOfWork, dispute_id: str) -> Dispute:
    row = await queries.dispute(unit.session, dispute_id)
    if row is None:
        raise CommandError(f"There is no dispute {dispute_id}; `quntedge disputes list` shows all of them.")
    return row


def _check_lengths(*texts: str | None) -> None:
    if any(text is not None and len(text) > LONGEST_TEXT for text in texts):
        raise CommandError(f"A text for the bank has at most {LONGEST_TEXT:,} characters.")


def _key(runtime: Runtime) -> str:
    return new_response_id(runtime.clock.now())


def _kind(row: Dispute) -> str:
    return "inquiry" if row.inquiry else "chargeback"


def _amount(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).to_major_text()} {currency.upper()}"


def _print_json(value: BaseModel | list[DisputeOut] | list[AlertOut] | list[AlarmOut]) -> None:
    document = (
        value.model_dump(mode="json") if isinstance(value, BaseModel) else [v.model_dump(mode="json") for v in value]
    )
    out().print(json.dumps(document, indent=2))


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="disputes")
