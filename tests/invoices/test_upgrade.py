"""A database in which invoices had neither lines nor parties."""

from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import text

from quntedge.invoices.feature import Invoices
from quntedge.kit.clock import FrozenClock
from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.engine import create_engine, libpq_url, session_factory
from quntedge.storage.events import EventBus
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.invoices.builders import SELLER
from tests.storage.conftest import empty_database, upgrade_to

__all__ = ["empty_database"]
AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
INVOICE = "inv_01k4a2f0e8f9xa3s6m1q2r7v5z"
SAID = "number, user_id, status, currency, total_minor, tax_minor, issued_at, paid_at, created_at"


async def test_invoices_keep_their_numbers_and_get_what_they_lack(
    empty_database: str,
    vault: Vault,
) -> None:
    upgrade_to(empty_database, "0014")
    with psycopg.connect(libpq_url(empty_database)) as connection:
        connection.execute("INSERT INTO app_user (id, locale, created_at) VALUES ('usr_1', 'fr', %s)", (AT,))
        connection.execute(
            "INSERT INTO invoice (id, number, user_id, whop_payment_id, status, currency, subtotal_minor, tax_minor,"
            " total_minor, issued_at, paid_at, created_at, updated_at) VALUES (%s, 'INV-2026-000041', 'usr_1', 'pay_1',"
            " 'paid', 'usd', 2900, 261, 3161, %s, %s, %s, %s), ('inv_open', NULL, 'usr_1', 'pay_2', 'open', 'usd',"
            " NULL, NULL, 2900, %s, NULL, %s, %s)",
            (INVOICE, AT, AT, AT, AT, AT, AT, AT),
        )
        connection.execute("INSERT INTO invoice_counter VALUES ('INV-2026', 41)")
        before = connection.execute(f"SELECT {SAID} FROM invoice ORDER BY id").fetchall()
    migrate.upgrade(empty_database, all_tables())

    engine = create_engine(empty_database)
    try:
        units = UnitOfWorkFactory(session_factory(engine), FrozenClock(AT), EventBus())
        billing = Invoices(units, vault, SELLER)
        async with units() as unit:
            assert await billing.complete_older(unit, AT) == 1
            await unit.commit()
        async with units() as unit:
            after = (await unit.session.execute(text(f"SELECT {SAID} FROM invoice ORDER BY id"))).all()
            lines = (await unit.session.execute(text("SELECT kind, label, amount_minor FROM invoice_line"))).all()
        file = await billing.documents.invoice(INVOICE)
    finally:
        await engine.dispose()
    assert [tuple(row) for row in after] == [tuple(row) for row in before]
    assert sorted(tuple(row) for row in lines) == [("adjustment", "Paiement", 2900), ("tax", "TVA", 261)]
    assert file.name == "INV-2026-000041.pdf"
    with psycopg.connect(libpq_url(empty_database)) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE invoice SET total_minor = 1 WHERE number IS NOT NULL")
