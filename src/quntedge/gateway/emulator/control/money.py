"""`/_control` for money: paying without the page, disputes, alerts, scripted refunds, cards, taxes, invoices."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import Fields, answer, find, world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import disputes, invoicing, promotions, purchases, refunding, setups
from quntedge.gateway.emulator.life.returns import return_url, setup_return_url
from quntedge.gateway.emulator.rules.cards import Card, CardProblem, is_behaviour, read_card
from quntedge.gateway.emulator.shapes.disputes import DisputeShapes
from quntedge.gateway.emulator.shapes.setups import SetupShapes
from quntedge.gateway.emulator.state.records import Checkout
from quntedge.gateway.emulator.wire.countries import read_country
from quntedge.gateway.emulator.wire.errors import bad_request, invalid, not_found
from quntedge.gateway.emulator.wire.values import iso

_HIGHEST_RATE = 10_000
_LONGEST_DELAY_SECONDS = 366 * 86_400


async def pay(request: Request) -> Response:
    """Pays a checkout (or saves a card with one of mode `setup`) without its page. A 3-D Secure challenge is passed
    unless `challenge` says otherwise; `expiry`, `promo_code` and `country` are what the buyer would have typed."""
    world, fields = world_of(request), await Fields.of(request)
    checkout_id, email = fields.needed_text("checkout_id"), fields.needed_text("email", longest=254)
    number, expiry = fields.text("card") or "4242424242424242", fields.text("expiry")
    name, code = fields.text("name", longest=100), fields.text("promo_code", longest=100)
    country = read_country(fields.text("country"))
    challenge = fields.choice("challenge", ("pass", "fail", "leave"), "pass")
    fields.done()
    checkout = world.store.tables.checkouts.get(checkout_id)
    if checkout is None:
        raise not_found("Checkout configuration")
    if "@" not in email:
        raise invalid("`email` is not an e-mail address.")
    at = world.now()
    try:
        card = read_card(number, expiry or f"12/{(at.year + 3) % 100:02d}", "123", at)
    except CardProblem as problem:
        raise invalid(str(problem)) from problem
    if checkout.plan_id is None:
        return _save_card(world, checkout, email, name, card, challenge)
    plan, promo = world.store.tables.plans[checkout.plan_id], promotions.look_up(world, code)
    outcome = purchases.buy(world, purchases.Order(plan, checkout, email, card, name, promo, country), at)
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


def _save_card(world: World, checkout: Checkout, email: str, name: str | None, card: Card, challenge: str) -> Response:
    intent = setups.save_card(world, checkout, email, name, card, world.now())
    if intent.status == "requires_action" and challenge != "leave":
        setups.answer_challenge(world, intent, world.now(), passed=challenge == "pass")
    outcome = {"succeeded": "saved", "requires_action": "challenge"}.get(intent.status, "declined")
    return answer(
        {
            "outcome": outcome,
            "setup_intent": SetupShapes(world.config, world.store).setup_intent(intent),
            "redirect_url": setup_return_url(intent.return_url, intent),
        }
    )


async def open_dispute(request: Request) -> Response:
    """POST payments/{id}/dispute: `amount`, `reason`, `inquiry`, `respond_within_days` (7)."""
    world, fields = world_of(request), await Fields.of(request)
    payment = find(world.store.tables.payments, request, "Payment")
    days = fields.integer("respond_within_days", 1, 365)
    complaint = disputes.Complaint(
        amount=fields.amount("amount", payment.total.currency),
        reason=fields.choice("reason", disputes.REASONS, "fraudulent"),
        inquiry=bool(fields.flag("inquiry")),
        response_window=disputes.RESPONSE_WINDOW if days is None else timedelta(days=days),
    )
    fields.done()
    dispute = disputes.open_dispute(world, payment, complaint, world.now())
    return answer(DisputeShapes(world.config, world.store).dispute(dispute), 201)


async def rule(request: Request) -> Response:
    """POST disputes/{id}: `status` is what the bank does next, `comment` what it says."""
    world, fields = world_of(request), await Fields.of(request)
    dispute = find(world.store.tables.disputes, request, "Dispute")
    status, comment = fields.choice("status", disputes.RULINGS, ""), fields.text("comment")
    fields.done()
    if not status:
        raise bad_request("`status` is required.")
    if comment is not None:
        dispute.comments.append({"text": comment, "received_at": iso(world.now())})
    disputes.rule(world, dispute, status, world.now())
    return answer(DisputeShapes(world.config, world.store).dispute(dispute))


async def raise_alert(request: Request) -> Response:
    """POST payments/{id}/alert: `type`, `auto_refund`, `fee_charged`."""
    world, fields = world_of(request), await Fields.of(request)
    payment = find(world.store.tables.payments, request, "Payment")
    kind = fields.choice("type", disputes.ALERT_TYPES, "dispute_alert")
    auto_refund, charged = bool(fields.flag("auto_refund")), fields.flag("fee_charged") is not False
    fields.done()
    alert = disputes.raise_alert(world, payment, kind, world.now(), auto_refund=auto_refund, fee_charged=charged)
    return answer(DisputeShapes(world.config, world.store).alert(alert), 201)


async def script_refund(request: Request) -> Response:
    """POST payments/{id}/next_refund: how the next refund ends (`status`, `failure_reason`) and `after_seconds`."""
    world, fields = world_of(request), await Fields.of(request)
    payment = find(world.store.tables.payments, request, "Payment")
    script = _refund_end(fields)
    seconds = fields.integer("after_seconds", 0, _LONGEST_DELAY_SECONDS)
    fields.done()
    payment.refund_script = script if seconds is None else {**script, "after_seconds": seconds}
    world.store.mark(payment)
    return answer({"payment_id": payment.id, "next_refund": payment.refund_script})


async def end_refund(request: Request) -> Response:
    """POST refunds/{id}: ends a pending refund now, or leaves it waiting for the buyer (`requires_action`)."""
    world, fields = world_of(request), await Fields.of(request)
    refund = find(world.store.tables.refunds, request, "Refund")
    script = _refund_end(fields)
    fields.done()
    refunding.end(world, refund, script["status"], world.now(), script.get("failure_reason"))
    return answer(world.buyers.refund(refund))


def _refund_end(fields: Fields) -> dict[str, str]:
    status = fields.choice("status", refunding.OUTCOMES, "succeeded")
    reason = fields.choice("failure_reason", tuple(refunding.FAILURES), "")
    if reason and status not in ("failed", "canceled"):
        raise bad_request("`failure_reason` goes with failed or canceled.")
    return {"status": status, **({"failure_reason": reason} if reason else {})}


async def change_card(request: Request) -> Response:
    """POST payment_methods/{id}: `behaviour` from now on: succeeds, challenges, always_challenges, or declines,
    declines_later and pends, which also take a code, as in `declines:lost_card`."""
    world, fields = world_of(request), await Fields.of(request)
    method = find(world.store.tables.methods, request, "Payment method")
    behaviour = fields.needed_text("behaviour", longest=80)
    fields.done()
    if not is_behaviour(behaviour):
        raise bad_request("`behaviour` is nothing a card can do.")
    method.behaviour = behaviour
    world.store.touch(method, world.now())
    return answer({"payment_method_id": method.id, "behaviour": behaviour})


async def set_taxes(request: Request) -> Response:
    """POST taxes: `rates` in basis points by country (replaces all), `behavior` of plans that say nothing."""
    world, fields = world_of(request), await Fields.of(request)
    tables, given = world.store.tables, fields.object("rates")
    behavior = fields.choice("behavior", ("inclusive", "exclusive"), tables.tax_behavior)
    fields.done()
    if given is not None:
        rates: dict[str, int] = {}
        for name in given.names():
            country, rate = read_country(name), given.integer(name, 0, _HIGHEST_RATE)
            if country is None or rate is None:
                raise bad_request("`rates` must be whole numbers of basis points by country.")
            rates[country] = rate
        tables.tax_rates = rates
    tables.tax_behavior = behavior
    world.store.changes += 1
    return answer({"rates": tables.tax_rates, "behavior": behavior})


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


async def pay_invoice(request: Request) -> Response:
    """POST invoices/{id}/pay: what the buyer does on the invoice's page: `card`, `challenge` as in `pay`, and `email`
    where the invoice has none."""
    world, fields = world_of(request), await Fields.of(request)
    invoice = find(world.store.tables.invoices, request, "Invoice")
    number, email = fields.text("card") or "4242424242424242", fields.text("email", longest=254)
    challenge = fields.choice("challenge", ("pass", "fail", "leave"), "pass")
    fields.done()
    at = world.now()
    try:
        card = read_card(number, f"12/{(at.year + 3) % 100:02d}", "123", at)
    except CardProblem as problem:
        raise invalid(str(problem)) from problem
    outcome = invoicing.pay(world, invoice, card, email, at)
    if outcome.kind == "challenge" and challenge != "leave":
        outcome = purchases.answer_challenge(world, outcome.payment, at, passed=challenge == "pass")
    return answer(
        {
            "outcome": outcome.kind,
            "payment": world.buyers.payment(outcome.payment),
            "invoice": world.sellers.invoice(invoice),
        }
    )


ROUTES = [
    Route("/pay", pay, methods=["POST"]),
    Route("/payments/{id}/dispute", open_dispute, methods=["POST"]),
    Route("/payments/{id}/alert", raise_alert, methods=["POST"]),
    Route("/payments/{id}/next_refund", script_refund, methods=["POST"]),
    Route("/disputes/{id}", rule, methods=["POST"]),
    Route("/refunds/{id}", end_refund, methods=["POST"]),
    Route("/payment_methods/{id}", change_card, methods=["POST"]),
    Route("/taxes", set_taxes, methods=["POST"]),
    Route("/invoices", create_invoice, methods=["POST"]),
    Route("/invoices/{id}", move_invoice, methods=["POST"]),
    Route("/invoices/{id}/pay", pay_invoice, methods=["POST"]),
]
