"""Which period a payment is for."""

from datetime import UTC, datetime, timedelta

import pytest

from quntedge.invoices.lines import paid_period

AT = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = (AT - 30 * DAY, AT)
NEW = (AT, AT + 30 * DAY)


@pytest.mark.parametrize(
    ("paid_at", "known", "days", "expected"),
    [
        (AT, NEW, 30, NEW),
        (AT - timedelta(hours=1), NEW, 30, NEW),
        # The payment is told before the period that it begins.
        (AT, OLD, 30, NEW),
        (AT - timedelta(hours=1), OLD, 30, NEW),
        (AT + 4 * DAY, OLD, 30, NEW),
        # Periods of a day.
        (AT, (AT - DAY, AT), 1, (AT, AT + DAY)),
        (AT, (AT, AT + DAY), 1, (AT, AT + DAY)),
        # Long ago, or once and for all.
        (AT - 90 * DAY, NEW, 30, (None, None)),
        (AT, (AT, None), None, (None, None)),
        (AT, (None, None), 30, (None, None)),
        (AT, OLD, None, (None, None)),
    ],
)
def test_which_period_a_payment_is_for(
    paid_at: datetime,
    known: tuple[datetime | None, datetime | None],
    days: int | None,
    expected: tuple[datetime | None, datetime | None],
) -> None:
    assert paid_period(paid_at, *known, days) == expected
