"""The ledger: what stands on the accounts, why, and whether it is what was paid."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from quntedge.bookkeeping import backfill as earlier
from quntedge.bookkeeping.verify import Checked, Finding, Verification
from quntedge.commands.errors import Explained
from quntedge.commands.output import aside, moment, out, print_json, table
from quntedge.commands.output import show as show_table
from quntedge.commands.progress import counted
from quntedge.commands.running import opened, run
from quntedge.commands.times import parse_since
from quntedge.kit.money import InvalidMoney, Money, exponent
from quntedge.ledger import queries
from quntedge.ledger.queries import Balance, EntryFilter, EntryView
from quntedge.ledger.rules import CHART, Account
from quntedge.wiring import Runtime

DIFFERS = 2
"""Exit code of `verify` when the ledger is not what was paid."""

app = typer.Typer(
    cls=Explained, no_args_is_help=True, help="The ledger: balances, statements, and whether it is right."
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, amounts in minor units.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]


@app.command()
def balances(
    until: Annotated[
        str | None, typer.Option(help="Of what happened before: 2026-10-01, 2026-10-01T12:00Z, or 7d ago.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what stands on each account in each currency."""
    run(_balances(until, as_json))


@app.command()
def statement(
    account: Annotated[str | None, typer.Option(help=f"One of {', '.join(Account)}; needs --currency.")] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of the account's statement, such as usd.")] = None,
    user: Annotated[str | None, typer.Option(help="Everything about one user, usr_…")] = None,
    payment: Annotated[
        str | None, typer.Option(help="Everything about a payment, its refunds and disputes, txn_…")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Everything about one refund, dispute, payout or difference.")
    ] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Show what was posted, the latest first: on an account, or about a user, a payment, or something else."""
    if account is not None:
        if user or payment or source:
            raise typer.BadParameter("give either --account or what the entries are about, not both.")
        run(_account_statement(_known_account(account), _known_currency(currency), limit, as_json))
        return
    if currency is not None:
        raise typer.BadParameter("--currency goes with --account.")
    run(_entries(EntryFilter(user_id=user, source=source, transaction_id=payment), limit, as_json))


@app.command()
def verify(as_json: Json = False) -> None:
    """Compare the ledger with all payments, refunds and disputes. Exit code 2 when something differs."""
    run(_verify(as_json))


@app.command()
def backfill(
    again: Annotated[
        bool, typer.Option("--again", help="Begin with the first payment, even if all were done.")
    ] = False,
) -> None:
    """Post what was paid before there was a ledger. Workers do this by themselves; nothing is posted twice."""
    run(_backfill(again))


def _known_account(text: str) -> Account:
    if text not in set(Account):
        raise typer.BadParameter(f"{text!r} is not an account; write one of {', '.join(Account)}.")
    return Account(text)


def _known_currency(text: str | None) -> str:
    if text is None:
        raise typer.BadParameter("--account needs --currency: each account has one statement in each currency.")
    try:
        exponent(text.lower())
    except InvalidMoney as error:
        raise typer.BadParameter(f"{error}.") from None
    return text.lower()


async def _balances(until: str | None, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        moment_until = None if until is None else parse_since(until, unit.clock.now())
        found = await queries.balances(await unit.connection(), moment_until)
        complete = await earlier.is_finished(unit)
    if as_json:
        print_json({"complete": complete, "balances": [_balance_facts(each) for each in found]})
    else:
        _print_balances(found)
    if not complete:
        aside("Payments of before there was a ledger are still being posted; `quntedge ledger backfill` finishes that.")


def _print_balances(found: Sequence[Balance]) -> None:
    if not found:
        out().print("Nothing is posted yet.")
        return
    shown = table("Account", "Kind", "Debit", "Credit", "Balance", "What it is")
    for each in sorted(found, key=lambda each: (each.currency, list(CHART).index(each.account))):
        facts = CHART[each.account]
        shown.add_row(
            each.account.value, facts.kind.value, str(Money(each.debit_minor, each.currency)),
            str(Money(each.credit_minor, each.currency)), str(Money(each.grown_minor, each.currency)), facts.title,
        )  # fmt: skip
    show_table(shown, spare=("What it is", "Kind"))
    for currency in sorted({each.currency for each in found}):
        left = sum(each.balance_minor for each in found if each.currency == currency)
        out().print(f"Debits less credits in {currency.upper()}: {Money(left, currency)}")


def _balance_facts(each: Balance) -> dict[str, Any]:
    return {
        "account": each.account.value,
        "currency": each.currency,
        "debit_minor": each.debit_minor,
        "credit_minor": each.credit_minor,
        "balance_minor": each.grown_minor,
    }


async def _account_statement(account: Account, currency: str, limit: int, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.statement(unit.session, account, currency, None, limit)
    rows = [
        (
            each.line.occurred_at,
            each.entry.id,
            each.entry.kind,
            each.entry.source,
            account.value,
            each.line.amount_minor,
        )
        for each in page.data
    ]
    _print_lines([(*row, currency) for row in rows], as_json, more=page.next_cursor is not None)


async def _entries(which: EntryFilter, limit: int, as_json: bool) -> None:
    async with opened() as runtime, runtime.units() as unit:
        page = await queries.entries(unit.session, which, None, limit)
    rows = [row for view in page.data for row in _entry_rows(view)]
    _print_lines(rows, as_json, more=page.next_cursor is not None)


_Row = tuple[datetime, str, str, str, str, int, str]


def _entry_rows(view: EntryView) -> list[_Row]:
    entry = view.entry
    return [
        (entry.occurred_at, entry.id, entry.kind, entry.source, line.account, line.amount_minor, line.currency)
        for line in view.lines
    ]


def _print_lines(rows: Sequence[_Row], as_json: bool, *, more: bool) -> None:
    if as_json:
        names = ("occurred_at", "entry", "kind", "source", "account", "amount_minor", "currency")
        print_json({"lines": [dict(zip(names, row, strict=True)) for row in rows], "more": more})
        return
    if not rows:
        out().print("Nothing is posted there.")
        return
    shown = table("Entry", "Happened (UTC)", "Kind", "About", "Account", "Debit", "Credit")
    for at, entry_id, kind, source, account, minor, currency in rows:
        amount = str(Money(abs(minor), currency))
        shown.add_row(
            entry_id, moment(at), kind, source, account, amount if minor > 0 else "", amount if minor < 0 else ""
        )
    show_table(shown)
    if more:
        aside("There is more: ask for it with --limit, or page through /api/admin/ledger.")


async def _verify(as_json: bool) -> None:
    async with opened() as runtime:
        work = runtime.bookkeeping.verification(runtime.engine)
        payments, entries = await work.count()
        findings = await _compare(work, payments, entries)
        complete = await _is_complete(runtime)
    if as_json:
        facts = [_finding_facts(finding) for finding in findings]
        print_json({"payments": payments, "entries": entries, "complete": complete, "findings": facts})
    else:
        for finding in findings:
            out().print(_sentence(finding))
        differ = _number(len(findings), "thing differs", "things differ")
        verdict = differ if findings else "the ledger is balanced, and is what was paid"
        compared = f"{_number(payments, 'payment', 'payments')} and {_number(entries, 'entry', 'entries')}"
        out().print(f"{compared} compared: {verdict}.")
    if not complete:
        aside("Payments of before there was a ledger are still being posted; `quntedge ledger backfill` finishes that.")
    if findings:
        raise typer.Exit(DIFFERS)


async def _is_complete(runtime: Runtime) -> bool:
    async with runtime.units() as unit:
        return await earlier.is_finished(unit)


async def _compare(work: Verification, payments: int, entries: int) -> list[Finding]:
    found = await _walk("payments", payments, work.payments())
    found += await _walk("entries", entries, work.entries())
    return found + await work.sums()


async def _walk(what: str, total: int, portions: AsyncGenerator[Checked, None]) -> list[Finding]:
    findings: list[Finding] = []
    with counted(what, total) as advance:
        async for portion in portions:
            findings += portion.findings
            advance(portion.count)
    return findings


def _sentence(finding: Finding) -> str:
    if finding.currency is None or finding.expected_minor is None or finding.found_minor is None:
        return f"{finding.subject}  {finding.what}"
    expected, found = (Money(minor, finding.currency) for minor in (finding.expected_minor, finding.found_minor))
    return f"{finding.subject}  {finding.what}: {found} in the ledger, {expected} expected"


def _finding_facts(finding: Finding) -> dict[str, Any]:
    return {
        "subject": finding.subject,
        "what": finding.what,
        "currency": finding.currency,
        "expected_minor": finding.expected_minor,
        "found_minor": finding.found_minor,
    }


async def _backfill(again: bool) -> None:
    async with opened() as runtime:
        work = runtime.bookkeeping.backfill
        if again:
            await work.restart()
        payments, _ = await runtime.bookkeeping.verification(runtime.engine).count()
        looked_at = 0
        with counted("payments", payments) as advance:
            while (count := await work.portion()) is not None:
                looked_at += count
                advance(count)
        complete = await _is_complete(runtime)
    out().print(f"{_number(looked_at, 'payment', 'payments')} looked at.")
    if not complete:
        aside("A worker is at it as well; it goes on from here.")


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def register(parent: typer.Typer) -> None:
    """Adds these commands."""
    parent.add_typer(app, name="ledger")
