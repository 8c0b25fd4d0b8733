"""`/_control` for the account's balance: payouts, and movements that nothing here would cause by itself."""

import re
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import Fields, answer, find, world_of
from quntedge.gateway.emulator.life import payouts
from quntedge.gateway.emulator.shapes import finance
from quntedge.gateway.emulator.state.finance_records import UNITS_PER_MAJOR, Adjustment, ExchangeRate, Line
from quntedge.gateway.emulator.wire.errors import bad_request, not_found
from quntedge.kit.money import Money

_RATE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,8})?")
_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,8})?")


async def pay_out(request: Request) -> Response:
    """POST payouts: `amount` (else the whole balance), `currency`, `fee`, `status` (completed)."""
    world, fields = world_of(request), await Fields.of(request)
    currency = fields.currency("currency")
    amount, fee = fields.amount("amount", currency), fields.amount("fee", currency)
    status = fields.choice("status", (*payouts.UNDER_WAY, "completed"), "completed")
    fields.done()
    made = payouts.pay_out(world, amount, fee or Money.zero(currency), currency, status, world.now())
    return answer(finance.payout(made), 201)


async def move_payout(request: Request) -> Response:
    """POST payouts/{id}: brings it to a `status`; a failed or reversed one gives the money back."""
    world, fields = world_of(request), await Fields.of(request)
    made = find(world.store.tables.payouts, request, "Payout")
    status = fields.choice("status", payouts.STATUSES, "completed")
    fields.done()
    payouts.move(world, made, status, world.now())
    return answer(finance.payout(made))


async def adjust(request: Request) -> Response:
    """POST movements: `amount` is text in major units with up to eight decimals, signed; `line_type`, `currency`, and
    `payment_id` where it belongs to a payment."""
    world, fields = world_of(request), await Fields.of(request)
    line_type, currency = fields.needed_text("line_type", longest=64), fields.currency("currency")
    amount, payment_id = fields.needed_text("amount", longest=32), fields.text("payment_id")
    fields.done()
    if payment_id is not None and payment_id not in world.store.tables.payments:
        raise not_found("Payment")
    if _AMOUNT.fullmatch(amount) is None or not Decimal(amount):
        raise bad_request("`amount` must be text such as -0.44, not zero, with at most eight decimals.")
    at = world.now()
    made = Adjustment(
        id=world.store.new_id("adj"),
        created_at=at,
        updated_at=at,
        line_type=line_type,
        currency=currency,
        units=int(Decimal(amount) * UNITS_PER_MAJOR),
        payment_id=payment_id,
    )
    world.store.add(world.store.tables.adjustments, made)
    line = Line(f"line_{made.id}", at, line_type, currency, made.units, payment_id, ("adjustment", made.id))
    return answer(finance.movement(world.store, line, rich=True), 201)


async def settle(request: Request) -> Response:
    """POST settlement: what is paid in `currency` settles in `into` from now on, at `rate` (text, such as "1.0843");
    without a rate it settles as it is again."""
    world, fields = world_of(request), await Fields.of(request)
    source, target, rate = fields.currency("currency"), fields.currency("into"), fields.text("rate", longest=20)
    fields.done()
    if rate is not None and (_RATE.fullmatch(rate) is None or not Decimal(rate)):
        raise bad_request("`rate` must be text such as 1.0843, more than zero, with at most eight decimals.")
    at, store = world.now(), world.store
    made = ExchangeRate(store.new_id("rate"), created_at=at, updated_at=at, source=source, target=target, rate=rate)
    store.add(store.tables.exchange_rates, made)
    return answer({"currency": source, "into": target, "rate": rate}, 201)


ROUTES = [
    Route("/settlement", settle, methods=["POST"]),
    Route("/payouts", pay_out, methods=["POST"]),
    Route("/payouts/{id}", move_payout, methods=["POST"]),
    Route("/movements", adjust, methods=["POST"]),
]
