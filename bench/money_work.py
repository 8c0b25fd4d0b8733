"""The work on the tables of money that `bench.explain` looks at: what people and sweeps ask of them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from quntedge.audit import queries as audit
from quntedge.disputes import queries as disputes
from quntedge.disputes.rules import OPEN
from quntedge.edge import reads
from quntedge.kit.paging import encode_cursor
from quntedge.ledger import queries as ledger
from quntedge.ledger.rules import Account
from quntedge.methods import queries as methods
from quntedge.payments import queries as payments
from quntedge.payments.queries import TransactionFilter
from quntedge.plan_migrations import queries as migrations
from quntedge.promotions import queries as promotions
from quntedge.reconciliation import comparing, older, queries, runs
from quntedge.reconciliation.comparing import Slice
from quntedge.refunds import queries as refunds
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.wiring import Runtime

Work = Callable[[], Awaitable[object]]
In = Callable[[UnitOfWork], Awaitable[object]]
PAGE = 20


def works(runtime: Runtime, user_id: str) -> dict[str, Work]:
    """Each kind of work by its name; none of it commits anything that is to stay."""
    now = runtime.clock.now()
    tail = f"{0x2710:026x}"

    def within(ask: In) -> Work:
        async def run() -> None:
            async with runtime.units() as unit:
                await ask(unit)

        return run

    asked: dict[str, In] = {}
    for part in (_ledger, _payments, _contested, _reconciliation, _rest):
        asked |= part(user_id, tail, now)
    found = {name: within(ask) for name, ask in asked.items()}
    found["sweep, fees"] = runtime.awaited_fees.post_due
    return found


def _ledger(user_id: str, tail: str, now: datetime) -> dict[str, In]:
    cursor = encode_cursor(now - timedelta(days=350), "led_zzz")
    source, payment = [f"ref_{tail}"], f"txn_{tail}"
    filters = {
        "all": ledger.EntryFilter(),
        "a customer": ledger.EntryFilter(user_id=user_id),
        "a source": ledger.EntryFilter(source=source[0]),
        "a payment": ledger.EntryFilter(transaction_id=payment),
    }

    def entries(which: ledger.EntryFilter) -> In:
        return lambda unit: ledger.entries(unit.session, which, None, PAGE)

    async def held(unit: UnitOfWork) -> None:
        await ledger.by_source(await unit.connection(), source)
        await ledger.by_transaction(await unit.connection(), [payment])

    async def balances(unit: UnitOfWork) -> None:
        await ledger.balances(await unit.connection())
        await ledger.balances(await unit.connection(), now - timedelta(days=300))
        await ledger.activity(await unit.connection(), (now - timedelta(days=30)).date(), now.date())

    return {
        **{f"ledger, entries of {name}": entries(which) for name, which in filters.items()},
        "ledger, a statement": lambda unit: ledger.statement(
            unit.session, Account.REVENUE, "usd", cursor, PAGE, since=now - timedelta(days=600), until=now
        ),
        "ledger, what stands": held,
        "ledger, balances": balances,
    }


def _payments(user_id: str, tail: str, now: datetime) -> dict[str, In]:
    cursor = encode_cursor(now - timedelta(days=350), "txn_zzz")
    since, before = now - timedelta(days=60), now - timedelta(days=30)
    filters = {
        "all": TransactionFilter(),
        "some days": TransactionFilter(since=since, before=before),
        "failed": TransactionFilter(statuses=["failed"]),
        "collected": TransactionFilter(statuses=["paid"]),
        "a customer": TransactionFilter(user_id=user_id),
        "a currency": TransactionFilter(currency="usd"),
        "an id": TransactionFilter(named="pay_old10000"),
        "a membership": TransactionFilter(named="mem_none"),
    }

    def find(which: TransactionFilter) -> In:
        return lambda unit: payments.find(unit.session, which, cursor, PAGE)

    return {
        **{f"payments, {name}": find(which) for name, which in filters.items()},
        "payments, attempts": lambda unit: payments.attempts_of(unit.session, [f"txn_{tail}"]),
        "invoices, corrections": lambda unit: reads.credit_notes_of(unit.session, f"inv_{tail}"),
    }


def _contested(user_id: str, tail: str, now: datetime) -> dict[str, In]:
    cursor = encode_cursor(now - timedelta(days=350), "zzz")
    asked = {
        "all": disputes.DisputeFilter(),
        "of a rare status": disputes.DisputeFilter(status="prevented"),
        "open": disputes.DisputeFilter(status=OPEN[0]),
        "a customer": disputes.DisputeFilter(user_id=user_id),
        "a payment": disputes.DisputeFilter(transaction_id=f"txn_{tail}"),
        "to answer": disputes.DisputeFilter(waiting=True),
    }
    wanted = {
        "all": refunds.Filter(),
        "waiting": refunds.Filter(statuses=["requested", "unknown"]),
        "a customer": refunds.Filter(user_id=user_id),
        "a payment": refunds.Filter(transaction_id=f"txn_{tail}"),
        "asked for by": refunds.Filter(requested_by="staff:kim"),
    }

    def dispute(which: disputes.DisputeFilter) -> In:
        return lambda unit: disputes.disputes(unit.session, which, PAGE, None)

    def refund(which: refunds.Filter) -> In:
        return lambda unit: refunds.find(unit.session, which, cursor, PAGE)

    return {
        **{f"disputes, {name}": dispute(which) for name, which in asked.items()},
        **{f"refunds, {name}": refund(which) for name, which in wanted.items()},
        "disputes, alerts": lambda unit: disputes.alerts(unit.session, PAGE, cursor),
        "disputes, by Whop's id": lambda unit: disputes.dispute(unit.session, "dspt_old10000"),
    }


def _reconciliation(_user: str, _tail: str, now: datetime) -> dict[str, In]:
    month = datetime(now.year, now.month, 1, tzinfo=UTC) - timedelta(days=62)
    week = now - timedelta(days=200)
    asked = {
        "open": queries.Filter(),
        "of a month": queries.Filter(period=f"{month:%Y-%m}"),
        "accepted": queries.Filter(state="accepted"),
        "of a rare cause": queries.Filter(state=None, cause="ledger_orphan"),
        "of an object": queries.Filter(state=None, object_id="pay_old10000"),
        "of some days": queries.Filter(since=week, until=now),
    }

    def find(which: queries.Filter) -> In:
        return lambda unit: queries.differences(unit, which, None, PAGE)

    async def compare(unit: UnitOfWork) -> None:
        piece = Slice("rcn_old0", now - timedelta(hours=1), week, week + timedelta(days=7), feed=True)
        await comparing.compare(unit, piece, set())

    async def look_back(unit: UnitOfWork) -> None:
        run: Any = await runs.get(unit, "rcn_old0")
        await older.choose(unit, run)
        await older.waiting(unit, run.id)
        piece = Slice(run.id, now - timedelta(hours=1), run.since, run.until, feed=True, older=True)
        await comparing.compare(unit, piece, set())

    async def sums(unit: UnitOfWork) -> None:
        await queries.count_open(unit)
        await queries.by_cause(unit, since=week, until=now)
        await queries.covering(unit, month, month + timedelta(days=30))
        await queries.runs(unit, None, PAGE)
        await queries.first_payment_at(unit)

    return {
        **{f"differences, {name}": find(which) for name, which in asked.items()},
        "reconciling, a week": compare,
        "reconciling, older": look_back,
        "reconciling, sums": sums,
    }


def _rest(user_id: str, tail: str, now: datetime) -> dict[str, In]:
    cursor = encode_cursor(now - timedelta(days=350), "aud_zzz")
    asked = {
        "all": audit.AuditFilter(),
        "denied": audit.AuditFilter(outcome="denied"),
        "a rare act": audit.AuditFilter(act="refund.approve"),
        "an actor": audit.AuditFilter(actor="key_1"),
        "a holder": audit.AuditFilter(holder="staff1"),
        "a subject": audit.AuditFilter(subject=f"ref_{tail}"),
    }

    def find(which: audit.AuditFilter) -> In:
        return lambda unit: audit.find(unit.session, which, cursor, PAGE)

    return {
        **{f"audit, {name}": find(which) for name, which in asked.items()},
        "methods of a customer": lambda unit: methods.methods_of(unit.session, user_id, now),
        "promotions, what runs": lambda unit: promotions.running(unit.session, "mem_none"),
        "migrations, members": lambda unit: migrations.subscribers(unit.session, "pmg_old1", "left", "", PAGE),
        "migrations, one": lambda unit: migrations.migration(unit.session, "pmg_old1"),
    }
