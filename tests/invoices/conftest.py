"""Payments that make invoices, refunds that make credit notes."""

import pytest

from quntedge.invoices.feature import Invoices
from quntedge.payments.events import PaymentRecorded
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.invoices.builders import SELLER
from tests.payments.builders import seed


@pytest.fixture
def billing(units: UnitOfWorkFactory, vault: Vault) -> Invoices:
    """The feature under test."""
    return Invoices(units, vault, SELLER)


@pytest.fixture
async def shop(units: UnitOfWorkFactory, bus: EventBus, billing: Invoices) -> UnitOfWorkFactory:
    """Units of work in which payments make invoices and refunds make credit notes, and a customer."""
    bus.subscribe(PaymentRecorded, billing.service.on_payments_recorded)
    billing.listen(bus)
    await seed(units)
    return units
