"""Rules about the shape of the code and of the schema that no linter knows."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column

from quntedge.schema import all_tables
from quntedge.storage import migrate
from quntedge.storage.base import BlindIndex, SealedText

SOURCE = Path(__file__).parents[2] / "src" / "quntedge"
PRICES = ("rules", "preview", "told", "credits", "shares")
PURE = sorted(
    {path for name in ("rules.py", "events.py") for path in SOURCE.glob(f"*/{name}")}
    | {SOURCE / f"pricing/{name}.py" for name in PRICES}
)
PURE_PACKAGES = ("quntedge.kit", *(f"quntedge.pricing.{name}" for name in PRICES))


def _columns() -> Iterator[Column[object]]:
    for table in all_tables().sorted_tables:
        yield from table.columns


@pytest.mark.parametrize("column", [pytest.param(column, id=str(column)) for column in _columns()])
def test_every_column_says_what_it_holds(column: Column[object]) -> None:
    classification = column.info.get("classification")
    assert classification in ("business", "personal", "secret"), f"{column} is not classified"
    if classification == "personal":
        assert isinstance(column.type, SealedText | BlindIndex), f"{column} could hold plain personal data"


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(SOURCE))) for path in PURE])
def test_rules_and_events_need_only_the_standard_library_kit_and_prices(path: Path) -> None:
    for module in _imports(path):
        top = module.partition(".")[0]
        own = f"quntedge.{path.parent.name}."
        allowed = top in sys.stdlib_module_names or module.startswith((*PURE_PACKAGES, own))
        assert allowed, f"{path.name} of {path.parent.name} imports {module}"


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_prices_are_rounded_in_one_place() -> None:
    # The gateway's adapter turns its units into ours, and the ledger splits what was given back.
    others = {SOURCE / "gateway/whop/shapes_finance.py", SOURCE / "bookkeeping/rules.py"}
    for path in sorted(SOURCE.rglob("*.py")):
        folder = path.relative_to(SOURCE).parts[0]
        if folder not in ("kit", "pricing") and "emulator" not in path.parts and path not in others:
            assert "round_half_away" not in path.read_text(), (
                f"{path} rounds by itself: that belongs to quntedge.pricing"
            )


def test_no_import_is_hidden_inside_a_function() -> None:
    for path in SOURCE.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                hidden = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
                assert not hidden, f"{path} imports inside {function.name}"


def test_nothing_reads_the_wall_clock_but_the_clock() -> None:
    allowed = {SOURCE / "kit" / "clock.py", SOURCE / "kit" / "following_clock.py"}
    for path in set(SOURCE.rglob("*.py")) - allowed:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
                owner = ast.unparse(node.value)
                assert owner not in ("datetime", "datetime.datetime", "date"), f"{path}:{node.lineno}"


def test_money_is_rounded_by_the_one_rounding_function() -> None:
    # Elsewhere durations are rounded for people to read.
    features = ("kit", "catalog", "payments", "subscriptions", "checkout", "invoices", "refunds", "gateway/whop")
    for path in (path for feature in features for path in (SOURCE / feature).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "round":
                raise AssertionError(f"{path}:{node.lineno} uses round()")


def test_models_and_migrations_agree(database_url: str) -> None:
    assert migrate.drift(database_url, all_tables()) == []
    current, head = migrate.pending(database_url)
    assert current == head


def test_migrating_twice_and_at_once_is_harmless(database_url: str) -> None:
    migrate.upgrade(database_url, all_tables())
    migrate.upgrade(database_url, all_tables())
    current, head = migrate.pending(database_url)
    assert current == head
