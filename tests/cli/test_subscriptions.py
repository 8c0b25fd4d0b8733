"""Subscriptions at the command line: looking, comparing with the history, making anew."""

import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.cli.conftest import Cli
from tests.subscriptions.desk import Desk
from tests.subscriptions.states import AT, DAY, PERIOD_END

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
async def desk(units: UnitOfWorkFactory, clock: FrozenClock) -> Desk:
    """Three customers: one renewed and paid, one ended, one just began."""
    desk = await Desk(units, clock).open(3)
    for number in range(3):
        await desk.say(f"mem_{number}", "active", AT)
    await desk.say("mem_0", "active", AT + DAY, period_end=PERIOD_END + 30 * DAY)
    await desk.pay((await desk.subscription("mem_0"))["id"], AT + DAY)
    await desk.say("mem_1", "canceled", AT + DAY)
    return desk


async def test_everything_is_what_its_history_says(cli: Cli, desk: Desk) -> None:
    verified = await cli("subscriptions", "rebuild", "--verify")
    assert verified.exit_code == 0
    assert verified.stdout == "3 subscriptions compared: all are what the history says.\n"


async def test_what_differs_is_listed_field_by_field_and_made_anew_when_wanted(cli: Cli, desk: Desk) -> None:
    right = await desk.subscription("mem_0")
    await desk.execute(
        "UPDATE subscription SET status = 'past_due', last_payment_at = NULL, version = 9 WHERE id = :id",
        id=right["id"],
    )
    wrong = await desk.subscription("mem_0")
    verified = await cli("subscriptions", "rebuild", "--verify")
    assert verified.exit_code == 1
    assert f"{right['id']}  status: past_due here, active in the history" in verified.stdout
    assert f"last_payment_at: – here, {(AT + DAY).isoformat()} in the history" in verified.stdout
    assert "version: 9 here, 3 in the history" in verified.stdout
    assert "3 subscriptions compared: 1 differs." in verified.stdout
    assert await desk.subscription("mem_0") == wrong, "comparing changes nothing"

    refused = await cli("subscriptions", "rebuild", input="n\n")
    assert refused.exit_code == 1
    assert await desk.subscription("mem_0") == wrong
    agreed = await cli("subscriptions", "rebuild", input="y\n")
    assert agreed.exit_code == 0
    assert await desk.subscription("mem_0") == right
    assert (await cli("subscriptions", "rebuild", "--verify")).exit_code == 0


async def test_one_alone_is_compared_and_made_anew(cli: Cli, desk: Desk) -> None:
    await desk.execute("UPDATE subscription SET plan_version = 7")
    first = (await desk.subscription("mem_0"))["id"]
    done = await cli("subscriptions", "rebuild", "--subscription", first, "--yes")
    assert done.exit_code == 0
    assert "1 made anew." in done.stdout
    assert [row["plan_version"] for row in await desk.rows("SELECT plan_version FROM subscription ORDER BY id")] == [
        1,
        7,
        7,
    ]


async def test_what_has_no_history_stays_as_it_is(cli: Cli, desk: Desk) -> None:
    await desk.execute(
        "INSERT INTO subscription"
        " (id, user_id, plan_id, status, whop_membership_id, started_at, created_at, updated_at)"
        " SELECT 'sub_lost', user_id, plan_id, 'canceled', 'mem_lost', started_at, created_at, updated_at"
        " FROM subscription LIMIT 1"
    )
    done = await cli("subscriptions", "rebuild", "--yes")
    assert done.exit_code == 1
    assert "1 cannot be made anew" in done.stderr
    assert len(await desk.rows("SELECT 1 FROM subscription WHERE id = 'sub_lost'")) == 1


async def test_one_is_shown_with_all_that_happened_to_it(cli: Cli, desk: Desk) -> None:
    subscription_id = (await desk.subscription("mem_0"))["id"]
    shown = await cli("subscriptions", "show", subscription_id)
    assert shown.exit_code == 0
    rows = [line.split()[:1] + line.split()[3:4] for line in shown.stdout.splitlines()[-3:]]
    assert rows == [["1", "created"], ["2", "renewed"], ["3", "paid"]]
    assert "last_payment_at 2026-09-02T12:00:00+00:00" in shown.stdout


@pytest.mark.parametrize("arguments", [("show", "sub_x"), ("rebuild", "--subscription", "sub_x")])
async def test_one_that_does_not_exist_is_said_to_be_unknown(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = await cli("subscriptions", *arguments)
    assert (done.exit_code, done.stderr) == (1, "Error: There is no subscription sub_x; its id begins with sub_.\n")
