"""What the figures were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psycopg


def describe(database_url: str) -> dict[str, str]:
    """Processor, memory, versions, and those database settings that decide what "durable" costs."""
    return {**host(), **_postgresql(database_url)}


def host() -> dict[str, str]:
    """Processor, memory, versions."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "sqlalchemy", "psycopg")),
    }


def load_average() -> float:
    """How many processes wanted to run during the last minute; well over zero before the start spoils figures."""
    return os.getloadavg()[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _postgresql(database_url: str) -> dict[str, str]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT name, current_setting(name) FROM unnest(ARRAY['server_version', 'fsync', 'synchronous_commit',"
            " 'full_page_writes', 'shared_buffers']) AS s (name)"
        ).fetchall()
    (_, release), *durability = rows
    return {
        "postgresql": str(release),
        "durability": ", ".join(f"{name} {value}" for name, value in durability),
    }
