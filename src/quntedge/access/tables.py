"""Making the feature table out of rows: once for as long as the database keeps saying the same."""

from collections.abc import Mapping, Sequence

from quntedge.access.rules import FeatureTable, Worth
from quntedge.catalog.features import FeatureValue, is_lower, value_from_text

FeatureRow = tuple[int, str, str, str | None, Sequence[str], Sequence[str | None] | None]
"""Position, code and kind of a feature, the free plan where that one brings it, the plans that do, and what it is worth
in each of them (None where it is yes or no)."""


class FeatureTables:
    """Keeps the table of the rows that were given last.

    The catalogue changes a few times a year and is read with every batch. Comparing the rows costs a fraction of
    sorting them into sets again, and the answer is still what the database said at that moment.
    """

    def __init__(self) -> None:
        self._rows: Sequence[FeatureRow] = ()
        self._table = _feature_table(())

    def of(self, rows: Sequence[FeatureRow]) -> FeatureTable:
        """The table that these rows make."""
        if rows != self._rows:
            self._table = _feature_table(sorted(rows, key=lambda row: row[:2]))
            self._rows = rows
        return self._table


def _feature_table(rows: Sequence[FeatureRow]) -> FeatureTable:
    by_plan: dict[str, set[str]] = {}
    free: set[str] = set()
    worth: dict[str, Worth] = {}
    for _, code, kind, free_plan_id, plan_ids, values in rows:
        for plan_id in plan_ids:
            by_plan.setdefault(plan_id, set()).add(code)
        if free_plan_id is not None:
            free.add(code)
        if values is not None:
            known = {plan_id: value_from_text(kind, text) for plan_id, text in zip(plan_ids, values, strict=True)}
            worth[code] = _worth(known, free_plan_id)
    return FeatureTable(
        known=tuple(row[1] for row in rows),
        free=frozenset(free),
        by_plan={plan_id: frozenset(codes) for plan_id, codes in by_plan.items()},
        worth=worth,
    )


def _worth(values: Mapping[str, FeatureValue], free_plan_id: str | None) -> Worth:
    if free_plan_id is None:
        return Worth(values)
    free = values[free_plan_id]
    better = {plan_id: value for plan_id, value in values.items() if value != free and not is_lower(value, free)}
    return Worth(better, free)
