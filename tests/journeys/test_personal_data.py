"""What a thief of the database or of the logs would find: nobody's name, address or IP."""

import asyncio
import base64
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from quntedge.kit.logging import configure_logging
from quntedge.settings import Settings
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up
from tests.journeys.world import Product, running_product

NAME = "Wilhelmina Featherstonehaugh"
EMAIL = "wilhelmina.f@customers.test"
IP = "203.0.113.77"
PERSONAL = (NAME, "Featherstonehaugh", EMAIL, "wilhelmina.f", IP)


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Everything that is logged while the test runs, as production would write it."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging("json", "DEBUG")
    (handler,) = (h for h in root.handlers if isinstance(h, logging.StreamHandler) and h not in before[0])
    path = tmp_path / "log"
    with path.open("w") as stream:
        handler.setStream(stream)
        yield path
        root.handlers[:], root.level = before[0], before[1]


async def test_neither_the_database_nor_the_logs_name_anybody(
    settings: Settings, database_url: str, log_file: Path
) -> None:
    async with running_product(settings, database_url, trusted_proxies=["127.0.0.1"]) as product:
        await _live_a_year(product)
        dump = await _dump(product)
    logged = await asyncio.to_thread(log_file.read_text)
    assert logged.count("\n") > 50, "nothing was logged, so nothing was proved"
    assert len(dump) > 20_000
    for personal in PERSONAL:
        for form in _forms(personal):
            assert form not in dump, f"{personal!r} is readable in the database"
        assert personal not in logged, f"{personal!r} is readable in the logs"


async def _live_a_year(product: Product) -> None:
    async with product.browser() as client:
        client.headers["x-forwarded-for"] = IP
        await sign_up(client, EMAIL, NAME)
        wrong = await client.post("/api/account/sign-in", json={"email": EMAIL, "password": "not the password"})
        assert wrong.status_code == 401
        started = await check_out(client, "quarterly")
        session = checkout_of(started["purchase_url"])
        await product.emulator.pay(session, "4000000000000002", email=EMAIL, name=NAME)
        await product.emulator.pay(session, email=EMAIL, name=NAME)
        await product.settled()
        await product.advance(days=91)
        await sign_in(client, EMAIL)
        assert (await client.get("/billing")).status_code == 200
    assert {str(mail["to"]) for mail in product.post.mails} == {f"{NAME} <{EMAIL}>"}
    assert product.post.subjects == [
        "Your QuntEdge Quarterly plan is active",
        "Payment received for QuntEdge Quarterly",
    ]


async def _dump(product: Product) -> bytes:
    """Every table as COPY writes it. Byte columns appear as hex, and are searched as hex (see `_forms`)."""
    parts: list[bytes] = []
    async with product.runtime.units() as unit:
        connection = await unit.driver_connection()
        found = await connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname = 'public'"
        )
        for (table,) in await found.fetchall():
            async with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
                parts += [bytes(row) async for row in copy]
    return b"".join(parts)


def _forms(text: str) -> list[bytes]:
    """A text as it could stand in a dump: plain, as the bytes of a byte column, in base64."""
    raw = text.encode()
    return [raw, raw.lower(), raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-1]]
