"""A year of many subscriptions passes in one go, and everything in it happens at its own time.

The whole year of a hundred takes about a minute: `make test-year`.
"""

import os
from collections import Counter
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest

from tests.journeys.crowd import Buyer, buy, buyers, charges, mails, near
from tests.journeys.world import Product

HUNDRED = pytest.mark.skipif("QUNTEDGE_TEST_YEAR" not in os.environ, reason="takes a minute: make test-year")


@pytest.mark.parametrize(
    ("subscriptions", "waves", "months"),
    [
        pytest.param(20, 1, 4, id="twenty", marks=pytest.mark.long),
        # Every wave has instants of its own, so this is also a year with several times as many of them.
        pytest.param(100, 5, 12, id="hundred", marks=HUNDRED),
    ],
)
async def test_months_pass_as_if_time_had_passed(product: Product, subscriptions: int, waves: int, months: int) -> None:
    crowd = buyers(subscriptions)
    for wave in range(waves):
        for buyer in crowd[wave::waves]:
            await buy(product, buyer)
        await product.emulator.advance(hours=20)
    await product.emulator.advance(months=months)
    await _every_charge_has_its_transaction_and_invoice(product, crowd)
    await _every_mail_went_out_once_at_its_own_time(product, crowd)
    await _the_failed_and_the_leaving_have_ended_at_their_instant(product, crowd)
    assert (await product.rows("SELECT count(*) AS n FROM gateway_difference"))[0]["n"] == 0


async def _every_charge_has_its_transaction_and_invoice(product: Product, crowd: list[Buyer]) -> None:
    ours = await product.rows(
        "SELECT t.whop_payment_id, t.status, t.paid_at, t.updated_at AS known_at, i.number, i.status AS billed,"
        " i.paid_at AS billed_at FROM payment_transaction t"
        " LEFT JOIN invoice i ON i.whop_payment_id = t.whop_payment_id WHERE t.total_minor > 0"
    )
    theirs = {charge.id: charge for charge in charges(product)}
    assert Counter(row["whop_payment_id"] for row in ours) == Counter(theirs.keys())
    paid = [row for row in ours if row["status"] == "paid"]
    assert {row["whop_payment_id"] for row in paid} == {found.id for found in theirs.values() if found.paid_at}
    assert len(paid) > 2 * len(crowd)
    for row in paid:
        assert row["billed"] == "paid"
        assert near(row["paid_at"], theirs[row["whop_payment_id"]].paid_at)
    # Numbers are given in order of time, none is missing, none given twice; each year has a series of its own.
    paid.sort(key=lambda row: row["number"])
    assert all(
        one["paid_at"] <= other["paid_at"] or near(one["paid_at"], other["paid_at"]) for one, other in pairwise(paid)
    )
    for year, numbers in _by_series([row["number"] for row in paid]).items():
        assert numbers == list(range(1, len(numbers) + 1)), year


def _by_series(numbers: list[str]) -> dict[str, list[int]]:
    series: dict[str, list[int]] = {}
    for number in numbers:
        prefix, _, last = number.rpartition("-")
        series.setdefault(prefix, []).append(int(last))
    return series


async def _every_mail_went_out_once_at_its_own_time(product: Product, crowd: list[Buyer]) -> None:
    every = await mails(product)
    sent = [mail for mail in every if mail["state"] == "sent"]
    # That a payment failed is not told any more when the subscription has ended with it; and the invoice of a purchase
    # has no mail of its own when the confirmation took it along.
    assert {mail["kind"] for mail in every if mail["state"] != "sent"} <= {"payment_failed", "invoice"}
    assert all(near(mail["sent_at"], mail["created_at"]) for mail in sent)
    renewals = sorted(charge.paid_at for charge in charges(product) if charge.renewal and charge.paid_at)
    told = [mail for mail in sent if mail["kind"] in {"renewal_paid", "trial_converted", "payment_recovered"}]
    assert len(told) == len(renewals)
    assert all(near(mail["sent_at"], at) for mail, at in zip(told, renewals, strict=True))
    assert all(near(mail["sent_at"], datetime.fromisoformat(mail["params"]["paid_at"])) for mail in told)
    failures = sum(charge.failures for charge in charges(product))
    counts = Counter(mail["kind"] for mail in every)
    trials = sum(buyer.plan == "monthly" for buyer in crowd)
    assert counts["payment_failed"] == failures > 0
    assert (counts["trial_started"], counts["subscription_confirmed"]) == (trials, len(crowd) - trials)
    assert counts["trial_ending"] == sum(buyer.plan == "monthly" and buyer.fate != "leaves" for buyer in crowd)
    # The mail server saw the same mails in the order of time, each dated when it was sent. Those of one instant travel
    # side by side.
    assert len(product.post.mails) == len(sent)
    dates = [parsedate_to_datetime(str(mail["date"])) for mail in product.post.mails]
    assert all(one <= other or near(one, other) for one, other in pairwise(dates))
    assert all(near(date, mail["sent_at"]) for date, mail in zip(dates, sent, strict=True))


async def _the_failed_and_the_leaving_have_ended_at_their_instant(product: Product, crowd: list[Buyer]) -> None:
    leaving = sum(buyer.fate in {"fails", "leaves"} for buyer in crowd)
    ended = await product.rows(
        "SELECT s.whop_membership_id AS id, e.at FROM subscription s JOIN subscription_event e"
        " ON e.subscription_id = s.id AND e.after ->> 'status' = s.status AND e.before ->> 'status' <> s.status"
        " WHERE s.status = 'canceled'"
    )
    assert len(ended) == leaving
    memberships = product.emulator.runtime.world.store.tables.memberships
    assert all(near(row["at"], memberships[row["id"]].updated_at) for row in ended)
    others = await product.rows("SELECT status FROM subscription WHERE status <> 'canceled'")
    assert Counter(row["status"] for row in others) == {"active": len(crowd) - leaving}


@pytest.mark.long
async def test_the_clock_stops_where_our_own_things_fall_due(product: Product) -> None:
    """Whop knows nothing of our grace period; its end is an instant all the same."""
    (buyer,) = (found for found in buyers(20) if found.fate == "fails" and found.plan == "quarterly")
    preferences = product.emulator.runtime.world.store.tables.preferences
    preferences["subscription_failure_behavior"] = "none"
    await product.runtime.unpaid.check()
    await buy(product, buyer)
    await product.emulator.advance(days=91)
    (due,) = await product.rows("SELECT status, grace_until FROM subscription")
    assert due["status"] == "past_due"
    stops: list[datetime] = []
    clock = product.runtime.clock
    unsubscribe = clock.subscribe(lambda: stops.append(clock.now()))  # type: ignore[attr-defined]
    await product.emulator.advance(days=20)
    unsubscribe()
    assert any(timedelta(0) <= stop - due["grace_until"] < timedelta(minutes=15) for stop in stops)
    assert stops == sorted(stops)
