"""The emulator as a program of its own: what it pulls in, how fast it starts, how it stops."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

PROGRAM = """
import sys
from pathlib import Path
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.serving import serve
port = int(sys.argv[1])
config = EmulatorConfig(public_base_url=f"http://127.0.0.1:{port}", snapshot_path=Path(sys.argv[2]))
serve(config, port=port)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_needs_nothing_but_the_kit() -> None:
    code = "import json, sys, quntedge.gateway.emulator.serving; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    own = {name for name in modules if name.startswith("quntedge.")}
    assert all(name.startswith(("quntedge.kit", "quntedge.gateway")) for name in own)
    assert not {name for name in own if name.startswith("quntedge.gateway.whop")}
    assert not {"sqlalchemy", "psycopg", "whop_sdk", "procrastinate", "fastapi"} & set(modules)


def test_serving_until_told_to_stop(tmp_path: Path) -> None:
    port, snapshot = free_port(), tmp_path / "emulator.json"
    base = f"http://127.0.0.1:{port}"
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(port), str(snapshot)])
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{base}/health", trust_env=False).status_code == 200:
                    break
            time.sleep(0.05)
        head = {"authorization": "Bearer whop_emulator_key"}
        made = httpx.post(f"{base}/api/v1/products", json={"title": "Kept"}, headers=head, trust_env=False)
        assert made.status_code == 201
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(15)
    assert "Kept" in snapshot.read_text()
