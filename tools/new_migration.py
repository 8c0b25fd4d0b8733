"""Writes the next migration: `python -m tools.new_migration "add refund reasons"` (or `make migration NAME="…"`).

It compares the models with a throw-away database that all migrations made, so no database of yours is touched.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from sqlalchemy import MetaData

from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.embedded import EmbeddedServer

USAGE = 'Say in a few words what changes: make migration NAME="add refund reasons".'


def write(database_url: str, metadata: MetaData, name: str, folder: Path = migrate.VERSIONS) -> Path | None:
    """Migrates an empty database and writes what the models have beyond it; None when they agree."""
    migrate.upgrade(database_url, metadata)
    if not migrate.drift(database_url, metadata):
        return None
    return migrate.new_revision(database_url, metadata, name, folder)


def main(arguments: list[str]) -> int:
    """Prints the file to read and mend. The exit code says whether there is one."""
    name = " ".join(arguments).strip()
    if not any(character.isalnum() for character in name):
        print(USAGE, file=sys.stderr)  # noqa: T201
        return 2
    data = Path(tempfile.mkdtemp(prefix="quntedge-migration-"))
    server = EmbeddedServer(data)
    try:
        written = write(server.url(), all_tables(), name)
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
    if written is None:
        print("The models and the migrations agree: there is nothing to write.")  # noqa: T201
        return 1
    print(f"{written}\nRead it, mend it, format it; make check compares the result with the models.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
