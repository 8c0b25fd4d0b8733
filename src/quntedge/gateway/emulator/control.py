"""The emulator's own API under `/_control`: the clock, scripted behaviour, short cuts for tests. No key is needed."""

import calendar
from collections.abc import Callable
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator import invoicing, purchases
from quntedge.gateway.emulator.addresses import check_webhook_url
from quntedge.gateway.emulator.cards import CardProblem, read_card
from quntedge.gateway.emulator.errors import bad_request, invalid, not_found
from quntedge.gateway.emulator.event_names import ACCEPTED, SENT
from quntedge.gateway.emulator.records import Endpoint, Payment
from quntedge.gateway.emulator.requests import Fields, answer, find, runtime_of, world_of
from quntedge.gateway.emulator.wire import iso
from quntedge.gateway.emulator.world import World

NEWEST_VERSION = "2026-10-15-1"
LONGEST_JUMP = timedelta(days=366 * 20)
LAST_YEAR = 2300
_LONGEST_WAIT_SECONDS = 60.0
_UNITS: dict[str, Callable[[float], timedelta]] = {
    "days": lambda n: timedelta(days=n),
    "hours": lambda n: timedelta(hours=n),
    "minutes": lambda n: timedelta(minutes=n),
    "seconds": lambda n: timedelta(seconds=n),
}


async def read_clock(request: Request) -> Response:
    """Long poll: answers at once when `version` is not the clock's, else when it changes or after `wait` seconds."""
    runtime, query = runtime_of(request), request.query_params
    version = _whole(query["version"]) if "version" in query else None
    wait = min(float(_whole(query.get("wait", "0"))), _LONGEST_WAIT_SECONDS)
    follower = query.get("follower")
    await runtime.followers.poll(follower[:100] if follower else None, version, wait)
    clock = runtime.world.clock
    return answer({"now": iso(clock.now()), "offset_seconds": clock.offset.total_seconds(), "version": clock.version})


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise bad_request("`version` and `wait` must be whole numbers.")
    return int(text)


async def advance(request: Request) -> Response:
    """Moves the clock forward: one of days, hours, minutes, seconds, months, or `to`."""
    runtime, fields = runtime_of(request), await Fields.of(request)
    target = _target(fields, runtime.world.now())
    fields.done()
    reached = await runtime.timeline.advance(target)
    return answer({"now": iso(reached.now), "events": reached.events, "deliveries": reached.deliveries})


def _target(fields: Fields, now: datetime) -> datetime:
    given = [name for name in (*_UNITS, "months", "to") if fields.has(name)]
    if len(given) != 1:
        raise bad_request("Give exactly one of days, hours, minutes, seconds, months, to.")
    name = given[0]
    if name == "to":
        target = fields.time("to")
        if target is None or not now <= target <= now + LONGEST_JUMP:
            raise bad_request("`to` must lie in the future, by at most twenty years.")
        return target
    number = fields.decimal(name)
    if now.year > LAST_YEAR:
        raise bad_request("The clock has reached the end of its range. Reset the emulator's data.")
    if number is None or not 0 <= number <= LONGEST_JUMP.total_seconds():
        raise bad_request(f"`{name}` must be a number that is not negative.")
    if name == "months":
        if number != int(number) or number > 240:
            raise bad_request("`months` must be a whole number up to 240.")
        return add_months(now, int(number))
    try:
        step = _UNITS[name](float(number))
    except OverflowError as error:
        raise bad_request(f"`{name}` is too large.") from error
    if step > LONGEST_JUMP:
        raise bad_request(f"`{name}` is more than twenty years.")
    return now + step


def add_months(at: datetime, months: int) -> datetime:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)


async def create_endpoint(request: Request) -> Response:
    """A webhook endpoint with a secret of the caller's choice, on any address, also unpinned (`legacy`)."""
    world, fields = world_of(request), await Fields.of(request)
    url = fields.needed_text("url", longest=2000)
    check_webhook_url(url, allow_private=True)
    secret, legacy = fields.text("secret", longest=200), fields.flag("legacy")
    pin = fields.text("api_version_date", longest=20) or NEWEST_VERSION
    events = read_events(fields)
    fields.done()
    endpoint = add_endpoint(world, url, events, pin=None if legacy else pin, secret=secret)
    return answer(world.sellers.endpoint(endpoint, reveal_secret=True), 201)


def read_events(fields: Fields) -> list[str] | None:
    """The member `events`; None when it is not given. Raises ApiFault 400 for an event Whop does not have."""
    events = fields.texts("events")
    unknown = next((event for event in events or () if event not in ACCEPTED), None)
    if unknown is not None:
        raise bad_request(f"Unknown event `{unknown[:60]}`.")
    return None if events is None else list(dict.fromkeys(events))


def add_endpoint(
    world: World, url: str, events: list[str] | None, *, pin: str | None, secret: str | None = None
) -> Endpoint:
    """Stores an endpoint for `events`, or for everything the emulator sends."""
    at = world.now()
    endpoint = Endpoint(
        id=world.store.new_id("hook"),
        created_at=at,
        updated_at=at,
        url=url,
        events=list(SENT) if events is None else events,
        secret=secret or f"ws_{world.store.random_bytes(32).hex()}",
        api_version_date=pin,
    )
    return world.store.add(world.store.tables.endpoints, endpoint)


async def decline_next(request: Request) -> Response:
    """The next automatic charges of a membership are declined, whatever its card."""
    world, fields = world_of(request), await Fields.of(request)
    membership = find(world.store.tables.memberships, request, "Membership")
    times = fields.integer("times", 0, 100)
    code = fields.text("decline_code", longest=60)
    fields.done()
    membership.declines_ahead = 1 if times is None else times
    membership.decline_code_ahead = code or membership.decline_code_ahead
    world.store.changes += 1
    return answer({"membership_id": membership.id, "declines_ahead": membership.declines_ahead})


async def pay(request: Request) -> Response:
    """Pays a checkout without its page. A 3-D Secure challenge is passed unless `challenge` says otherwise."""
    world, fields = world_of(request), await Fields.of(request)
    checkout_id, email = fields.needed_text("checkout_id"), fields.needed_text("email", longest=254)
    number = fields.text("card") or "4242424242424242"
    name = fields.text("name", longest=100)
    challenge = fields.choice("challenge", ("pass", "fail", "leave"), "pass")
    fields.done()
    checkout = world.store.tables.checkouts.get(checkout_id)
    if checkout is None:
        raise not_found("Checkout configuration")
    if "@" not in email:
        raise invalid("`email` is not an e-mail address.")
    at = world.now()
    try:
        card = read_card(number, f"12/{(at.year + 3) % 100:02d}", "123", at)
    except CardProblem as problem:
        raise invalid(str(problem)) from problem
    plan = world.store.tables.plans[checkout.plan_id]
    outcome = purchases.buy(world, purchases.Order(plan, checkout, email, card, name), at)
    if outcome.kind == "challenge" and challenge != "leave":
        outcome = purchases.answer_challenge(world, outcome.payment, at, passed=challenge == "pass")
    membership = outcome.membership
    return answer(
        {
            "outcome": outcome.kind,
            "payment": world.buyers.payment(outcome.payment),
            "membership": None if membership is None else world.buyers.membership(membership),
            "redirect_url": return_url(checkout.redirect_url, outcome.payment),
        }
    )


def return_url(redirect_url: str | None, payment: Payment) -> str | None:
    """Where the buyer is sent, with Whop's query parameters. They prove nothing: anybody can type them."""
    if redirect_url is None:
        return None
    status = "success" if payment.status == "paid" else "error"
    query = f"payment_id={payment.id}&receipt_id={payment.id}&status={status}&checkout_status={status}"
    address, hash_mark, fragment = redirect_url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{query}{hash_mark}{fragment}"


async def create_invoice(request: Request) -> Response:
    """An open invoice, as made by hand: `plan_id`, and if wanted `member_id`, `email`, `name`, `due_at`."""
    world, fields = world_of(request), await Fields.of(request)
    plan = world.store.tables.plans.get(fields.needed_text("plan_id"))
    member_id = fields.text("member_id")
    member = world.store.tables.members.get(member_id or "")
    if plan is None or (member_id is not None and member is None):
        raise not_found("Plan or member")
    order = invoicing.InvoiceOrder(plan, member, fields.text("email"), fields.text("name"), fields.time("due_at"))
    fields.done()
    return answer(world.sellers.invoice(invoicing.create(world, order, world.now())), 201)


async def move_invoice(request: Request) -> Response:
    """`status`: paid, past_due, uncollectible or void."""
    world, fields = world_of(request), await Fields.of(request)
    invoice = find(world.store.tables.invoices, request, "Invoice")
    status = fields.choice("status", invoicing.ENDINGS, "paid")
    fields.done()
    invoicing.move(world, invoice, status, world.now())
    return answer(world.sellers.invoice(invoice))


async def faults(request: Request) -> Response:
    """Sets what goes wrong with deliveries; what is not named stays as it is."""
    runtime, fields = runtime_of(request), await Fields.of(request)
    current = runtime.dispatcher.faults
    duplicate, drop_next = fields.integer("duplicate", 0, 10**6), fields.integer("drop_next", 0, 10**6)
    delay_ms, reorder = fields.integer("delay_ms", 0, 60_000), fields.flag("reorder")
    fields.done()
    current.duplicate = current.duplicate if duplicate is None else duplicate
    current.drop_next = current.drop_next if drop_next is None else drop_next
    current.delay_ms = current.delay_ms if delay_ms is None else delay_ms
    current.reorder = current.reorder if reorder is None else reorder
    return answer(
        {
            "duplicate": current.duplicate,
            "drop_next": current.drop_next,
            "delay_ms": current.delay_ms,
            "reorder": current.reorder,
        }
    )


async def reset(request: Request) -> Response:
    """Forgets all objects. Webhook endpoints and the clock stay."""
    runtime = runtime_of(request)
    await runtime.dispatcher.settle()
    runtime.reset()
    return answer({"reset": True})


async def state(request: Request) -> Response:
    """How much there is of everything, and whether deliveries are under way."""
    runtime = runtime_of(request)
    world, tables = runtime.world, runtime.world.store.tables
    statuses: dict[str, int] = {}
    for membership in tables.memberships.values():
        statuses[membership.status] = statuses.get(membership.status, 0) + 1
    counted = ("products", "plans", "checkouts", "members", "memberships", "payments", "refunds", "endpoints")
    return answer(
        {
            "now": iso(world.now()),
            "version": world.clock.version,
            "counts": {name: len(getattr(tables, name)) for name in counted},
            "memberships_by_status": statuses,
            "deliveries": {
                "idle": runtime.dispatcher.idle,
                "attempts": runtime.dispatcher.attempts,
                "waiting_for_retry": sum(m.next_attempt_at is not None for m in tables.messages.values()),
                "failed": sum(not d.success for d in tables.deliveries.values()),
            },
        }
    )


async def settle(request: Request) -> Response:
    """Does what is due now, and answers when nothing is queued or on its way to an endpoint."""
    runtime = runtime_of(request)
    await runtime.timeline.advance(runtime.world.now())
    return answer({"idle": True})


ROUTES = [
    Route("/clock", read_clock),
    Route("/clock/advance", advance, methods=["POST"]),
    Route("/webhooks", create_endpoint, methods=["POST"]),
    Route("/memberships/{id}/decline_next", decline_next, methods=["POST"]),
    Route("/pay", pay, methods=["POST"]),
    Route("/invoices", create_invoice, methods=["POST"]),
    Route("/invoices/{id}", move_invoice, methods=["POST"]),
    Route("/faults", faults, methods=["POST"]),
    Route("/reset", reset, methods=["POST"]),
    Route("/settle", settle, methods=["POST"]),
    Route("/state", state),
]
