"""The account's own ledger at Whop: every movement of money, told from the records that caused it."""

from collections.abc import Callable, Iterator
from datetime import datetime

from quntedge.gateway.emulator.rules.billing import ALERT_FEE, DISPUTE_FEE, processing_fees
from quntedge.gateway.emulator.rules.exchange import FEE_BASIS_POINTS, exchanged, rate_at
from quntedge.gateway.emulator.state.finance_records import UNITS_PER_MAJOR, Line, Payout
from quntedge.gateway.emulator.state.money_records import Dispute
from quntedge.gateway.emulator.state.records import Payment
from quntedge.gateway.emulator.state.store import Store
from quntedge.kit.money import Money, exponent

During = Callable[[datetime], bool]
"""Whether a movement posted at this time is wanted."""


def always(_: datetime) -> bool:
    """Wants everything."""
    return True


def movements(store: Store, during: During = always) -> Iterator[Line]:
    """All movements posted within a time, in no order."""
    tables = store.tables
    for payment in tables.payments.values():
        if payment.status == "paid" and payment.paid_at is not None and during(payment.paid_at):
            yield from _of_payment(store, payment, payment.paid_at)
    for refund in tables.refunds.values():
        if refund.status == "succeeded" and during(refund.updated_at):
            source = ("refund", refund.id)
            line = _line("payment_refund", -refund.amount, refund.updated_at, source, refund.payment_id)
            yield _settled(store, line)
    for dispute in tables.disputes.values():
        yield from (_settled(store, line) for line in _of_dispute(dispute) if during(line.created_at))
    for alert in tables.dispute_alerts.values():
        if alert.fee_charged and during(alert.created_at):
            source = ("dispute_alert", alert.id)
            yield _line("dispute_alert_fee", -ALERT_FEE, alert.created_at, source, alert.payment_id)
    for payout in tables.payouts.values():
        yield from (line for line in _of_payout(payout) if during(line.created_at))
    for made in tables.adjustments.values():
        if during(made.created_at):
            source = ("adjustment", made.id)
            yield Line(
                f"line_{made.id}", made.created_at, made.line_type, made.currency, made.units, made.payment_id, source
            )


def balance(store: Store, currency: str) -> Money:
    """What is there to be paid out, in whole minor units."""
    units = sum(line.units for line in movements(store) if line.currency == currency)
    return Money(units // (UNITS_PER_MAJOR // 10 ** exponent(currency)), currency)


def _line(line_type: str, amount: Money, at: datetime, source: tuple[str, str], payment_id: str | None = None) -> Line:
    units = amount.amount_minor * (UNITS_PER_MAJOR // 10 ** exponent(amount.currency))
    return Line(f"line_{source[1]}_{line_type}", at, line_type, amount.currency, units, payment_id, source)


def _settled(store: Store, line: Line) -> Line:
    return exchanged(line, rate_at(store.tables.exchange_rates.values(), line.currency, line.created_at))


def _of_payment(store: Store, payment: Payment, at: datetime) -> Iterator[Line]:
    """The charge and what is kept of it at once: the fees, what exchanging costs, and the tax that Whop remits."""
    if not payment.total:
        return
    percentage, fixed = processing_fees(payment.total)
    rate = rate_at(store.tables.exchange_rates.values(), payment.total.currency, at)
    kept = {
        "payment_gross": payment.total,
        "payment_processing_percentage_fee": -percentage,
        "payment_processing_fixed_fee": -fixed,
        "fx_percentage_fee": -payment.total.percent(FEE_BASIS_POINTS) if rate else None,
        "sales_tax_remittance": -payment.tax if payment.tax else None,
    }
    for line_type, amount in kept.items():
        if amount:
            yield exchanged(_line(line_type, amount, at, ("payment", payment.id), payment.id), rate)


def _of_dispute(dispute: Dispute) -> Iterator[Line]:
    """A chargeback takes the money at once, and brings it back when it is won. The fee stays, in dollars always."""
    if dispute.inquiry:
        return
    source, at = ("dispute", dispute.id), dispute.withdrawn_at or dispute.created_at
    yield _line("payment_dispute", -dispute.amount, at, source, dispute.payment_id)
    yield _line("payment_dispute_fee", -DISPUTE_FEE, at, source, dispute.payment_id)
    if dispute.status == "won":
        at = dispute.returned_at or dispute.updated_at
        yield _line("payment_dispute_reversal", dispute.amount, at, source, dispute.payment_id)


def _of_payout(payout: Payout) -> Iterator[Line]:
    source, net = ("payout", payout.id), payout.amount - payout.fee
    yield _line("withdrawal", -net, payout.created_at, source)
    if payout.fee:
        yield _line("withdrawal_fee", -payout.fee, payout.created_at, source)
    if payout.returned_at is not None:
        yield _line("withdrawal_reversal", net, payout.returned_at, source)
        if payout.fee:
            yield _line("withdrawal_fee_reversal", payout.fee, payout.returned_at, source)
