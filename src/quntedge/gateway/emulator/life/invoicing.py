"""Invoices that a seller makes explicitly. Subscriptions bought at checkout never have one."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.gateway.emulator.core.agenda import Kind
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import charges, purchases
from quntedge.gateway.emulator.life.purchases import Deal, Outcome
from quntedge.gateway.emulator.rules.billing import first_charge
from quntedge.gateway.emulator.rules.cards import Card
from quntedge.gateway.emulator.state.records import Invoice, InvoiceLine, Member, Method, Plan
from quntedge.gateway.emulator.wire.errors import bad_request, conflict
from quntedge.kit.money import Money

VOID_AFTER = timedelta(days=120)
"""How long after its due date an unpaid invoice is given up."""

_EVENTS = {
    "paid": "invoice.paid",
    "past_due": "invoice.past_due",
    "uncollectible": "invoice.marked_uncollectible",
    "void": "invoice.voided",
}
ENDINGS = tuple(_EVENTS)


@dataclass(frozen=True, slots=True)
class InvoiceOrder:
    """What an invoice is to be about. Without lines it has one over the first charge of the plan."""

    plan: Plan
    member: Member | None = None
    email: str | None = None
    customer_name: str | None = None
    due_date: datetime | None = None
    lines: list[InvoiceLine] | None = None
    method: Method | None = None
    draft: bool = False
    finalizes_at: datetime | None = None
    anchor_at: datetime | None = None
    charge_buyer_fee: bool = False

    @property
    def collection_method(self) -> str:
        """Invoices with a stored card are charged, the others are sent."""
        return "send_invoice" if self.method is None else "charge_automatically"


def create(world: World, order: InvoiceOrder, at: datetime) -> Invoice:
    """A draft, or an open invoice; invoices with a stored card are charged as soon as they are open.

    Raises:
        ApiFault: 400 when the lines do not add up to what the plan asks for first.
    """
    plan = order.plan
    lines = order.lines or default_lines(plan)
    check_lines(plan, lines)
    number = len(world.store.tables.invoices) + 1
    invoice = Invoice(
        id=world.store.new_id("inv"),
        created_at=at,
        updated_at=at,
        number=f"E-{number:04d}",
        plan_id=plan.id,
        product_id=plan.product_id,
        collection_method=order.collection_method,
        lines=lines,
        status="draft" if order.draft else "open",
        member_id=None if order.member is None else order.member.id,
        email_address=order.email,
        customer_name=order.customer_name,
        due_date=order.due_date,
        payment_method_id=None if order.method is None else order.method.id,
        finalizes_at=order.finalizes_at,
        anchor_at=order.anchor_at,
        charge_buyer_fee=order.charge_buyer_fee,
    )
    world.store.add(world.store.tables.invoices, invoice)
    world.announcer.emit("invoice.created", invoice, at)
    schedule(world, invoice)
    if not order.draft:
        _collect(world, invoice, at)
    return invoice


def default_lines(plan: Plan) -> list[InvoiceLine]:
    """The one line of an invoice nobody broke down."""
    return [InvoiceLine(plan.title or "Plan", 1, first_charge(plan, trial=False))]


def check_lines(plan: Plan, lines: list[InvoiceLine]) -> None:
    """Raises ApiFault 400 unless the lines add up to what the plan asks for first. Credits are negative lines."""
    total = Money.zero(plan.currency)
    for line in lines:
        total = total + line.total
    due_first = first_charge(plan, trial=False)
    if total != due_first:
        raise bad_request(f"The line items must add up to {due_first.to_major_text()}, the price of the plan.")


def schedule(world: World, invoice: Invoice) -> None:
    """Puts the invoice's next step on the agenda. To be called after every change."""
    due_date = invoice.due_date
    invoice.due_at = {
        "draft": invoice.finalizes_at,
        "open": due_date,
        "past_due": None if due_date is None else due_date + VOID_AFTER,
    }.get(invoice.status)
    if invoice.due_at is not None:
        world.agenda.enter(invoice.due_at, Kind.INVOICE, invoice.id)


def due(world: World, invoice: Invoice, at: datetime) -> None:
    """Does what the invoice was due for: it is sent, overdue, or given up."""
    if invoice.status == "draft":
        finalize(world, invoice, at)
    else:
        move(world, invoice, "past_due" if invoice.status == "open" else "void", at)


def finalize(world: World, invoice: Invoice, at: datetime) -> None:
    """Sends a draft. Whop documents no event for it."""
    invoice.status = "open"
    schedule(world, invoice)
    world.store.touch(invoice, at)
    _collect(world, invoice, at)


def _collect(world: World, invoice: Invoice, at: datetime) -> None:
    tables = world.store.tables
    method = tables.methods.get(invoice.payment_method_id or "")
    member = tables.members.get(invoice.member_id or "")
    if method is None or member is None or invoice.collection_method == "send_invoice":
        return
    deal = Deal(
        tables.plans[invoice.plan_id], member, method, by_api=True, off_session=True, trial=False, invoice_id=invoice.id
    )
    invoice.payment_id = charges.start(world, deal, at).id
    world.store.touch(invoice, at)


def move(world: World, invoice: Invoice, status: str, at: datetime) -> None:
    """Marks an invoice paid (by hand, without a payment), overdue, uncollectible or void.

    What a known customer paid by hand begins at once. A charge of the invoice that is still open is given up.

    Raises:
        ApiFault: 409 when it is a draft or settled already.
    """
    if invoice.status not in ("open", "past_due") or invoice.status == status:
        raise conflict(f"This invoice is {invoice.status}.")
    invoice.status = status
    if status != "past_due":
        _drop_charge(world, invoice, at)
    if status == "paid" and (customer := _customer(world, invoice, None, at)) is not None:
        membership = purchases.start_unpaid(world, world.store.tables.plans[invoice.plan_id], customer, at)
        invoice.member_id, invoice.membership_id = customer.id, membership.id
    schedule(world, invoice)
    world.store.touch(invoice, at)
    world.announcer.emit(_EVENTS[status], invoice, at)


def _drop_charge(world: World, invoice: Invoice, at: datetime) -> None:
    payment = world.store.tables.payments.get(invoice.payment_id or "")
    if payment is not None and payment.status == "open":
        charges.void(world, payment, at)
    invoice.payment_id = None


def _customer(world: World, invoice: Invoice, email: str | None, at: datetime) -> Member | None:
    member = world.store.tables.members.get(invoice.member_id or "")
    address = invoice.email_address or email
    if member is None and address is not None:
        person = purchases.person_for(world, address, invoice.customer_name, at)
        member = purchases.member_for(world, person, at)
    return member


def pay(world: World, invoice: Invoice, card: Card, email: str | None, at: datetime) -> Outcome:
    """What a buyer does on the invoice's page. Each try is a payment of its own; only a paid one settles the invoice.

    Raises:
        ApiFault: 409 when there is nothing to pay, 400 when nobody knows who pays.
    """
    if invoice.status not in ("open", "past_due"):
        raise conflict(f"This invoice is {invoice.status}.")
    member = _customer(world, invoice, email, at)
    if member is None:
        raise bad_request("`email` is required: this invoice has no customer yet.")
    method = purchases.store_card(world, member, card, at)
    plan = world.store.tables.plans[invoice.plan_id]
    payment = purchases.open_payment(world, Deal(plan, member, method, trial=False, invoice_id=invoice.id), at)
    invoice.member_id = member.id
    world.store.touch(invoice, at)
    return purchases.try_card(world, payment, method, at)
