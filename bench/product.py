"""The product's own processes, started as anybody would start them."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from bench import world
from bench.children import Child, ChildFailed, child

_PATIENCE_SECONDS = 30.0


@contextmanager
def web(database_url: str) -> Iterator[tuple[Child, int]]:
    """`quntedge web` on a free port, ready to answer."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    environment = world.environment(database_url)
    with child("quntedge", "web", "--port", str(port), environment=environment, talks=False) as process:
        _wait(process, lambda: _accepts(port))
        yield process, port


@contextmanager
def worker(database_url: str) -> Iterator[Child]:
    """`quntedge worker`, listening."""
    environment = world.environment(database_url)
    with child("quntedge", "worker", environment=environment, talks=False) as process:
        _wait(process, lambda: _listens(database_url))
        yield process


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


def _listens(database_url: str) -> bool:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query ILIKE 'LISTEN%webhook_inbox%'"
        ).fetchone()
    return row is not None and row[0] > 0


def _wait(process: Child, ready: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while not ready():
        if not process.is_running or time.monotonic() > give_up:
            raise ChildFailed("a process of the product did not start")
        time.sleep(0.05)
