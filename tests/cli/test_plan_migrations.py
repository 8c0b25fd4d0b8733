"""Moving subscribers to a new price at the command line: looking, asking, telling, taking back."""

import json

import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.kit.money import Money
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.cli.conftest import Cli
from tests.subscriptions.desk import Desk
from tests.subscriptions.states import AT

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
async def desk(units: UnitOfWorkFactory, clock: FrozenClock) -> Desk:
    """Three subscribers of a plan that has become dearer; one of them has cancelled."""
    desk = await Desk(units, clock).open(3)
    for number in range(3):
        leaving = {"cancel_at_period_end": True} if number == 2 else {}
        await desk.say(f"mem_{number}", "active", AT, renewal_price=Money(2900, "usd"), **leaving)
    [plan] = await desk.rows("SELECT p.code, t.* FROM plan p JOIN plan_price t ON t.plan_id = p.id LIMIT 1")
    await desk.execute("UPDATE plan_price SET price_minor = 2900, currency = 'usd', retired_at = now()")
    await desk.execute("UPDATE plan SET code = 'monthly'")
    await desk.execute(
        "INSERT INTO plan_price (plan_id, version, currency, kind, price_minor, period_days, whop_plan_id, valid_from)"
        " VALUES (:plan, 2, 'usd', :kind, 3500, :days, 'plan_new', now())",
        plan=plan["plan_id"],
        kind=plan["kind"],
        days=plan["period_days"],
    )
    return desk


async def test_from_looking_to_taking_back(cli: Cli, desk: Desk) -> None:
    looked = await cli("subscriptions", "migrate", "monthly", "--dry-run")
    assert looked.exit_code == 0, looked.stderr
    assert "$29.00" in looked.stdout
    assert "$35.00" in looked.stdout
    assert "1 have cancelled" in looked.stdout
    assert await desk.rows("SELECT * FROM plan_migration") == []
    found = json.loads((await cli("subscriptions", "migrate", "monthly", "--dry-run", "--json")).stdout)
    assert (found["subscribers"], found["groups"][0]["skipped"]) == (2, {"ending": 1})

    refused = await cli("subscriptions", "migrate", "monthly", input="n\n")
    assert refused.exit_code == 1
    assert await desk.rows("SELECT * FROM plan_migration") == []
    done = await cli("subscriptions", "migrate", "monthly", input="y\n")
    assert done.exit_code == 0, done.stderr
    assert "waiting    2" in done.stdout
    [row] = await desk.rows("SELECT state, requested_by FROM plan_migration")
    assert row["state"] == "running"
    assert row["requested_by"].startswith("staff:")
    assert "waiting    2" in (await cli("subscriptions", "migrate", "monthly", "--status")).stdout

    back = await cli("subscriptions", "migrate", "monthly", "--withdraw", "--yes")
    assert "withdrawn  2" in back.stdout
    assert (await cli("subscriptions", "migrate", "monthly", "--status")).exit_code == 1
    assert "monthly" in (await cli("subscriptions", "migrations")).stdout
    mails = await desk.rows("SELECT kind, count(*) AS n FROM notification WHERE kind LIKE 'new_terms%' GROUP BY kind")
    assert {row["kind"]: row["n"] for row in mails} == {"new_terms_announced": 2, "new_terms_withdrawn": 2}


async def test_what_cannot_be_is_one_sentence(cli: Cli, desk: Desk) -> None:
    for arguments, sentence in (
        (("gold",), "There is no plan with this code"),
        (("monthly", "--to-version", "1"), "Only version 2"),
        (("monthly", "--from-version", "2"), "Subscribers move from a version before 2"),
        (("monthly", "--dry-run", "--withdraw"), "Choose one of"),
    ):
        result = await cli("subscriptions", "migrate", *arguments)
        assert (result.exit_code, result.stdout) == (1, ""), arguments
        assert result.stderr.startswith(f"Error: {sentence}"), result.stderr
