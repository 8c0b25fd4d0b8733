"""The whole demo, started and used as a newcomer does."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest

from quntedge.demo.customers import DEMO, PASSWORD

START_SECONDS = 180
STOP_SECONDS = 60


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


def left_over(folder: Path) -> list[str]:
    """Processes that belong to a demo in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            belongs = any(str(folder) in part for part in process.cmdline()) or process.cwd().startswith(str(folder))
            if belongs and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def nothing_left(folder: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while left_over(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left_over(folder) == []


@dataclass
class Demo:
    """A demo under way, and what it has printed."""

    process: subprocess.Popen[str]
    output: IO[str]
    folder: Path
    web: str
    emulator: str

    def text(self) -> str:
        return Path(self.output.name).read_text()

    def until(self, words: str) -> None:
        """Waits until it has printed this."""
        deadline = time.monotonic() + START_SECONDS
        while words not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def child(self, command: str) -> psutil.Process:
        """The child that runs this command."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if command in child.cmdline())

    def end(self, number: signal.Signals) -> int:
        """Sends a signal and returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=STOP_SECONDS)


@contextmanager
def demo(folder: Path, ports: tuple[int, int] | None = None) -> Iterator[Demo]:
    """Starts a demo in a folder. Afterwards it is gone, whatever happened."""
    web, emulator = ports or free_ports()
    arguments = ["demo", "--folder", str(folder), "--port", str(web), "--emulator-port", str(emulator)]
    # What a user may have in their shell; nothing of it may have any effect.
    own = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "WHOP_API_KEY": "real", "WHOP_ENVIRONMENT": "production"
    }  # fmt: skip
    (folder.parent / ".env").write_text("QUNTEDGE_SECRET_KEY=short\nQUNTEDGE_POOL_SIZE=nonsense\n")
    with (folder.parent / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "quntedge", *arguments],
            cwd=folder.parent,
            env=os.environ | own,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield Demo(process, output, folder, f"http://127.0.0.1:{web}", f"http://127.0.0.1:{emulator}")
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=STOP_SECONDS)


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own folder: another pytest that starts meanwhile closes that to the user PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="quntedge-demo-", ignore_cleanup_errors=True) as parent:
        path = Path(parent) / "demo"
        path.mkdir()
        yield path
        nothing_left(path)


def printed(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[0]


@pytest.mark.slow
@pytest.mark.long
def test_a_newcomer_starts_uses_stops_and_starts_again(folder: Path) -> None:
    ports = free_ports()
    with demo(folder, ports) as first:
        first.until("Ctrl-C stops everything")
        text = first.text()
        assert "7 customers signed up and bought" in text
        api_key = printed(r"qk_[\w-]{43}", text)
        url = printed(r"http://\S+/api/subscription/access\?user=usr_\w+", text)
        assert DEMO.email in text
        assert PASSWORD in text
        with httpx.Client(headers={"Authorization": f"Bearer {api_key}"}, trust_env=False) as client:
            features = client.get(url).json()["features"]
            assert features["advanced_analytics"]["reason"] == "subscription_active"
            for address in ("/pricing", "/billing", "/demo/mailbox"):
                assert client.get(first.web + address, follow_redirects=True).status_code == 200
            # Somebody's trial ends within the month: their card is charged, a letter is sent.
            moved = httpx.post(f"{first.emulator}/_control/clock/advance", json={"days": 8}, timeout=30)
            assert moved.json()["events"] > 0
        assert (folder / "demo.env").stat().st_mode & 0o777 == 0o600
        assert first.end(signal.SIGINT) == 130
        assert "Traceback" not in first.text()
        nothing_left(folder)
    with demo(folder, ports) as second:
        second.until("Ctrl-C stops everything")
        assert "your data from last time" in second.text()
        assert api_key in second.text()
        assert url in second.text()
        assert second.end(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.long
def test_a_part_that_dies_is_named_with_the_end_of_its_log(folder: Path) -> None:
    with demo(folder) as running:
        # Only when customers have what they bought has the worker certainly written to its log.
        running.until("✓ Customers")
        running.child("worker").kill()
        assert running.process.wait(timeout=STOP_SECONDS) == 1
        text = running.text()
        assert "✗ worker stopped unexpectedly (signal SIGKILL)" in text
        assert "worker.started" in text
        assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.long
def test_a_demo_that_is_killed_takes_everything_with_it(folder: Path) -> None:
    with demo(folder) as running:
        running.until("✓ Database")
        running.process.kill()
        running.process.wait()
    nothing_left(folder)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("after", ["QuntEdge demo", "✓ PostgreSQL", "✓ Catalogue"])
def test_it_can_be_stopped_while_it_starts(folder: Path, after: str) -> None:
    with demo(folder) as running:
        running.until(after)
        assert running.end(signal.SIGINT) == 130
        assert "Traceback" not in running.text()
