"""What waits for a person, and processes, at the command line."""

import json

import pytest

from quntedge.kit.clock import FrozenClock
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from tests.cli.conftest import Cli
from tests.subscriptions.desk import Desk
from tests.subscriptions.states import AT, DAY

pytestmark = pytest.mark.usefixtures("configured")

STUCK = "prc_01k4a2f0e8f9xa3s6m1q2r7v5z"


@pytest.fixture
async def desk(units: UnitOfWorkFactory, clock: FrozenClock) -> Desk:
    """A customer whose membership Whop calls by an unclear word, and a process that is stuck, next to one done."""
    desk = await Desk(units, clock).open(1)
    await desk.say("mem_0", "active", AT)
    await desk.say("mem_0", "unresolved", AT + DAY)
    for process_id, state, stuck in ((STUCK, "running", True), (STUCK[:-1] + "0", "done", False)):
        await desk.execute(
            "INSERT INTO process (id, kind, subject_id, state, step, data, failures, stuck, error, due_at, created_at,"
            " updated_at) VALUES (:id, 'withdrawal', 'sub_1', :state, 'cancel', '{}', 8, :stuck, 'Whop is away.',"
            " :later, :at, :at)",
            id=process_id, state=state, stuck=stuck, later=AT + DAY, at=AT,
        )  # fmt: skip
    return desk


async def test_what_waits_is_listed_with_what_to_do(cli: Cli, desk: Desk) -> None:
    listed = await cli("attention")
    assert listed.exit_code == 0, listed.stderr
    (subscription,) = [line for line in listed.stdout.splitlines() if line.startswith("Status unclear  ")]
    assert (await desk.subscription("mem_0"))["id"] in subscription
    assert f"{STUCK}" in listed.stdout
    assert "withdrawal, cancel: Whop is away." in listed.stdout
    assert "\nProcess stuck: Something was tried eight times" in listed.stdout
    found = json.loads((await cli("attention", "--json")).stdout)
    assert [(matter["kind"], matter["since"][:10]) for matter in found] == [
        ("status_unclear", "2026-09-01"),
        ("process_stuck", "2026-09-01"),
    ]


async def test_a_change_that_was_put_right_is_ticked_off_once(cli: Cli, desk: Desk) -> None:
    change = "chg_01k4a2f0e8f9xa3s6m1q2r7v5z"
    await desk.execute(
        "INSERT INTO plan_change (id, user_id, subscription_id, process_id, direction, moment, pay_by, state,"
        " from_plan_id, to_plan_id, to_version, old_membership_id, currency, price_minor, charge_minor, credit_minor,"
        " refund_minor, extension_days, lines, actor, created_at, review)"
        " SELECT :id, user_id, id, :process, 'upgrade', 'now', 'method', 'done', plan_id, plan_id, 1, 'mem_0', 'usd',"
        " 2900, 2900, 0, 0, 0, '[]', 'customer', :at, 'amount_differs:0' FROM subscription",
        id=change, process=STUCK, at=AT,
    )  # fmt: skip
    listed = (await cli("attention")).stdout
    assert "Change not as shown" in listed
    assert "amount_differs:0" in listed
    done = await cli("attention", "--done", change)
    assert (done.exit_code, f"{change} waits for nobody any more" in done.stdout) == (0, True), done.stderr
    assert "Change not as shown" not in (await cli("attention")).stdout
    assert [row["review"] for row in await desk.rows("SELECT review FROM plan_change")] == ["settled:amount_differs:0"]
    assert "plan_change.settle" in (await cli("audit", "list", "--json")).stdout
    for again in (change, "chg_nobody"):
        refused = await cli("attention", "--done", again)
        assert (refused.exit_code, "`quntedge attention` lists those that do" in refused.stderr) == (1, True)


async def test_where_nothing_waits_it_says_so(cli: Cli) -> None:
    empty = await cli("attention")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "Nothing waits for a person." in empty.stderr


async def test_a_process_is_listed_shown_and_tried_again(cli: Cli, desk: Desk) -> None:
    for options in ((), ("--state", "stuck"), ("--kind", "withdrawal")):
        listed = await cli("processes", "list", *options)
        assert (listed.exit_code, listed.stdout.count("prc_")) == (0, 1), listed.stdout
        assert STUCK in listed.stdout
    assert "There is none." in (await cli("processes", "list", "--kind", "refund")).stderr
    assert (await cli("processes", "list", "--state", "asleep")).exit_code == 2
    shown = await cli("processes", "show", STUCK)
    assert "error        Whop is away." in shown.stdout
    again = await cli("processes", "retry", STUCK)
    assert again.exit_code == 0, again.stderr
    (row,) = await desk.rows("SELECT due_at <= updated_at AS due FROM process WHERE id = :id", id=STUCK)
    assert row["due"]
    assert len(await desk.rows("SELECT id FROM procrastinate_jobs")) == 1


@pytest.mark.parametrize("command", ["show", "retry"])
async def test_an_unknown_process_is_named(cli: Cli, command: str) -> None:
    refused = await cli("processes", command, "prc_nobody")
    assert refused.exit_code == 1
    assert "There is no process prc_nobody" in refused.stderr


async def test_an_ended_process_is_not_tried_again(cli: Cli, desk: Desk) -> None:
    refused = await cli("processes", "retry", STUCK[:-1] + "0")
    assert refused.exit_code == 1
    assert "has ended (done)" in refused.stderr
