"""Receipts as PDF: one page, written by hand, so that nothing needs to be installed for it."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quntedge.gateway.emulator.calls.requests import world_of
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.hosted import pages
from quntedge.gateway.emulator.state.records import Payment
from quntedge.kit.money import Money

LINK_LASTS = timedelta(hours=1)
_TOP, _LEFT, _LEADING = 780, 60, 22


def receipt(world: World, payment: Payment) -> bytes:
    """The receipt of a payment."""
    tables = world.store.tables
    plan, product = tables.plans[payment.plan_id], tables.products[payment.product_id]
    person = tables.people[payment.user_id]
    subtotal = payment.total if payment.subtotal is None else payment.subtotal
    tax = payment.tax or Money.zero(payment.total.currency)
    added = tax if payment.tax_behavior == "exclusive" else Money.zero(tax.currency)
    lines = [
        f"{world.config.account_title}: receipt {payment.id}",
        f"Status: {payment.status}",
        f"Date: {(payment.paid_at or payment.created_at):%Y-%m-%d}",
        f"Buyer: {person.name or person.username} <{person.email}>",
        f"{plan.title or product.title}: {subtotal}",
        f"Discount: {subtotal + added - payment.total}",
        f"Tax ({payment.tax_behavior or 'none'}): {tax}",
        f"Total: {payment.total}",
        f"Refunded: {payment.refunded}",
    ]
    return pdf(lines)


def pdf(lines: list[str]) -> bytes:
    """A page of text lines. Characters outside Latin-1 become question marks: the built-in font has no others."""
    text = f"BT /F1 12 Tf {_LEFT} {_TOP} Td {_LEADING} TL\n"
    text += "".join(f"({_escaped(line)}) Tj T*\n" for line in lines) + "ET"
    stream = text.encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return (
        body
        + b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
        + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(body))
    )


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def sign(world: World, payment: Payment, at: datetime) -> tuple[str, datetime]:
    """A token that opens a payment's receipt, and until when."""
    expires_at = at + LINK_LASTS
    return _token(world, payment.id, int(expires_at.timestamp())), expires_at


def _token(world: World, payment_id: str, until: int) -> str:
    text = f"{payment_id}.{until}".encode()
    return f"{until}.{hmac.new(world.config.api_key.encode(), text, hashlib.sha256).hexdigest()[:32]}"


async def show(request: Request) -> Response:
    """GET /receipts/{payment_id}.pdf for whoever has a link that has not lapsed."""
    world, token = world_of(request), request.query_params.get("token", "")
    payment = world.store.tables.payments.get(request.path_params["payment_id"])
    until = token.partition(".")[0]
    if payment is None or not (until.isascii() and until.isdigit() and len(until) <= 11):
        return pages.notice("Not found", "There is no such receipt.", 404)
    right = hmac.compare_digest(token.encode(), _token(world, payment.id, int(until)).encode())
    if not right or datetime.fromtimestamp(int(until), UTC) < world.now():
        return pages.notice("Not found", "This link has lapsed.", 404)
    headers = {"content-disposition": f'inline; filename="{payment.id}.pdf"', "cache-control": "no-store"}
    return Response(receipt(world, payment), media_type="application/pdf", headers=headers)


ROUTES = [Route("/receipts/{payment_id}.pdf", show)]
