"""Checks that the migrations lead to what the models say: `python -m tools.check_migrations`.

One head, and no difference between a freshly migrated database and the models. The database is a throw-away one.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from alembic.script import ScriptDirectory

from quntedge.schema import all_tables
from quntedge.storage import migrate, migrations
from quntedge.storage.embedded import EmbeddedServer


def main() -> int:
    """Prints what is wrong; the exit code says whether something is."""
    heads = ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads()
    if len(heads) != 1:
        print(f"There must be one newest migration, there are {len(heads)}: {', '.join(heads)}.")  # noqa: T201
        return 1
    folder = Path(tempfile.mkdtemp(prefix="quntedge-migrations-"))
    server = EmbeddedServer(folder)
    try:
        url = server.url()
        migrate.upgrade(url, all_tables())
        differences = migrate.drift(url, all_tables())
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for difference in differences:
        print(f"The models and the migrations differ: {difference}")  # noqa: T201
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
