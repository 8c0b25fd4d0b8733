"""What an invoice looks like, given its payment."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from quntedge.invoices import rules
from quntedge.invoices.models import Invoice
from quntedge.payments.models import PaymentTransaction
from quntedge.schema import all_tables


@pytest.mark.parametrize(
    ("moment", "zone", "series"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "UTC", "INV-2026"),
        (datetime(2027, 1, 1, tzinfo=UTC), "UTC", "INV-2027"),
        (datetime(2027, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), "UTC", "INV-2026"),
        (datetime(2026, 12, 31, 23, 0, tzinfo=UTC), "Europe/Paris", "INV-2027"),
        (datetime(2027, 1, 1, 4, 59, tzinfo=UTC), "America/New_York", "INV-2026"),
    ],
)
def test_the_series_is_the_year_where_the_seller_is(moment: datetime, zone: str, series: str) -> None:
    assert rules.series_of(rules.INVOICES, moment, time_zone=zone) == series
    assert rules.series_of(rules.CREDIT_NOTES, moment, time_zone=zone) == series.replace("INV", "CN")
    assert rules.series_of(rules.INVOICES, moment, code="FR", time_zone=zone) == f"FR-{series}"


def test_numbers_sort_as_text_and_do_not_end_at_a_million() -> None:
    assert str(rules.DocumentNumber("INV-2026", 7)) == "INV-2026-000007"
    assert str(rules.DocumentNumber("INV-2026", 1_234_567)) == "INV-2026-1234567"


@pytest.mark.parametrize(
    ("status", "total", "needed"),
    [("paid", 1, True), ("paid", 0, False), ("paid", None, False), ("open", 3161, True), ("draft", 3161, False)],
)
def test_only_what_is_to_be_paid_needs_an_invoice(status: str, total: int | None, needed: bool) -> None:
    assert rules.needs_invoice(status, total) is needed


def test_every_status_a_payment_can_have_leads_to_one_an_invoice_can_have() -> None:
    allowed = _allowed(Invoice) - {"draft", "past_due"}
    for status in _allowed(PaymentTransaction) - {"draft"}:
        assert rules.status_from_payment(status) in allowed


def _allowed(model: type[Invoice] | type[PaymentTransaction]) -> set[str]:
    checks = [
        str(getattr(constraint, "sqltext", "")) for constraint in all_tables().tables[model.__tablename__].constraints
    ]
    (check,) = [text for text in checks if text.startswith("status IN")]
    return set(check.split("'")[1::2])


@pytest.mark.parametrize(
    ("status", "failed", "expected"),
    [
        ("open", False, "open"),
        ("open", True, "payment_failed"),
        ("past_due", True, "payment_failed"),
        ("paid", True, "paid"),
        ("void", True, "void"),
        ("unknown", False, "open"),
    ],
)
def test_a_failed_payment_shows_only_on_what_is_still_owed(status: str, failed: bool, expected: str) -> None:
    assert rules.status_from_gateway(status, payment_failed=failed) == expected


@pytest.mark.parametrize("settled", sorted(rules.SETTLED))
def test_a_settled_invoice_is_never_opened_again(settled: str) -> None:
    for incoming in ("draft", "open", "past_due", "payment_failed", "void", "uncollectible"):
        assert rules.merged_status(settled, incoming) == settled
        assert rules.merged_status(incoming, settled) == settled
