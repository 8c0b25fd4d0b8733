"""Whether a run had the effects it should have had. A fast worker that loses an invoice has measured nothing."""

from typing import Any

import psycopg


def check_renewals(url: str, renewals: int, *, begun: int = 0) -> None:
    """Raises AssertionError unless exactly these renewals are in the database, each with all its traces.

    `begun` events of one more renewal may have been sent: two are its payment, the third moves the period.
    """
    with psycopg.connect(url) as connection:
        found: dict[str, Any] = {name: connection.execute(query).fetchall()[0][0] for name, query in _QUERIES.items()}
        gaps = connection.execute(_GAPS).fetchall()
    paid = renewals + (begun == 2)
    expected = dict.fromkeys(_NONE, 0) | dict.fromkeys(_OF_PAYMENTS, paid) | dict.fromkeys(_OF_MEMBERSHIPS, renewals)
    wrong = {name: value for name, value in found.items() if value != expected[name]}
    if wrong or gaps:
        raise AssertionError(f"{renewals} renewals were sent; not as expected: {wrong}, gaps in numbering: {gaps}")


_NONE = ("events not finished", "statuses wrong")
_OF_PAYMENTS = ("payments", "invoices", "mails")
_OF_MEMBERSHIPS = ("history", "periods moved")
_QUERIES = {
    # A creation that arrives after the success is stale, as it should be.
    "events not finished": "SELECT count(*) FROM webhook_event WHERE state NOT IN ('processed', 'stale')",
    "statuses wrong": "SELECT count(*) FROM subscription WHERE status <> 'active'",
    "payments": "SELECT count(*) FROM payment_transaction WHERE status = 'paid' AND subscription_id IS NOT NULL",
    "invoices": "SELECT count(*) FROM invoice WHERE status = 'paid' AND number IS NOT NULL",
    "history": "SELECT count(*) FROM subscription_event WHERE kind = 'subscription.renewed'",
    "mails": "SELECT count(*) FROM notification WHERE kind = 'renewal_paid'",
    "periods moved": "SELECT coalesce(sum(round(extract(epoch FROM period_end - started_at) / 2592000) - 1), 0)::int"
    " FROM subscription",
}
_GAPS = """
    SELECT series, last_number, numbers FROM invoice_counter JOIN LATERAL (
        SELECT count(DISTINCT number) AS numbers, max(right(number, 6)::int) AS highest FROM invoice
        WHERE number LIKE series || '-%') AS given ON true
    WHERE last_number <> numbers OR last_number <> highest
"""
