"""Payments at the command line: lists that can be narrowed, and everything about one."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from quntedge.gateway.port import PaymentStatus
from quntedge.kit.money import Money
from quntedge.payments.models import PaymentAttempt
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.cli.conftest import Cli
from tests.payments.builders import AT, USER, apply, rows, seed, snapshot

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
async def failed(units: UnitOfWorkFactory) -> str:
    """Two payments; the id of the one that failed, which is the older one."""
    await seed(units)
    async with units() as unit:
        await apply(unit, snapshot("pay_1", subtotal=Money(3161, "usd"), net=Money(3000, "usd")))
        await apply(
            unit,
            snapshot("pay_2", AT - timedelta(days=9), status=PaymentStatus.OPEN, attempt_failed=True, paid_at=None),
        )
        await unit.commit()
    [(found,)] = await rows(units, "SELECT id FROM payment_transaction WHERE whop_payment_id = 'pay_2'")
    async with units() as unit:
        at = datetime(2026, 8, 23, 12, 0, tzinfo=UTC)
        attempt = {"decline_code": "lost_card", "decline_class": "hard", "message": "do_not_honor", "at": at}
        await unit.session.execute(
            insert(PaymentAttempt).values(transaction_id=found, number=1, user_id=USER, **attempt)
        )
        await unit.commit()
    return str(found)


async def test_the_list_is_narrowed_like_the_api(cli: Cli, failed: str) -> None:
    listed = await cli("payments", "list")
    assert listed.exit_code == 0
    assert listed.stdout.index("pay_1") < listed.stdout.index("pay_2")
    assert "31.61" in listed.stdout
    narrowed = await cli("payments", "list", "--status", "failed", "--to", "2026-08-31", "--json")
    [document] = json.loads(narrowed.stdout)
    assert (document["id"], document["total_minor"], document["fee_minor"]) == (failed, 3161, None)
    cut = await cli("payments", "list", "--limit", "1")
    assert "pay_2" not in cut.stdout
    assert "There are more than these 1" in cut.stderr
    for wrong in (("--status", "gone"), ("--from", "yesterday"), ("--user", "kim"), ("--plan", "gold")):
        refused = await cli("payments", "list", *wrong)
        assert refused.exit_code == 1
        assert "must be" in refused.stderr


async def test_one_is_shown_with_its_attempts_by_either_id(cli: Cli, failed: str) -> None:
    for named in (failed, "pay_2"):
        shown = await cli("payments", "show", named)
        assert shown.exit_code == 0
        assert "do_not_honor" in shown.stdout
        assert "31.61" in shown.stdout
    document = json.loads((await cli("payments", "show", failed, "--json")).stdout)
    assert [attempt["decline_code"] for attempt in document["attempts"]] == ["lost_card"]
    missing = await cli("payments", "show", "pay_9")
    assert missing.exit_code == 1
    assert "There is no payment pay_9" in missing.stderr
