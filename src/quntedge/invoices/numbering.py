"""Numbers without gaps and without doubles: a row for each series, locked from the first number until the commit."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert as upsert

from quntedge.invoices import rules
from quntedge.invoices.models import InvoiceCounter
from quntedge.invoices.parties import Seller
from quntedge.invoices.rules import DocumentNumber
from quntedge.storage.unit_of_work import UnitOfWork


def series_for(seller: Seller, kind: str, moment: datetime) -> str:
    """The series of this seller for a document (`rules.INVOICES`, `rules.CREDIT_NOTES`) of this moment."""
    return rules.series_of(kind, moment, code=seller.code, time_zone=seller.time_zone)


async def next_numbers(unit: UnitOfWork, series: Sequence[str]) -> list[DocumentNumber]:
    """A number for each of these documents, in their order, from the series named for each.

    The counters' rows stay locked until the commit, so that a number that was given is either used or given again.
    """
    connection = await unit.connection()
    following: dict[str, int] = {}
    for name, count in sorted(Counter(series).items()):
        statement = upsert(InvoiceCounter).values(series=name, last_number=count)
        last: int = (
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["series"], set_={"last_number": InvoiceCounter.last_number + count}
                ).returning(InvoiceCounter.last_number)
            )
        ).scalar_one()
        following[name] = last - count
    numbers = []
    for name in series:
        following[name] += 1
        numbers.append(DocumentNumber(name, following[name]))
    return numbers
