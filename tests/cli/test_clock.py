"""`quntedge clock`: looking at the emulator's clock and moving it."""

import asyncio
import os
import re
import signal
import socket
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from quntedge.commands import clock
from quntedge.gateway.emulator.clockwork.followers import Report
from quntedge.gateway.emulator.testing import RunningEmulator
from tests.cli.conftest import Cli
from tests.cli.test_processes import finished, running
from tests.jobs.conftest import until


async def now(emulator: RunningEmulator) -> datetime:
    return datetime.fromisoformat((await emulator.state())["now"])


async def test_it_shows_the_time_and_how_far_ahead_it_is(cli: Cli, emulator: RunningEmulator) -> None:
    await emulator.advance(days=400)
    shown = await cli("clock", "show", "--url", emulator.url)
    assert shown.exit_code == 0, shown.output
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, 400\.\d days ahead\n", shown.stdout)


@pytest.mark.parametrize(
    ("step", "least"),
    [
        (("--months", "1"), timedelta(days=28)),
        (("--days", "2.5"), timedelta(days=2.5)),
        (("--hours", "6"), timedelta(hours=6)),
    ],
)
async def test_it_moves_by_each_unit(
    cli: Cli, emulator: RunningEmulator, step: tuple[str, str], least: timedelta
) -> None:
    before = await now(emulator)
    moved = await cli("clock", "advance", *step, QUNTEDGE_CLOCK_URL=emulator.control_url)
    assert moved.exit_code == 0, moved.output
    assert "0 happenings, 0 deliveries" in moved.stdout
    assert least <= await now(emulator) - before < least + timedelta(days=4)


async def test_it_moves_to_a_day(cli: Cli, emulator: RunningEmulator) -> None:
    day = (await now(emulator)).date() + timedelta(days=100)
    moved = await cli("clock", "advance", "--to", day.isoformat(), "--url", emulator.url)
    assert moved.exit_code == 0, moved.output
    assert f"It is {day} 00:0" in moved.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give one of --months, --days, --hours, --to"),
        (("--months", "1", "--days", "2"), "give one of"),
        (("--months", "0"), "Invalid value for"),
        (("--days", "-1"), "Invalid value for"),
        (("--to", "soon"), "is not a time"),
        (("--to", "2020-01-01"), "must lie in the future"),
        (("--to", "9999-01-01"), "at most twenty years"),
    ],
)
async def test_what_cannot_be_done_is_said(
    cli: Cli, emulator: RunningEmulator, arguments: tuple[str, ...], complaint: str
) -> None:
    before = (await emulator.control.get("clock")).json()["version"]
    refused = await cli("clock", "advance", *arguments, QUNTEDGE_CLOCK_URL=emulator.url)
    assert refused.exit_code != 0
    assert complaint in " ".join(refused.output.split())
    assert (await emulator.control.get("clock")).json()["version"] == before


async def test_nobody_there(cli: Cli) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for command in (("show",), ("advance", "--days", "1")):
            refused = await cli("clock", *command, "--url", url)
            assert refused.exit_code == 1
            assert f"No emulator answers at {url}; start one with `quntedge whop-emulator`" in refused.output


async def test_somebody_else_there(cli: Cli, emulator: RunningEmulator) -> None:
    refused = await cli("clock", "show", "--url", f"{emulator.url}/health")
    assert refused.exit_code == 1
    assert "The emulator refuses" in refused.output or "is not an emulator's clock" in refused.output


async def test_progress_is_a_line_now_and_then_where_nobody_watches(
    cli: Cli, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "LINE_EVERY_SECONDS", 0.0)
    moved = await cli("clock", "advance", "--days", "1", "--url", emulator.url)
    assert moved.exit_code == 0
    assert re.search(r"UTC  100%  0 happenings, 0 deliveries", moved.stderr)


def test_how_far_it_is() -> None:
    run = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-05T00:00:00Z"}
    assert clock.fraction(run | {"at": "2026-01-01T00:00:00Z"}) == 0
    assert clock.fraction(run | {"at": "2026-01-02T00:00:00Z"}) == 0.25
    assert clock.fraction(run | {"at": "2026-01-05T00:00:02Z"}) == 1
    assert clock.fraction({**run, "to": run["from"], "at": run["from"]}) == 1


async def test_ctrl_c_stops_at_the_instant_reached(emulator: RunningEmulator, tmp_path: Path) -> None:
    """Somebody works for ever at the first instant, so that the interruption finds the clock on its way."""
    followers = emulator.runtime.followers
    await followers.report("busy", Report(emulator.runtime.world.clock.version, 0, works=True, next_due=None))
    before = await now(emulator)
    with running(tmp_path, "clock", "advance", "--months", "6", "--url", emulator.url) as process:
        asked = followers.step
        await until(lambda: followers.step != asked or process.poll() is not None, seconds=60)
        process.send_signal(signal.SIGINT)
        stdout, stderr = await asyncio.to_thread(process.communicate, timeout=60)
        assert process.returncode == 130, stderr
    assert stdout.startswith("Stopped at ")
    assert await now(emulator) - before < timedelta(days=1)
    assert not emulator.runtime.timeline.walking.locked()


def test_no_database_and_no_settings_are_needed(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code, _, stderr = finished(tmp_path, "clock", "show", "--url", f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert code == 1
    assert "No emulator answers" in stderr
    assert not os.listdir(tmp_path)


async def test_a_run_is_over_when_the_command_ends(cli: Cli, emulator: RunningEmulator) -> None:
    await cli("clock", "advance", "--days", "3", "--url", emulator.url)
    async with httpx.AsyncClient(trust_env=False) as http:
        run = (await http.get(f"{emulator.control_url}/clock/advance/run_1")).json()
    assert run["state"] == "done"
    assert run["at"] >= run["to"]
