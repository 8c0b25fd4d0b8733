"""Invoices that a seller makes by hand. Subscriptions bought at checkout never have one."""

from dataclasses import dataclass
from datetime import datetime

from quntedge.gateway.emulator.billing import first_charge
from quntedge.gateway.emulator.errors import conflict
from quntedge.gateway.emulator.records import Invoice, InvoiceLine, Member, Plan
from quntedge.gateway.emulator.world import World

_EVENTS = {
    "paid": "invoice.paid",
    "past_due": "invoice.past_due",
    "uncollectible": "invoice.marked_uncollectible",
    "void": "invoice.voided",
}
ENDINGS = tuple(_EVENTS)


@dataclass(frozen=True, slots=True)
class InvoiceOrder:
    """What an invoice is to be about."""

    plan: Plan
    member: Member | None = None
    email: str | None = None
    customer_name: str | None = None
    due_date: datetime | None = None


def create(world: World, order: InvoiceOrder, at: datetime) -> Invoice:
    """An open invoice over the first charge of a plan."""
    number = len(world.store.tables.invoices) + 1
    plan = order.plan
    invoice = Invoice(
        id=world.store.new_id("inv"),
        created_at=at,
        updated_at=at,
        number=f"E-{number:04d}",
        plan_id=plan.id,
        product_id=plan.product_id,
        collection_method="send_invoice",
        lines=[InvoiceLine(plan.title or "Plan", 1, first_charge(plan, trial=False))],
        member_id=None if order.member is None else order.member.id,
        email_address=order.email,
        customer_name=order.customer_name,
        due_date=order.due_date,
    )
    world.store.add(world.store.tables.invoices, invoice)
    world.announcer.emit("invoice.created", invoice, at)
    return invoice


def move(world: World, invoice: Invoice, status: str, at: datetime) -> None:
    """Marks an invoice paid (by hand, without a payment), overdue, uncollectible or void.

    Raises:
        ApiFault: 409 when it is settled already.
    """
    if invoice.status not in ("open", "past_due"):
        raise conflict(f"This invoice is {invoice.status}.")
    invoice.status = status
    world.store.touch(invoice, at)
    world.announcer.emit(_EVENTS[status], invoice, at)
