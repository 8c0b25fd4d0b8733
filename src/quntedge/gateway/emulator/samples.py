"""Sample messages for `POST /webhooks/{id}/test`: well-formed, about objects that do not exist."""

from quntedge.gateway.emulator.agenda import Agenda
from quntedge.gateway.emulator.announcer import Announcer
from quntedge.gateway.emulator.cards import Card
from quntedge.gateway.emulator.catalog_shapes import SellerShapes
from quntedge.gateway.emulator.purchases import Order, buy
from quntedge.gateway.emulator.records import Endpoint, Message, Plan, Product, Record
from quntedge.gateway.emulator.shapes import BuyerShapes
from quntedge.gateway.emulator.store import Store
from quntedge.gateway.emulator.world import World
from quntedge.kit.money import Money


class _Drawer:
    """An outbox nothing leaves."""

    def put(self, message: Message) -> None:
        """Keeps silent."""


def message(world: World, endpoint: Endpoint, event: str) -> Message:
    """A message of `event` about objects of a world that is thrown away."""
    at, config = world.now(), world.config
    store = Store(config.seed + 1_000_003 + world.store.tables.ids_made)
    announcer = Announcer(config, store, _Drawer())
    scratch = World(
        config, world.clock, store, Agenda(), announcer, BuyerShapes(config, store), SellerShapes(config, store)
    )
    product = Product(id=store.new_id("prod"), created_at=at, updated_at=at, title="Sample", route="sample")
    store.add(store.tables.products, product)
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
    store.add(store.tables.plans, plan)
    card = Card("visa", "4242", 12, at.year + 3, "succeeds", "sample")
    bought = buy(scratch, Order(plan, None, "sample@customer.invalid", card), at)
    records: dict[str, Record | None] = {
        "membership": bought.membership,
        "payment": bought.payment,
        "member": store.tables.members[bought.payment.member_id],
        "plan": plan,
        "product": product,
    }
    record = records[event.partition(".")[0]]
    if record is None:
        raise LookupError(f"the sample purchase has no {event}")
    return announcer.emit_to(endpoint, event, record, at)
