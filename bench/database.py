"""A PostgreSQL server of the run's own, with the durability a production server has, and databases cloned from one."""

import itertools
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.embedded import EmbeddedServer


class BenchServer:
    """An embedded server with default settings but one: it keeps commit times, so that lag can be measured exactly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        server = EmbeddedServer(folder)
        with psycopg.connect(server.admin_url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        # That one setting takes effect at a start only.
        server.stop()
        self._server = EmbeddedServer(folder)
        self._numbers = itertools.count(1)
        with psycopg.connect(self.admin_url) as connection:
            self._postmaster = psutil.Process(psutil.Process(connection.info.backend_pid).ppid())

    @property
    def admin_url(self) -> str:
        """Address of the maintenance database."""
        return self._server.admin_url()

    def url(self, name: str) -> str:
        """Address of a database."""
        return make_url(self.admin_url).set(database=name).render_as_string(hide_password=False)

    def migrated(self, name: str) -> str:
        """Makes an empty database with the newest schema and returns its address."""
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        migrate.upgrade(self.url(name), all_tables())
        return self.url(name)

    @contextmanager
    def clone(self, template: str) -> Iterator[str]:
        """Address of a copy of a database nobody is connected to; the copy is dropped at the end."""
        name = f"{template}_{next(self._numbers)}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        # Every round begins with the same nothing to write back.
        self._execute(sql.SQL("CHECKPOINT"))
        try:
            yield self.url(name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def cpu_seconds(self) -> float:
        """Processor time the server has used so far, all its processes together, those that ended included."""
        used = self._postmaster.cpu_times()
        total = float(used.user + used.system + used.children_user + used.children_system)
        for process in self._postmaster.children():
            with suppress(psutil.NoSuchProcess):
                used = process.cpu_times()
                total += used.user + used.system
        return total

    def stop(self) -> None:
        """Stops the server."""
        self._server.stop()

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)


def settle(database_url: str) -> None:
    """Vacuums and analyses the tables that hold rows.

    An empty table that was analysed is planned as empty: the checks of foreign keys in a session that began with it
    would read all of it for every row until the next ANALYZE. A server in use never has such statistics.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        filled = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class AS c"
            " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND pg_relation_size(c.oid) > 0"
        ).fetchall()
        for (table,) in filled:
            connection.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.SQL(table)))


@contextmanager
def bench_server() -> Iterator[BenchServer]:
    """A server in a temporary folder; both are gone afterwards, also when the run is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    folder = Path(tempfile.mkdtemp(prefix="quntedge-bench-"))
    try:
        server = BenchServer(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
