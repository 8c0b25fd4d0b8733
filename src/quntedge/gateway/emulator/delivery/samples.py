"""Sample messages for `POST /webhooks/{id}/test` and for floods: well-formed, about objects that do not exist.

They come from a small world that is thrown away: what is asked for is made to happen there by the same rules as here.
"""

from dataclasses import dataclass, field, replace

from quntedge.gateway.emulator.core.agenda import Agenda
from quntedge.gateway.emulator.core.announcer import Announcer
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import disputes, invoicing, refunding, setups
from quntedge.gateway.emulator.life.purchases import Order, Outcome, buy
from quntedge.gateway.emulator.rules.cards import Card
from quntedge.gateway.emulator.shapes.buyers import BuyerShapes
from quntedge.gateway.emulator.shapes.sellers import SellerShapes
from quntedge.gateway.emulator.state.records import Checkout, Endpoint, Message, Plan, Product, Record
from quntedge.gateway.emulator.state.store import Store
from quntedge.kit.money import Money

EMAIL = "sample@customer.invalid"
_BEHAVIOURS = {
    "payment.failed": "declines",
    "setup_intent.canceled": "declines",
    "setup_intent.requires_action": "challenges",
}
_INVOICE_ENDINGS = {
    "invoice.paid": "paid",
    "invoice.past_due": "past_due",
    "invoice.marked_uncollectible": "uncollectible",
    "invoice.voided": "void",
}
_LOOKS: dict[str, dict[str, object]] = {
    "membership.deactivated": {"status": "canceled"},
    "membership.cancel_at_period_end_changed": {"cancel_at_period_end": True},
    "membership.trial_ending_soon": {"status": "trialing"},
    "payment.authorized": {"status": "authorized", "substatus": "requires_capture", "paid_at": None},
    "payment.canceled": {"status": "void", "substatus": "canceled", "paid_at": None},
    "payment.pending": {"status": "pending", "substatus": "pending", "paid_at": None},
    "payment.requires_action": {"status": "open", "substatus": "incomplete", "paid_at": None},
}
"""What nothing in the small world leads to is shown by objects that look like it."""


@dataclass(slots=True)
class _Drawer:
    """An outbox nothing leaves."""

    messages: list[Message] = field(default_factory=list)

    def put(self, message: Message) -> None:
        """Keeps the message."""
        self.messages.append(message)


def message(world: World, endpoint: Endpoint, event: str) -> Message:
    """A message of `event`, one of `event_names.TESTABLE`, in the shape this endpoint gets."""
    at, config = world.now(), world.config
    # A seed drawn from the world's own stream: no two samples share an id, and none has one that is used here.
    store, drawer = Store(int.from_bytes(world.store.random_bytes(16))), _Drawer()
    announcer = Announcer(config, store, drawer)
    scratch = World(
        config, world.clock, store, Agenda(), announcer, BuyerShapes(config, store), SellerShapes(config, store)
    )
    listening = replace(endpoint, events=[event], enabled=True, child_resource_events=False)
    store.add(store.tables.endpoints, listening)
    product = Product(id=store.new_id("prod"), created_at=at, updated_at=at, title="Sample", route="sample")
    store.add(store.tables.products, product)
    plan = _plan(scratch, product)
    bought = buy(scratch, Order(plan, None, EMAIL, _card(scratch, event)), at)
    _let_happen(scratch, event, plan, bought)
    if drawer.messages:
        return drawer.messages[-1]
    return announcer.emit_to(listening, event, _looking_like(scratch, event, plan, bought), at)


def _plan(scratch: World, product: Product) -> Plan:
    at, store = scratch.now(), scratch.store
    plan = Plan(
        id=store.new_id("plan"),
        created_at=at,
        updated_at=at,
        product_id=product.id,
        plan_type="renewal",
        initial_price=Money.zero("usd"),
        renewal_price=Money.parse(10, "usd"),
        billing_period=30,
    )
    return store.add(store.tables.plans, plan)


def _card(scratch: World, event: str) -> Card:
    return Card("visa", "4242", 12, scratch.now().year + 3, _BEHAVIOURS.get(event, "succeeds"), "sample")


def _let_happen(scratch: World, event: str, plan: Plan, bought: Outcome) -> None:
    """Does what leads to an event that a purchase alone does not lead to."""
    at, payment = scratch.now(), bought.payment
    match event.partition(".")[0]:
        case "refund":
            made = refunding.refund(scratch, payment, None, {}, at)
            if event == "refund.updated":
                refunding.settle(scratch, made, at)
        case "dispute":
            dispute = disputes.open_dispute(scratch, payment, disputes.Complaint(), at)
            if event == "dispute.updated":
                disputes.rule(scratch, dispute, "won", at)
        case "dispute_alert":
            disputes.raise_alert(scratch, payment, "dispute_alert", at, auto_refund=False, fee_charged=True)
        case "invoice":
            invoice = invoicing.create(scratch, invoicing.InvoiceOrder(plan, email=EMAIL), at)
            if event in _INVOICE_ENDINGS:
                invoicing.move(scratch, invoice, _INVOICE_ENDINGS[event], at)
        case "setup_intent":
            checkout = Checkout(scratch.store.new_id("ch"), at, at, "setup", None)
            scratch.store.add(scratch.store.tables.checkouts, checkout)
            setups.save_card(scratch, checkout, EMAIL, None, _card(scratch, event), at)


def _looking_like(scratch: World, event: str, plan: Plan, bought: Outcome) -> Record:
    tables = scratch.store.tables
    records: dict[str, Record | None] = {
        "membership": bought.membership,
        "payment": bought.payment,
        "member": tables.members[bought.payment.member_id],
        "plan": plan,
        "product": tables.products[plan.product_id],
    }
    record = records.get(event.partition(".")[0])
    if record is None:
        raise LookupError(f"there is no sample of {event}")
    for name, value in _LOOKS.get(event, {}).items():
        setattr(record, name, value)
    return record
