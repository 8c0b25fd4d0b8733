"""Reading payments: by filter, newest first, page by page, and with the attempts to collect them."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.kit.ids import is_id
from quntedge.kit.paging import Page, decode_cursor
from quntedge.payments.models import PaymentAttempt, PaymentTransaction

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """Which payments are wanted; what is None (or empty) does not narrow.

    `since` is inclusive and `before` exclusive, both about when a payment came to be. `named` is an id: of the payment
    here (`txn_…`) or at Whop (`pay_…`), or of what it belongs to (`sub_…`, `usr_…`, `mem_…`).
    """

    user_id: str | None = None
    statuses: Collection[str] = ()
    since: datetime | None = None
    before: datetime | None = None
    plan_id: str | None = None
    currency: str | None = None
    named: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter in the database's words."""
        table = PaymentTransaction
        found: list[ColumnElement[bool]] = []
        if self.user_id is not None:
            found.append(table.user_id == self.user_id)
        if self.statuses:
            found.append(_one_of(self.statuses))
        if self.since is not None:
            found.append(table.occurred_at >= self.since)
        if self.before is not None:
            found.append(table.occurred_at < self.before)
        if self.plan_id is not None:
            found.append(table.plan_id == self.plan_id)
        if self.currency is not None:
            found.append(table.currency == self.currency)
        if self.named is not None:
            found.append(_named(self.named))
        return found


def _one_of(statuses: Collection[str]) -> ColumnElement[bool]:
    """The partial index of what is not plainly paid is used only where the condition shows that it suffices."""
    among = PaymentTransaction.status.in_(sorted(statuses))
    # Written out: from a parameter a plan that is made once for all values could not tell.
    return among if "paid" in statuses else among & (PaymentTransaction.status != literal_column("'paid'"))


def _named(text: str) -> ColumnElement[bool]:
    table = PaymentTransaction
    for prefix, column in (("txn", table.id), ("sub", table.subscription_id), ("usr", table.user_id)):
        if is_id(text, prefix):
            return column == text
    if text.startswith("mem_"):
        return table.whop_membership_id == text
    return table.whop_payment_id == text


async def find(
    session: AsyncSession, wanted: TransactionFilter, cursor: str | None, limit: int
) -> Page[PaymentTransaction]:
    """Payments, newest first. Raises `InvalidCursor`."""
    # One row more than asked for shows whether there is another page.
    rows = (await session.scalars(_newest(wanted, cursor).limit(limit + 1))).all()
    return Page.cut(rows, limit, lambda row: (row.occurred_at, row.id))


async def stream(session: AsyncSession, wanted: TransactionFilter) -> AsyncIterator[Sequence[PaymentTransaction]]:
    """All payments, newest first, some hundreds at a time."""
    cursor: str | None = None
    while True:
        page = await find(session, wanted, cursor, _CHUNK)
        if page.data:
            yield page.data
        cursor = page.next_cursor
        if cursor is None:
            return
        session.expunge_all()


def _newest(wanted: TransactionFilter, cursor: str | None) -> Select[PaymentTransaction]:
    table = PaymentTransaction
    query = select(table).where(*wanted.conditions())
    if cursor is not None:
        query = query.where(tuple_(table.occurred_at, table.id) < tuple_(*decode_cursor(cursor, "txn")))
    return query.order_by(table.occurred_at.desc(), table.id.desc())


async def by_id(session: AsyncSession, text: str) -> PaymentTransaction | None:
    """One payment, by our id or by Whop's."""
    column = PaymentTransaction.id if is_id(text, "txn") else PaymentTransaction.whop_payment_id
    return await session.scalar(select(PaymentTransaction).where(column == text))


async def attempts_of(session: AsyncSession, transaction_ids: Collection[str]) -> dict[str, list[PaymentAttempt]]:
    """The attempts that failed, by payment, each in the order in which they were made."""
    rows = await session.scalars(
        select(PaymentAttempt)
        .where(PaymentAttempt.transaction_id.in_(sorted(transaction_ids)))
        .order_by(PaymentAttempt.transaction_id, PaymentAttempt.number)
    )
    found: dict[str, list[PaymentAttempt]] = {transaction_id: [] for transaction_id in transaction_ids}
    for row in rows:
        found[row.transaction_id].append(row)
    return found
