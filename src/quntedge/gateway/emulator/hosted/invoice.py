"""The page on which the customer of an invoice pays it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import world_of
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.hosted.checkout import EMAIL
from quntedge.gateway.emulator.life import invoicing
from quntedge.gateway.emulator.rules.billing import first_charge
from quntedge.gateway.emulator.rules.cards import CardProblem, read_card
from quntedge.gateway.emulator.state.records import Invoice

_SETTLED = ("Nothing to pay", "There is no such invoice, or it is settled.", 404)


def _payable(request: Request) -> Invoice | None:
    invoice = world_of(request).store.tables.invoices.get(request.path_params["invoice_id"])
    return invoice if invoice is not None and invoice.status in ("open", "past_due") else None


def _show(
    request: Request, invoice: Invoice, email: str = "", problem: str | None = None, status: int = 200
) -> Response:
    world = world_of(request)
    values = {
        "title": f"Invoice {invoice.number}",
        "seller": world.config.account_title,
        "lines": [(line.label, line.quantity, line.total.format()) for line in invoice.lines],
        "due": first_charge(world.store.tables.plans[invoice.plan_id], trial=False).format(),
        "due_date": invoice.due_date,
        "needs_email": invoice.member_id is None and invoice.email_address is None,
        "email": email,
        "problem": problem,
    }
    return pages.page("invoice.html", values, status)


async def show(request: Request) -> Response:
    """The lines, and the form for a card."""
    invoice = _payable(request)
    return pages.notice(*_SETTLED) if invoice is None else _show(request, invoice)


async def pay(request: Request) -> Response:
    """Pays, shows why not, or leads to the bank's challenge."""
    world, invoice = world_of(request), _payable(request)
    form = await pages.form_of(request)
    if invoice is None:
        return pages.notice(*_SETTLED)
    email, at = form.get("email", "").strip(), world.now()
    if invoice.member_id is None and invoice.email_address is None and not EMAIL.fullmatch(email):
        return _show(request, invoice, email, "Please give an e-mail address, such as kim@company.com.", 422)
    try:
        card = read_card(form.get("card_number", ""), form.get("card_expiry", ""), form.get("card_cvc", ""), at)
    except CardProblem as problem:
        return _show(request, invoice, email, str(problem), 422)
    outcome = invoicing.pay(world, invoice, card, email[:254] or None, at)
    if outcome.kind == "declined":
        return _show(request, invoice, email, outcome.payment.failure_message, 402)
    if outcome.kind == "challenge":
        return pages.redirect(f"/challenge/{outcome.payment.id}")
    return pages.notice("Thank you", f"Your payment {outcome.payment.id} went through. You can close this page.")


ROUTES = [
    Route("/invoice/{invoice_id}", show),
    Route("/invoice/{invoice_id}", pay, methods=["POST"]),
]
