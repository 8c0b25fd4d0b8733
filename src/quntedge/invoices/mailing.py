"""Which mail an invoice goes out with: the first that takes it, and no other."""

from sqlalchemy.dialects.postgresql import insert

from quntedge.invoices.models import InvoiceMail
from quntedge.storage.unit_of_work import UnitOfWork


async def take(unit: UnitOfWork, invoice_id: str, notification_id: str) -> bool:
    """Whether this mail is the one that the invoice goes out with; it is from now on, unless another one was faster.

    Asked again, the answer is the same: a mail that is tried a second time still has its invoice.
    """
    wanted = insert(InvoiceMail).values(
        invoice_id=invoice_id, notification_id=notification_id, taken_at=unit.clock.now()
    )
    connection = await unit.connection()
    # Writing what stands there already is how the row of another transaction is waited for and read.
    taken = await connection.execute(
        wanted.on_conflict_do_update(
            index_elements=[InvoiceMail.invoice_id], set_={"notification_id": InvoiceMail.notification_id}
        ).returning(InvoiceMail.notification_id)
    )
    return bool(taken.scalar_one() == notification_id)
