"""Invoice numbers: without gaps, never twice, never taken back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from quntedge.gateway.port import InvoiceSnapshot, InvoiceStatus, PaymentStatus
from quntedge.invoices.events import InvoicePaid
from quntedge.invoices.service import InvoiceLink, InvoiceService, ObservedInvoice
from quntedge.kit.money import Money
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.service import PaymentService, RefundTotal
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.invoices.builders import SELLER
from tests.payments.builders import AT, USER, apply, rows, seed, snapshot

NUMBERS = "SELECT whop_payment_id, number FROM invoice ORDER BY paid_at, number"


@pytest.fixture
def announced(bus: EventBus) -> list[InvoicePaid]:
    """Every fact that an invoice was paid."""
    heard: list[InvoicePaid] = []

    async def hear(unit: UnitOfWork, facts: Sequence[InvoicePaid]) -> None:
        heard.extend(facts)

    bus.subscribe(InvoicePaid, hear)
    return heard


@pytest.fixture
def invoices(vault: Vault) -> InvoiceService:
    """The service under test."""
    return InvoiceService(vault, SELLER)


@pytest.fixture
async def billed(units: UnitOfWorkFactory, bus: EventBus, invoices: InvoiceService) -> UnitOfWorkFactory:
    """Units of work in which payments make invoices, and a customer."""
    bus.subscribe(PaymentRecorded, invoices.on_payments_recorded)
    await seed(units)
    return units


async def test_the_year_ends_between_two_seconds(billed: UnitOfWorkFactory) -> None:
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    async with billed() as unit:
        await apply(
            unit,
            snapshot("pay_new_2", midnight + timedelta(hours=1)),
            snapshot("pay_old_2", midnight - timedelta(seconds=1)),
            snapshot("pay_new_1", midnight),
            snapshot("pay_old_1", midnight - timedelta(days=1)),
        )
        await unit.commit()
    # Each series in the order of payment, whatever the order of arrival.
    assert await rows(billed, NUMBERS) == [
        ("pay_old_1", "INV-2026-000001"),
        ("pay_old_2", "INV-2026-000002"),
        ("pay_new_1", "INV-2027-000001"),
        ("pay_new_2", "INV-2027-000002"),
    ]


async def test_a_number_stays_through_refunds_and_is_given_when_paid(
    billed: UnitOfWorkFactory, announced: list[InvoicePaid]
) -> None:
    waiting = snapshot(status=PaymentStatus.OPEN, raw_status="open", paid_at=None, updated_at=AT - timedelta(hours=1))
    seen = []
    for step in (waiting, snapshot(), snapshot(updated_at=AT + timedelta(hours=1))):
        async with billed() as unit:
            await apply(unit, step)
            await unit.commit()
        seen += await rows(billed, "SELECT number, status, refunded_minor FROM invoice")
    ((transaction_id,),) = await rows(billed, "SELECT id FROM payment_transaction")
    for refunded in (500, 3161, 0):
        async with billed() as unit:
            await PaymentService().apply_refund_totals(unit, [RefundTotal(transaction_id, refunded, False, "msg_2")])
            await unit.commit()
        seen += await rows(billed, "SELECT number, status, refunded_minor FROM invoice")
    number = "INV-2026-000001"
    assert seen == [
        (None, "open", 0),
        (number, "paid", 0),
        (number, "paid", 0),
        (number, "partially_refunded", 500),
        (number, "refunded", 3161),
        (number, "paid", 0),
    ]
    assert [(fact.number, fact.total_minor) for fact in announced] == [(number, 3161)]


async def test_a_payment_of_nothing_has_no_invoice_and_takes_no_number(billed: UnitOfWorkFactory) -> None:
    async with billed() as unit:
        await apply(unit, snapshot("pay_free", total_minor=0), snapshot("pay_unpriced", total=None), snapshot("pay_1"))
        await unit.commit()
    assert await rows(billed, NUMBERS) == [("pay_1", "INV-2026-000001")]
    assert await rows(billed, "SELECT count(*) FROM payment_transaction WHERE status = 'paid'") == [(3,)]


async def test_an_explicit_invoice_joins_that_of_its_payment_and_cannot_open_it_again(
    billed: UnitOfWorkFactory, invoices: InvoiceService, announced: list[InvoicePaid]
) -> None:
    async with billed() as unit:
        await apply(unit, snapshot())
        await unit.commit()
    explicit = InvoiceSnapshot(
        invoice_id="inv_W1",
        status=InvoiceStatus.OPEN,
        raw_status="open",
        payment_id="pay_1",
        total=Money(9999, "usd"),
        updated_at=AT,
    )
    for number, status in enumerate((InvoiceStatus.OPEN, InvoiceStatus.VOID, InvoiceStatus.PAID)):
        observed = InvoiceSnapshot(
            **{name: getattr(explicit, name) for name in InvoiceSnapshot.__slots__}
            | {"status": status, "updated_at": AT + timedelta(hours=number)}
        )
        async with billed() as unit:
            assert await invoices.apply(unit, [ObservedInvoice(observed, "msg_3")], _nobody) == ["applied"]
            await unit.commit()
    found = await rows(billed, "SELECT whop_invoice_id, number, status, total_minor FROM invoice")
    assert found == [("inv_W1", "INV-2026-000001", "paid", 3161)]
    assert len(announced) == 1


async def test_an_explicit_invoice_that_two_deliveries_report_at_once_is_one(
    billed: UnitOfWorkFactory, invoices: InvoiceService
) -> None:
    paid = InvoiceSnapshot(
        invoice_id="inv_W1",
        status=InvoiceStatus.PAID,
        raw_status="paid",
        total=Money(3161, "usd"),
        created_at=AT,
        updated_at=AT,
    )
    async with billed() as unit:
        twice = [ObservedInvoice(paid, "msg_1"), ObservedInvoice(paid, "msg_2")]
        assert await invoices.apply(unit, twice, _ours) == ["applied", "applied"]
        await unit.commit()
    assert await rows(billed, "SELECT number FROM invoice") == [("INV-2026-000001",)]


async def test_an_explicit_invoice_waits_for_the_payment_that_it_names(
    billed: UnitOfWorkFactory, invoices: InvoiceService
) -> None:
    """It tells no tax. Numbered at once, it would say for good that there was none."""
    paid = InvoiceSnapshot(
        invoice_id="inv_W1",
        status=InvoiceStatus.PAID,
        raw_status="paid",
        payment_id="pay_1",
        total=Money(3161, "usd"),
        created_at=AT,
        updated_at=AT,
    )
    async with billed() as unit:
        assert await invoices.apply(unit, [ObservedInvoice(paid, "msg_1")], _ours) == ["reread"]
        await unit.commit()
    assert await rows(billed, "SELECT number FROM invoice") == []
    async with billed() as unit:
        await apply(unit, snapshot(subtotal=Money(2900, "usd"), tax=Money(261, "usd")))
        await unit.commit()
    async with billed() as unit:
        assert await invoices.apply(unit, [ObservedInvoice(paid, "msg_1")], _ours) == ["applied"]
        await unit.commit()
    told = await rows(billed, "SELECT whop_invoice_id, number, tax_minor FROM invoice")
    assert told == [("inv_W1", "INV-2026-000001", 261)]
    # Where the gateway has no such payment either, what it says of the invoice is all there is.
    async with billed() as unit:
        alone = replace(paid, invoice_id="inv_W2", payment_id="pay_9")
        assert await invoices.apply(unit, [ObservedInvoice(alone, "msg_2", from_gateway=True)], _ours) == ["applied"]
        await unit.commit()
    assert await rows(billed, "SELECT number FROM invoice WHERE whop_invoice_id = 'inv_W2'") == [("INV-2026-000002",)]


async def _nobody(unit: UnitOfWork, snapshots: Sequence[InvoiceSnapshot]) -> dict[str, InvoiceLink]:
    return {}


async def _ours(unit: UnitOfWork, snapshots: Sequence[InvoiceSnapshot]) -> dict[str, InvoiceLink]:
    return {snapshot.invoice_id: InvoiceLink(USER) for snapshot in snapshots}
