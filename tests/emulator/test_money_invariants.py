"""A long random walk over everything that moves money: never a 500, and the books always add up."""

import random
from collections.abc import Callable
from typing import Any

import httpx

from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.state.records import Payment
from quntedge.gateway.emulator.testing import RunningEmulator
from quntedge.kit.money import Money
from tests.emulator.conftest import Shop

STEPS = 350
CARDS = (
    "4242424242424242",
    "4242424242424242",
    "4000000000000002",
    "4000000000000341",
    "5385308360135181",
    "4000002760003184",
    "4000000000000077",
    "4000000000000085",
)
Request = tuple[str, str, dict[str, Any] | None]


class Walker:
    """Chooses what to ask next; `control/` addresses the emulator's own API."""

    def __init__(self, runtime: Runtime, checkouts: list[str], plans: list[str], account: str) -> None:
        self.tables = runtime.world.store.tables
        self.random = random.Random(20_260_901)
        self.checkouts, self.plans, self.account = checkouts, plans, account

    def one(self, table: dict[str, Any]) -> str:
        return self.random.choice(list(table) or ["none_x"])

    def request(self) -> Request:
        steps: list[Callable[[], Request]] = [
            self.buy,
            self.buy,
            self.charge,
            self.payment,
            self.payment,
            self.refund,
            self.script,
            self.dispute,
            self.rule,
            self.alert,
            self.promo,
            self.card,
            self.membership,
            self.invoice,
        ]
        return self.random.choice(steps)()

    def buy(self) -> Request:
        pick = self.random.choice
        body = {
            "checkout_id": pick(self.checkouts),
            "email": f"{pick('abcde')}@customer.test",
            "card": pick(CARDS),
            "challenge": pick(("pass", "fail", "leave")),
            "promo_code": pick((None, "HALF", "FIVE", "FIVE", "NONE")),
            "country": pick((None, "de", "fr", "us")),
        }
        return "POST", "control/pay", body

    def charge(self) -> Request:
        method = self.tables.methods.get(self.one(self.tables.methods))
        body = {
            "account_id": self.account,
            "member_id": "mber_x" if method is None else method.member_id,
            "payment_method_id": "payt_x" if method is None else method.id,
            "plan_id": self.random.choice(self.plans),
            "capture": self.random.random() < 0.6,
            "promo_code": self.random.choice((None, "FIVE")),
        }
        return "POST", "payments", body

    def payment(self) -> Request:
        verb = self.random.choice(("void", "capture", "retry", "generate_pdf", "refund"))
        return "POST", f"payments/{self.one(self.tables.payments)}/{verb}", {}

    def refund(self) -> Request:
        amount = self.random.choice((1, 5, 9.99, 29, 1000))
        return "POST", f"payments/{self.one(self.tables.payments)}/refund", {"partial_amount": amount}

    def script(self) -> Request:
        status = self.random.choice(("failed", "canceled", "requires_action", "succeeded"))
        body = {"status": status, "after_seconds": self.random.choice((0, 90_000))}
        return "POST", f"control/payments/{self.one(self.tables.payments)}/next_refund", body

    def dispute(self) -> Request:
        body = {"inquiry": self.random.random() < 0.4, "amount": self.random.choice((None, 3))}
        return "POST", f"control/payments/{self.one(self.tables.payments)}/dispute", body

    def rule(self) -> Request:
        found = self.one(self.tables.disputes)
        if self.random.random() < 0.4:
            return "POST", f"disputes/{found}/{self.random.choice(('accept', 'submit'))}", {}
        if self.random.random() < 0.3:
            return "PATCH", f"disputes/{found}", {"evidence": {"notes": "seen"}}
        status = self.random.choice(("won", "lost", "prevented", "warning_closed", "needs_response"))
        return "POST", f"control/disputes/{found}", {"status": status}

    def alert(self) -> Request:
        path = f"control/payments/{self.one(self.tables.payments)}/alert"
        return "POST", path, {"auto_refund": self.random.random() < 0.3}

    def promo(self) -> Request:
        path = f"memberships/{self.one(self.tables.memberships)}/apply_promo_code"
        return "POST", path, {"promo_code": self.random.choice(("HALF", "FIVE"))}

    def card(self) -> Request:
        found = self.one(self.tables.methods)
        if self.random.random() < 0.2:
            return "DELETE", f"payment_methods/{found}", None
        behaviour = self.random.choice(("succeeds", "succeeds", "declines:lost_card", "always_challenges"))
        return "POST", f"control/payment_methods/{found}", {"behaviour": behaviour}

    def membership(self) -> Request:
        found = self.one(self.tables.memberships)
        verb = self.random.choice(("cancel", "pause", "resume"))
        return "POST", f"memberships/{found}/{verb}", {}

    def invoice(self) -> Request:
        if not self.tables.invoices or self.random.random() < 0.4:
            return "POST", "control/invoices", {"plan_id": self.random.choice(self.plans), "email": "e@customer.test"}
        found = self.one(self.tables.invoices)
        if self.random.random() < 0.4:
            return "POST", f"control/invoices/{found}/pay", {"card": self.random.choice(CARDS)}
        return "POST", f"invoices/{found}/{self.random.choice(('void', 'mark_paid', 'mark_uncollectible'))}", {}


def check_books(runtime: Runtime) -> None:
    """What must hold at any time."""
    store, tables = runtime.world.store, runtime.world.store.tables
    for payment in tables.payments.values():
        _check_payment(runtime, payment)
    for promo in tables.promos.values():
        assert promo.uses >= 0
        assert promo.unlimited_stock or promo.uses <= promo.stock
    for membership in tables.memberships.values():
        unpaid = [p for p in store.payments_of(membership.id) if p.status == "open"]
        assert len(unpaid) <= 1
        assert (membership.status == "past_due") == bool(unpaid), membership.id
    for invoice in tables.invoices.values():
        if invoice.status == "paid" and invoice.payment_id is not None:
            assert tables.payments[invoice.payment_id].status == "paid"


def _check_payment(runtime: Runtime, payment: Payment) -> None:
    store = runtime.world.store
    zero = Money.zero(payment.total.currency)
    made = store.refunds_of(payment.id)
    done = sum((one.amount for one in made if one.status == "succeeded"), zero)
    assert done == payment.refunded <= payment.total
    assert sum((one.amount for one in made if one.status not in ("failed", "canceled")), zero) <= payment.total
    assert payment.tax_refunded is None or zero <= payment.tax_refunded <= (payment.tax or zero)
    assert (payment.paid_at is not None) == (payment.status == "paid")
    assert (payment.status in ("open", "authorized", "pending", "void")) or payment.membership_id is not None
    shown = runtime.world.buyers.payment(payment)
    fees = runtime.world.buyers.fees(payment)
    if payment.status == "paid":
        net = payment.total - payment.refunded
        for fee in fees:
            net = net + Money.parse(fee["amount"]["amount"], payment.total.currency)
        assert shown["amount_after_fees"]["amount"] == net.to_major_text()
    if shown["refundable"]:
        assert not runtime.world.buyers.disputed(payment)


async def test_the_books_always_add_up(shop: Shop, emu: RunningEmulator, api: httpx.AsyncClient) -> None:
    await emu.set_taxes({"de": 1900, "fr": 2000}, behavior="inclusive")
    plans = [
        await shop.plan(),
        await shop.plan(trial_period_days=7, override_tax_type="exclusive"),
        await shop.plan(plan_type="one_time", billing_period=None, initial_price=99.99, renewal_price=0),
    ]
    account = emu.config.account_id
    common = {"account_id": account, "base_currency": "usd", "new_users_only": False}
    for body in (
        {"code": "HALF", "promo_type": "percentage", "amount_off": 0.5, "promo_duration_months": 2},
        {"code": "FIVE", "promo_type": "flat_amount", "amount_off": 5, "promo_duration_months": 0, "stock": 6},
    ):
        assert (await api.post("promo_codes", json={**common, **body})).status_code == 201
    walker = Walker(emu.runtime, [await shop.checkout(plan) for plan in plans], plans, account)
    seen: dict[int, int] = {}
    for step in range(STEPS):
        method, path, body = walker.request()
        client, path = (emu.control, path.removeprefix("control/")) if path.startswith("control/") else (api, path)
        answered = await client.request(method, path, json=body)
        seen[answered.status_code] = seen.get(answered.status_code, 0) + 1
        await emu.settle()  # what was charged in the background is done before the next choice: a repeatable walk
        assert answered.status_code < 500, (step, method, path, body, answered.text)
        if answered.is_error:
            assert "message" in answered.json()["error"], (path, answered.text)
        if step % 10 == 9:
            await emu.advance(days=walker.random.choice((0, 1, 3, 11)))
            check_books(emu.runtime)
    check_books(emu.runtime)
    assert min(seen.get(200, 0), seen.get(201, 0), seen.get(409, 0)) > 10, seen
    assert emu.runtime.world.store.tables.disputes
