"""Months are closed when nothing of them is unexplained, over the API and at the command line."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from quntedge.commands.operator import operator
from quntedge.kit.errors import QuntedgeError
from quntedge.main import create_app
from quntedge.reconciliation.report import html_of, report_of
from tests.cli.conftest import SETTINGS, Cli, bare_environment, cli, untouched_logging
from tests.reconciliation.world import World

__all__ = ["bare_environment", "cli", "untouched_logging"]

END = datetime(2026, 10, 1, tzinfo=UTC)
PATH = "/api/admin/reconciliation"


async def close(world: World, period: str = "2026-09") -> None:
    async with world.runtime.units() as unit:
        await world.reconciliation.settling.close(unit, period, "robin")
        await unit.commit()


async def client(world: World, *scopes: str, holder: str | None = None) -> httpx.AsyncClient:
    async with world.runtime.units() as unit:
        _, token = await world.runtime.services.api_keys.create(unit, "books", scopes, holder=holder)
        await unit.commit()
    transport = httpx.ASGITransport(app=create_app(world.runtime))
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url="http://quntedge.test", headers=headers)


async def test_a_month_is_closed_once_everything_of_it_is_explained(world: World) -> None:
    payment = await world.known()
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.44", payment_id=payment)
    for wrong in ("2026-13", "september", "2026-9"):
        with pytest.raises(QuntedgeError, match="a month such as"):
            await close(world, wrong)
    await world.emulator.advance(to="2026-10-02T00:00:00Z")
    await world.learn()
    await world.run(until=END)
    with pytest.raises(QuntedgeError, match="three days after its end"):
        await close(world)
    await world.emulator.advance(to="2026-10-05T00:00:00Z")
    run = await world.run(until=END)
    with pytest.raises(QuntedgeError, match=rf"1 difference of 2026-09 not explained: mdf_\w+ fee {payment} 0.44 USD"):
        await close(world)
    async with await client(world, "reconciliation:read", "reconciliation:write") as http:
        refused = await http.post(f"{PATH}/periods/2026-09/close")
        assert (refused.status_code, refused.json()["code"]) == (409, "money_period_not_ready")
        [listed] = refused.json()["differences"]
        found = (await http.get(f"{PATH}/differences?state=open&period=2026-09")).json()["data"]
        assert [one["id"] for one in found] == [listed["id"]]
        assert found[0]["gateway"] == {"amount_minor": 277, "currency": "usd"}
        one = f"{PATH}/differences/{listed['id']}"
        assert (await http.post(f"{one}/assign", json={"owner": "robin"})).json()["owner"] == "robin"
        [assigned] = await world.rows("SELECT subject_id FROM audit_event WHERE act = 'reconciliation.assign'")
        assert assigned == {"subject_id": listed["id"]}
        bad = await http.post(f"{one}/resolve", json={"resolution": "repaired", "note": "…"})
        assert bad.status_code == 422
        done = await http.post(f"{one}/resolve", json={"resolution": "accepted", "note": "a card from abroad"})
        assert (done.status_code, done.json()["resolution"]) == (200, "accepted")
        assert done.json()["resolved_by"].startswith("service:key_")
        again = await http.post(f"{one}/resolve", json={"resolution": "accepted", "note": "a card from abroad"})
        assert again.json()["code"] == "money_difference_resolved"
        closed = await http.post(f"{PATH}/periods/2026-09/close")
        assert (closed.status_code, closed.json()["run"]) == (200, run.id)
        assert (await http.post(f"{PATH}/periods/2026-09/close")).json()["code"] == "money_period_closed"
        assert [one["period"] for one in (await http.get(f"{PATH}/periods")).json()["data"]] == ["2026-09"]


async def test_two_keys_of_one_holder_are_one_person(world: World) -> None:
    payment = await world.known()
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.44", payment_id=payment)
    await world.run()
    scopes = ("reconciliation:read", "reconciliation:write")
    async with await client(world, *scopes, holder="kim") as http:
        [found] = (await http.get(f"{PATH}/differences?state=open")).json()["data"]
        one = f"{PATH}/differences/{found['id']}"
        proposed = await http.post(f"{one}/resolve", json={"resolution": "adjusted", "note": "a card from abroad"})
        assert (proposed.json()["resolution"], proposed.json()["proposed_by"]) == (None, "staff:kim")
    async with await client(world, *scopes, holder="kim") as http:
        own = await http.post(f"{one}/approve")
        assert (own.status_code, own.json()["code"]) == (409, "money_difference_own_proposal")
        assert (await http.post(f"{one}/reject")).json()["proposed_by"] is None
        assert (await http.post(f"{one}/approve")).json()["code"] == "money_difference_not_proposed"
        await http.post(f"{one}/resolve", json={"resolution": "adjusted", "note": "a card from abroad"})
    async with await client(world, *scopes, holder="lee") as http:
        approved = (await http.post(f"{one}/approve")).json()
    assert (approved["resolution"], approved["resolved_by"]) == ("adjusted", "staff:lee")
    people = await world.rows("SELECT requested_by, approved_by FROM ledger_entry WHERE kind = 'adjustment'")
    assert people == [{"requested_by": "staff:kim", "approved_by": "staff:lee"}]


async def test_runs_over_the_api(world: World) -> None:
    await world.known()
    async with await client(world, "reconciliation:read") as http:
        assert (await http.post(f"{PATH}/runs", json={"since": "2026-09-01T00:00:00Z"})).status_code == 403
    async with await client(world, "reconciliation:read", "reconciliation:write") as http:
        for since, status in (("2026-09-01", 422), ("2027-01-01T00:00:00Z", 400), ("2001-01-01T00:00:00Z", 400)):
            assert (await http.post(f"{PATH}/runs", json={"since": since})).status_code == status
        asked = await http.post(f"{PATH}/runs", json={"since": "2026-09-01T00:00:00Z"})
        assert (asked.status_code, asked.json()["state"]) == (202, "running")
        assert (await http.post(f"{PATH}/runs", json={"since": "2026-09-01T00:00:00Z"})).status_code == 409
        assert await world.reconciliation.service.work_due() == 1
        run = (await http.get(f"{PATH}/runs/{asked.json()['id']}")).json()
        assert (run["state"], run["open"]) == ("done", [])
        charge = next(one for one in run["sums"] if one["measure"] == "charge")
        assert charge["ledger"] == charge["gateway"] == {"amount_minor": 7500, "currency": "usd"}
        assert len((await http.get(f"{PATH}/runs")).json()["data"]) == 1
        report = await http.get(f"{PATH}/runs/{run['id']}/report")
        assert report.headers["content-type"].startswith("text/html")
        assert "style-src 'sha256-" in report.headers["content-security-policy"]
        assert "agree to the cent" in report.text
        assert (await http.get(f"{PATH}/runs/rcn_nothing")).json()["code"] == "reconciliation_run_not_found"
        assert (await http.get(f"{PATH}/differences/mdf_nothing")).json()["code"] == "money_difference_not_found"


async def test_the_report_shows_what_is_open_and_trusts_no_text(world: World) -> None:
    await world.known()
    await world.emulator.add_movement("onboarding_reward", "25.00")
    await world.emulator.advance(minutes=10)
    run = await world.run()
    await world.change("UPDATE money_difference SET owner = '<script>alert(1)</script>'")
    async with world.runtime.units() as unit:
        page = html_of(await report_of(unit, run.id, "Charts & More"))
    assert "1 difference still to be explained." in page
    assert "$25.00" in page
    assert "Charts &amp; More" in page
    assert "<script" not in page
    assert "http" not in page, "nothing is loaded from elsewhere"


async def test_the_command_compares_lists_resolves_reports_and_closes(
    world: World, cli: Cli, bare_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    payment = await world.known()
    await world.emulator.add_movement("cross_border_percentage_fee", "-0.44", payment_id=payment)
    await world.emulator.advance(to="2026-10-05T00:00:00Z")
    own = {
        "DATABASE_URL": world.runtime.database_url,
        "WHOP_BASE_URL": world.emulator.api_base_url,
        "WHOP_API_KEY": "test-key",
        "QUNTEDGE_CLOCK_URL": world.emulator.control_url,
    }
    for name, value in (SETTINGS | own).items():
        bare_environment.setenv(name, value)
    compared = await cli("reconcile", "--since", "2026-09-01")
    assert compared.exit_code == 2, compared.output
    assert [line.split() for line in compared.stdout.splitlines() if line.startswith("fee")] == [
        ["fee", "USD", "1", "2.77", "–", "2.33", "2.33", "0.00"],
        ["fee", "USD", "1", "0.44", "0.44"],
    ]
    assert "`quntedge reconcile differences` lists them." in compared.stdout
    listed = await cli("reconcile", "differences", "--json")
    [difference] = json.loads(listed.stdout)
    assert (difference["cause"], difference["gateway_minor"], difference["ledger_minor"]) == ("fee", 277, 233)
    resolve = ("reconcile", "resolve", difference["id"], "--note", "a card from abroad", "--as")
    proposed = await cli(*resolve, "adjusted")
    assert f"`quntedge reconcile approve {difference['id']}`" in proposed.stdout
    alone = await cli("reconcile", "approve", difference["id"])
    assert (alone.exit_code, "You proposed this yourself" in alone.output) == (1, True)
    assert (await cli("reconcile", "reject", difference["id"])).stdout == f"{difference['id']} is open.\n"
    assert "Nobody has proposed" in (await cli("reconcile", "approve", difference["id"])).output
    resolved = await cli(*resolve, "explained")
    assert resolved.stdout == f"{difference['id']} is explained.\n"
    shown = await cli("reconcile", "show", difference["id"])
    assert operator() in shown.stdout
    as_json = json.loads((await cli("reconcile", "show", difference["id"], "--json")).stdout)
    assert (as_json["resolution"], as_json["resolved_by"]) == ("explained", operator())
    month = await cli("reconcile", "differences", "--period", "2026")
    assert (month.exit_code, month.output) == (1, "Error: A period is a month such as 2026-10.\n")
    assert (await cli("reconcile", "close", "2026-09")).stdout == "2026-09 is closed.\n"
    again = await cli("reconcile", "--since", "2026-09-01", "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["agrees"] is True
    runs = json.loads((await cli("reconcile", "list", "--json")).stdout)
    assert [(run["state"], run["trigger"], run["requested_by"]) for run in runs] == [("done", "manual", operator())] * 3
    nowhere = await cli("reconcile", "report", "--out", str(tmp_path / "nowhere" / "report.html"))
    assert (nowhere.exit_code, "cannot be used: no such file or directory." in nowhere.output) == (1, True)
    done = await world.rows(
        "SELECT act, actor_kind FROM audit_event WHERE outcome = 'done' AND act LIKE 'reconciliation.%' ORDER BY id"
    )
    assert {row["actor_kind"] for row in done} == {"operator"}
    acts = [row["act"].removeprefix("reconciliation.") for row in done]
    assert acts == ["run", "resolve", "reject", "resolve", "run", "close_period", "run"]
    page = tmp_path / "report.html"
    assert (await cli("reconcile", "report", "--out", str(page))).exit_code == 0
    assert "agree to the cent" in page.read_text("utf-8")
