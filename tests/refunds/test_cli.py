"""Refunds at the command line."""

import json
import os
import pwd

import pytest

from tests.cli.conftest import SETTINGS, Cli, bare_environment, cli, untouched_logging
from tests.refunds.world import World

__all__ = ["bare_environment", "cli", "untouched_logging"]


@pytest.fixture
def configured(bare_environment: pytest.MonkeyPatch, world: World) -> pytest.MonkeyPatch:
    """Settings by which a command reaches the world's database and emulator."""
    config = world.emulator.config
    ours = {
        "WHOP_BASE_URL": world.emulator.api_base_url,
        "WHOP_API_KEY": config.api_key,
        "WHOP_ACCOUNT_ID": config.account_id,
        "DATABASE_URL": world.runtime.database_url,
    }
    for name, value in (SETTINGS | ours).items():
        bare_environment.setenv(name, value)
    return bare_environment


class Terminal:
    """Two users of one machine at its terminal, one after the other."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.kim, self.lou = sorted(entry.pw_name for entry in pwd.getpwall())[:2]

    def sit_down(self, name: str) -> None:
        """From here on, this user acts."""
        number = pwd.getpwnam(name).pw_uid
        self._patch.setattr(os, "getuid", lambda: number)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


@pytest.mark.usefixtures("configured")
async def test_asked_for_by_one_and_agreed_to_by_another(cli: Cli, world: World, terminal: Terminal) -> None:
    terminal.sit_down(terminal.kim)
    payer = await world.buy("yearly")
    assert (await cli("refunds", "list")).stdout == "No refund matches.\n"
    refused = await cli("refunds", "request", payer.payment, input="n\n")
    assert (refused.exit_code, "nothing was given back" in refused.stderr) == (1, True)
    asked = await cli("refunds", "request", payer.payment, "--note", "Moved away", "--yes")
    assert asked.exit_code == 0, asked.stderr
    refund_id = asked.stdout.partition(":")[0]
    assert "requested" in asked.stdout
    assert f"quntedge refunds approve {refund_id}" in asked.stderr

    own = await cli("refunds", "approve", refund_id)
    assert (own.exit_code, "somebody else" in own.stderr) == (1, True)
    assert await world.made(payer) == []
    terminal.sit_down(terminal.lou)
    agreed = await cli("refunds", "approve", refund_id)
    assert (agreed.exit_code, "pending" in agreed.stdout) == (0, True)
    assert await world.made(payer) == [(payer.total.amount_minor, refund_id)]
    again = await cli("refunds", "reject", refund_id)
    assert (again.exit_code, "pending already" in again.stderr) == (1, True)

    denied = await world.rows(
        "SELECT actor_kind, actor_id, act, subject_id, code FROM audit_event WHERE outcome = 'denied' ORDER BY at, id"
    )
    assert [tuple(row.values()) for row in denied] == [
        ("operator", terminal.kim, "refund.approve", refund_id, "approval_by_requester"),
        ("operator", terminal.lou, "refund.reject", refund_id, "refund_not_waiting"),
    ]

    shown = (await cli("refunds", "show", refund_id)).stdout
    assert all(word in shown for word in ("Moved away", "denied: approval_by_requester"))
    assert all(f"staff:{name}" in shown for name in (terminal.kim, terminal.lou))
    (listed,) = json.loads((await cli("refunds", "list", "--status", "pending", "--json")).stdout)
    assert (listed["id"], listed["amount"]) == (refund_id, payer.total.to_json())
    told = json.loads((await cli("refunds", "show", refund_id, "--json")).stdout)
    assert [event["after"] for event in told["history"] if event["kind"] == "moved"] == [
        "requested", "approved", "sending", "pending",
    ]  # fmt: skip


@pytest.mark.usefixtures("configured")
async def test_mistakes_are_explained_and_change_nothing(cli: Cli, world: World) -> None:
    payer = await world.buy()
    for arguments, words in (
        (("request", payer.payment, "--amount", "10.001", "--yes"), "finer than usd"),
        (("request", payer.payment, "--amount", "1e2", "--yes"), "not an amount"),
        (("request", payer.payment, "--amount", "75.01", "--yes"), "At most 75.00 USD"),
        (("request", payer.payment, "--amount", "0", "--yes"), "more than zero"),
        (("request", payer.payment, "--reason", "because", "--yes"), "Choose one of"),
        (("request", "txn_unknown", "--yes"), "no payment with this id"),
        (("list", "--status", "gone"), "is not a status"),
        (("list", "--user", "kim"), "--user must be an id of ours"),
        (("list", "--payment", "pay_1"), "--payment must be an id of ours"),
        (("show", "ref_unknown"), "no refund with this id"),
    ):
        failed = await cli("refunds", *arguments)
        said = " ".join(failed.stderr.replace("│", " ").split())
        assert (failed.exit_code != 0, words in said) == (True, True), (arguments, failed.stderr)
    assert await world.rows("SELECT id FROM refund") == []
