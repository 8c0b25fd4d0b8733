"""The next migration holds what the models have beyond the migrations, and nothing else."""

from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text
from tools import new_migration

from quntedge.schema import all_tables
from quntedge.storage import migrate


def _models() -> MetaData:
    """A copy of the models that a test may change."""
    copied = MetaData(naming_convention=all_tables().naming_convention)
    for table in all_tables().tables.values():
        table.to_metadata(copied)
    return copied


def test_a_new_table_becomes_the_next_migration(database_url: str, tmp_path: Path) -> None:
    models = _models()
    Table("mood", models, Column("id", Text, primary_key=True))
    before = set(migrate.VERSIONS.iterdir())
    newest = migrate.pending(database_url)[1]

    written = new_migration.write(database_url, models, "Add moods", tmp_path)

    assert written is not None
    assert written.parent == tmp_path
    assert written.name == f"r{int(newest) + 1:04}_add_moods.py"
    source = written.read_text()
    compile(source, str(written), "exec")
    assert "import sqlalchemy as sa\n" in source
    assert f"revision = '{int(newest) + 1:04}'\ndown_revision = '{newest}'\n" in source
    assert source.count("op.create_table('mood'") == 1
    assert source.count("op.") - source.count("op.f(") == 2, "only the table is made, and dropped again"
    assert set(migrate.VERSIONS.iterdir()) - before <= {migrate.VERSIONS / "__pycache__"}


def test_nothing_is_written_while_models_and_migrations_agree(database_url: str, tmp_path: Path) -> None:
    assert new_migration.write(database_url, _models(), "Nothing", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], [""], ["  ", "…"]])
def test_a_migration_needs_a_name(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert new_migration.main(arguments) == 2
    assert 'make migration NAME="' in capsys.readouterr().err
