from quntedge.access.rules import FeatureTable, Worth
from quntedge.access.tables import FeatureRow, FeatureTables

BOOLEAN: FeatureRow = (1, "basic", "boolean", "free", ["free", "pro"], None)
PAID: FeatureRow = (2, "extra", "boolean", None, ["pro"], None)
NOBODYS: FeatureRow = (0, "later", "boolean", None, (), None)
LIMIT: FeatureRow = (3, "alerts", "limit", "free", ["free", "less", "same", "more", "all"], ["5", "3", "5", "7", None])
CONFIG: FeatureRow = (4, "region", "config", None, ["pro"], ["eu-west"])
CHOICE: FeatureRow = (5, "support", "config", "free", ["free", "pro"], ["forum", "phone"])
ENDLESS: FeatureRow = (6, "seats", "limit", "free", ["free", "pro"], [None, "5"])


def test_rows_become_the_table_in_the_order_of_the_catalogue() -> None:
    assert FeatureTables().of([PAID, BOOLEAN, NOBODYS]) == FeatureTable(
        known=("later", "basic", "extra"),
        free=frozenset({"basic"}),
        by_plan={"free": frozenset({"basic"}), "pro": frozenset({"basic", "extra"})},
    )


def test_only_what_is_better_than_what_everybody_has_is_worth_something() -> None:
    worth = FeatureTables().of([LIMIT, CONFIG, CHOICE, ENDLESS]).worth
    assert worth == {
        "alerts": Worth({"more": 7, "all": None}, free=5),
        "region": Worth({"pro": "eu-west"}),
        "support": Worth({"pro": "phone"}, free="forum"),
        "seats": Worth({}, free=None),
    }


def test_the_table_is_kept_for_as_long_as_the_rows_are_the_same() -> None:
    tables = FeatureTables()
    first = tables.of([BOOLEAN, PAID])
    assert tables.of([BOOLEAN, PAID]) is first
    assert tables.of([BOOLEAN]).known == ("basic",)
    assert tables.of([BOOLEAN, PAID]) == first
