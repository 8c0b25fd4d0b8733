"""Commands as processes of their own: exit codes, signals, ports, and what stands on which stream."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from quntedge import cli as command_line
from quntedge.demo.places import without_settings
from tests.cli.conftest import SETTINGS, Cli

SECONDS = 20


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(folder: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A command under way; whatever happens, it is gone afterwards."""
    with subprocess.Popen(
        [sys.executable, "-m", "quntedge", *arguments],
        cwd=folder,
        env=without_settings(os.environ) | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with running(folder, *arguments, **environment) as process:
        stdout, stderr = process.communicate(timeout=SECONDS)
        return process.returncode, stdout, stderr


def answering(process: subprocess.Popen[str], url: str) -> None:
    """Waits until a server answers."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} does not answer")


async def test_a_taken_port_is_one_sentence_that_names_it_and_the_flag(cli: Cli, taken_port: int) -> None:
    port = str(taken_port)
    commands = {
        ("web", "--port", port): "--port",
        ("whop-emulator", "--port", port): "--port",
        ("demo", "--port", port): "--port",
        ("demo", "--emulator-port", port): "--emulator-port",
    }
    for arguments, flag in commands.items():
        result = await cli(*arguments, **SETTINGS)
        assert (result.exit_code, result.stdout) == (1, ""), arguments
        assert result.stderr.startswith(f"Error: Port {port} on 127.0.0.1 cannot be used"), arguments
        assert result.stderr.endswith(f"with {flag}.\n"), arguments
        assert len(result.stderr.splitlines()) == 1, arguments


def test_the_emulator_needs_no_setting_and_ctrl_c_ends_it_quietly(tmp_path: Path, free_port: int) -> None:
    state = tmp_path / "state.sqlite"
    arguments = ("whop-emulator", "--port", str(free_port), "--state", str(state), "--api-key", "k")
    with running(tmp_path, *arguments) as process:
        answering(process, f"http://127.0.0.1:{free_port}/health")
        key = {"Authorization": "Bearer k"}
        assert httpx.get(f"http://127.0.0.1:{free_port}/api/v1/plans", headers=key, trust_env=False).is_success
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 130
        assert f"http://127.0.0.1:{free_port}" in stdout
        assert "Traceback" not in stderr
        assert "KeyboardInterrupt" not in stderr


def test_a_damaged_state_is_one_sentence(tmp_path: Path, free_port: int) -> None:
    state = tmp_path / "state.sqlite"
    state.write_text("{" * 100)
    code, _, stderr = finished(tmp_path, "whop-emulator", "--port", str(free_port), "--state", str(state))
    assert code == 1
    assert stderr.splitlines()[-1].startswith(f"Error: {state} is damaged or no emulator state")


def test_web_serves_and_leaves_on_sigterm(tmp_path: Path, free_port: int, database_url: str) -> None:
    flags = ("--host", "127.0.0.1", "--port", str(free_port))
    # The flags win over the environment, whose port nobody could listen on.
    with running(tmp_path, "web", *flags, DATABASE_URL=database_url, QUNTEDGE_PORT="1", **SETTINGS) as process:
        answering(process, f"http://127.0.0.1:{free_port}/health/live")
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, stderr
        assert "Traceback" not in stderr


@pytest.mark.long
def test_a_child_ends_with_its_parent(tmp_path: Path, database_url: str) -> None:
    with running(tmp_path, "worker", "--with-parent", DATABASE_URL=database_url, **SETTINGS) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        while "worker.started" not in (line := process.stderr.readline()):
            assert line, "the worker did not start"
        process.stdin.close()
        assert process.wait(timeout=SECONDS) == 0


def test_an_error_nobody_expected_is_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("the moon is blue")

    monkeypatch.setattr(command_line, "app", fail)
    monkeypatch.setattr(sys, "argv", ["quntedge", "worker"])
    with pytest.raises(SystemExit) as exit_:
        command_line.main()
    assert exit_.value.code == 1
    stderr = capsys.readouterr().err
    assert "RuntimeError: the moon is blue" in stderr
    assert len(stderr.splitlines()) == 1
    monkeypatch.setattr(sys, "argv", ["quntedge", "--traceback", "worker"])
    with pytest.raises(RuntimeError):
        command_line.main()


def test_the_set_up_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    script = tmp_path / "tools" / "setup.sh"
    script.write_bytes((Path(__file__).parents[2] / "tools" / "setup.sh").read_bytes())
    no_python = subprocess.run(
        ["/bin/sh", script], env={"PATH": str(tmp_path), "PYTHON": ""}, capture_output=True, text=True, check=False
    )
    wrong_python = subprocess.run(
        ["/bin/sh", script], env={"PATH": "/usr/bin:/bin", "PYTHON": "/bin/false"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (no_python.returncode, wrong_python.returncode) == (1, 1)
    assert "Python 3.11 or newer is needed and was not found" in no_python.stderr
    assert wrong_python.stderr == "Error: PYTHON=/bin/false is not Python 3.11 or newer.\n"
