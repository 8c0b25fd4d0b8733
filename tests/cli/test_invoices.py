"""Invoices at the command line: lists, what stands on one, and the file."""

import json
from pathlib import Path

import pytest

from quntedge.gateway.port import PaymentStatus
from quntedge.invoices.feature import Invoices
from quntedge.kit.money import Money
from quntedge.payments.events import PaymentRecorded
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.cli.conftest import Cli
from tests.invoices.builders import SELLER, refund
from tests.payments.builders import apply, rows, seed, snapshot

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
async def invoiced(units: UnitOfWorkFactory, bus: EventBus, vault: Vault) -> str:
    """A paid invoice over $31.61 of which $10.00 was credited, and a payment that is owed; the id of the paid one."""
    billing = Invoices(units, vault, SELLER)
    bus.subscribe(PaymentRecorded, billing.service.on_payments_recorded)
    billing.listen(bus)
    await seed(units)
    async with units() as unit:
        await apply(unit, snapshot("pay_1", subtotal=Money(2900, "usd"), tax=Money(261, "usd")))
        await apply(unit, snapshot("pay_2", status=PaymentStatus.OPEN, paid_at=None))
        await unit.commit()
    [(payment,)] = await rows(units, "SELECT id FROM payment_transaction WHERE whop_payment_id = 'pay_1'")
    async with units() as unit:
        await refund(unit, payment, "pay_1", 1000)
        await unit.commit()
    [(found,)] = await rows(units, "SELECT id FROM invoice WHERE whop_payment_id = 'pay_1'")
    billing.close()
    return str(found)


async def test_lists_are_narrowed(cli: Cli, invoiced: str) -> None:
    listed = await cli("invoices", "list")
    assert listed.exit_code == 0, listed.stderr
    assert "INV-2026-000001" in listed.stdout
    assert "31.61" in listed.stdout
    owed = json.loads((await cli("invoices", "list", "--status", "open", "--json")).stdout)
    assert [(row["status"], row["number"]) for row in owed] == [("open", None)]
    cut = await cli("invoices", "list", "--limit", "1")
    assert "There are more than these 1" in cut.stderr
    notes = await cli("invoices", "credit-notes")
    assert "CN-2026-000001" in notes.stdout
    assert "10.00" in notes.stdout
    for wrong in (("list", "--status", "gone"), ("list", "--user", "kim"), ("credit-notes", "--user", "kim")):
        refused = await cli("invoices", *wrong)
        assert refused.exit_code == 1
        assert "must be" in refused.stderr


async def test_one_is_shown_and_written_by_id_or_number(cli: Cli, invoiced: str, tmp_path: Path) -> None:
    for named in (invoiced, "INV-2026-000001"):
        shown = await cli("invoices", "show", named)
        assert shown.exit_code == 0, shown.stderr
        for expected in ("INV-2026-000001", "QuntEdge SAS", "CN-2026-000001", "tax"):
            assert expected in shown.stdout
    document = json.loads((await cli("invoices", "show", invoiced, "--json")).stdout)
    assert sum(line["amount_minor"] for line in document["lines"]) == document["total_minor"] == 3161
    for named in ("INV-2026-000001", "CN-2026-000001"):
        written = await cli("invoices", "pdf", named, "--out", str(tmp_path / f"{named}.pdf"))
        assert written.exit_code == 0, written.stderr
        assert (tmp_path / f"{named}.pdf").read_bytes().startswith(b"%PDF-")
    nowhere = await cli("invoices", "pdf", invoiced, "--out", str(tmp_path / "no" / "such.pdf"))
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.stderr
    for command in ("show", "pdf"):
        missing = await cli("invoices", command, "INV-1999-000001")
        assert missing.exit_code == 1
        assert "INV-1999-000001" in missing.stderr
