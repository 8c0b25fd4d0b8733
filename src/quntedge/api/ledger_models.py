"""What the API sends of the ledger."""

from collections.abc import Sequence
from datetime import date, datetime

from pydantic import Field

from quntedge.api.models import MoneyOut, Out
from quntedge.kit.money import Money
from quntedge.ledger.models import LedgerLine
from quntedge.ledger.queries import Balance, EntryView, StatementLine
from quntedge.ledger.rules import CHART, Account


class LedgerAccountOut(Out):
    """An account. `side` is the one on which it grows."""

    code: str = Field(examples=["revenue"])
    kind: str = Field(examples=["income"], description="asset, liability, income or expense.")
    side: str = Field(examples=["credit"], description="debit or credit.")
    title: str = Field(examples=["Sales without tax, after discounts"])

    @classmethod
    def of(cls, account: Account) -> "LedgerAccountOut":
        """An account of the chart."""
        facts = CHART[account]
        return cls(code=account.value, kind=facts.kind.value, side=facts.side.value, title=facts.title)


class LedgerAccountsOut(Out):
    """The chart of accounts."""

    data: list[LedgerAccountOut]


class LedgerBalanceOut(Out):
    """What was posted on an account in a currency. `balance` is on the account's own side: revenue is positive."""

    account: LedgerAccountOut
    debit: MoneyOut
    credit: MoneyOut
    balance: MoneyOut

    @classmethod
    def of(cls, balance: Balance) -> "LedgerBalanceOut":
        """A balance."""
        return cls(
            account=LedgerAccountOut.of(balance.account),
            debit=_money(balance.debit_minor, balance.currency),
            credit=_money(balance.credit_minor, balance.currency),
            balance=_money(balance.grown_minor, balance.currency),
        )


class LedgerTotalOut(Out):
    """All debits and all credits of a currency: always the same amount."""

    debit: MoneyOut
    credit: MoneyOut


class LedgerBalancesOut(Out):
    """A trial balance. Not `complete` while payments of before there was a ledger are still being posted."""

    data: list[LedgerBalanceOut]
    totals: list[LedgerTotalOut]
    complete: bool

    @classmethod
    def of(cls, balances: Sequence[Balance], *, complete: bool) -> "LedgerBalancesOut":
        """All balances, and what they come to."""
        totals = []
        for currency in sorted({balance.currency for balance in balances}):
            same = [balance for balance in balances if balance.currency == currency]
            debit, credit = sum(each.debit_minor for each in same), sum(each.credit_minor for each in same)
            totals.append(LedgerTotalOut(debit=_money(debit, currency), credit=_money(credit, currency)))
        return cls(data=[LedgerBalanceOut.of(each) for each in balances], totals=totals, complete=complete)


class LedgerActivityOut(LedgerBalancesOut):
    """What was posted for some days. Of the accounts of income and expense it is the income statement of that time."""

    since: date
    until: date


class LedgerLineOut(Out):
    """A line of an entry; one of the two amounts is null."""

    account: str = Field(examples=["revenue"])
    debit: MoneyOut | None
    credit: MoneyOut | None

    @classmethod
    def of(cls, line: LedgerLine) -> "LedgerLineOut":
        """A line."""
        money = _money(abs(line.amount_minor), line.currency)
        is_debit = line.amount_minor > 0
        return cls(account=line.account, debit=money if is_debit else None, credit=None if is_debit else money)


class LedgerEntryOut(Out):
    """Something that happened to money: at `occurred_at`, written down at `posted_at`.

    `source` is what it happened to, `transaction` the payment that belongs to, where that is something else. `reverses`
    names the entry that this one undoes.
    """

    id: str = Field(examples=["led_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    kind: str = Field(examples=["payment"])
    source: str = Field(examples=["txn_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    sequence: int = Field(examples=[0])
    user: str | None
    transaction: str | None
    occurred_at: datetime
    posted_at: datetime
    cause: str = Field(examples=["msg_9Xk2"])
    reverses: str | None
    reason: str | None
    requested_by: str | None
    approved_by: str | None
    lines: list[LedgerLineOut]

    @classmethod
    def of(cls, view: EntryView) -> "LedgerEntryOut":
        """An entry with its lines."""
        entry = view.entry
        return cls(
            id=entry.id,
            kind=entry.kind,
            source=entry.source,
            sequence=entry.sequence,
            user=entry.user_id,
            transaction=entry.transaction_id,
            occurred_at=entry.occurred_at,
            posted_at=entry.posted_at,
            cause=entry.cause,
            reverses=entry.reverses,
            reason=entry.reason,
            requested_by=entry.requested_by,
            approved_by=entry.approved_by,
            lines=[LedgerLineOut.of(line) for line in view.lines],
        )


class LedgerStatementLineOut(LedgerLineOut):
    """A line of an account's statement, and what it comes from."""

    entry: str = Field(examples=["led_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    kind: str = Field(examples=["payment"])
    source: str = Field(examples=["txn_01k4a2f0e8f9xa3s6m1q2r7v5z"])
    user: str | None
    occurred_at: datetime

    @classmethod
    def of_statement(cls, found: StatementLine) -> "LedgerStatementLineOut":
        """A line with its entry."""
        amounts = LedgerLineOut.of(found.line)
        return cls(
            account=amounts.account,
            debit=amounts.debit,
            credit=amounts.credit,
            entry=found.entry.id,
            kind=found.entry.kind,
            source=found.entry.source,
            user=found.entry.user_id,
            occurred_at=found.line.occurred_at,
        )


def _money(minor: int, currency: str) -> MoneyOut:
    return MoneyOut.of(Money(minor, currency))
