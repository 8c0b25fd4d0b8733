"""`python -m bench.explain`: how PostgreSQL runs our statements on a million rows, and where it reads a whole table.

No statement is copied here: the product does its work, what it says to PostgreSQL is recorded and rolled back, and each
statement is then explained with the same parameters.
"""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import psycopg
import uvloop
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer

from bench import million, money_work, world
from bench.database import bench_server
from bench.deliveries import renewal_bodies
from bench.recording import Step, recorded
from quntedge.access.service import Question
from quntedge.edge import reads
from quntedge.jobs.quiet import LOOK
from quntedge.kit.paging import encode_cursor
from quntedge.notifications import outbox
from quntedge.refunds import queries as refunds
from quntedge.subscriptions.rebuild import Rebuild
from quntedge.webhooks import queries
from quntedge.wiring import Runtime, build

_BIG_TABLE_ROWS = 10_000
_CUSTOMERS = 50_000
_RENEWALS = 40
_ENOUGH_ROWS = 2_000
_ROWS_FOR_ONE = 20
"""Nobody minds some rows too many; what grows with the table is to grow with what is found as well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """How one statement ran. `scans` are the big tables it read from end to end, `generic` those it would read so
    when planned without knowing the parameters, as happens to prepared statements after a while. `read` are the rows
    that were looked at, whatever became of them, `found` those that came of it."""

    work: str
    statement: str
    milliseconds: float
    buffers: int
    read: int
    found: int
    indexes: tuple[str, ...]
    scans: tuple[str, ...]
    generic: tuple[str, ...]
    plan: str

    @property
    def verdict(self) -> str:
        """In words for the table."""
        problems = [f"reads all of {table}" for table in self.scans]
        problems += [f"reads all of {table} when planned generically" for table in self.generic]
        if self.read > _ENOUGH_ROWS + _ROWS_FOR_ONE * self.found:
            problems.append("reads much for what it finds")
        return ", ".join(problems) or "ok"


async def _work(runtime: Runtime, people: world.World) -> dict[str, list[Step]]:
    """What the product says to PostgreSQL for each kind of work; nothing of it is kept."""
    user_id = people.customers[0].user_id
    now = runtime.clock.now()
    cursor = encode_cursor(now, "txn_zzz")

    async def intake() -> None:
        extra = renewal_bodies(people, _RENEWALS + 5)[-15:]
        await asyncio.gather(*(runtime.inbox.accept(delivery.webhook_id, delivery.body) for delivery in extra))

    async def in_unit(read: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        async with runtime.units() as unit:
            await read(unit.session, *arguments)

    async def claim_mails() -> None:
        async with runtime.units() as unit:
            await outbox.claim(unit, limit=20, held=())

    async def backlog() -> None:
        async with runtime.units() as unit:
            await queries.backlog(await unit.connection(), now)

    async def look() -> None:
        async with runtime.units() as unit:
            await unit.session.execute(LOOK, {"now": now, "mails": True})

    async def complete_invoices() -> None:
        async with runtime.units() as unit:
            await runtime.services.invoices.complete_older(unit, now)

    async def compare() -> None:
        async with aclosing(Rebuild(runtime.engine, runtime.units).verify()) as portions:
            await anext(portions)

    kinds: dict[str, Callable[[], Awaitable[object]]] = {
        "intake": intake,
        "worker, a batch": runtime.webhooks.process_due,
        "mails, claim": claim_mails,
        "access, 96 users": lambda: _ask(runtime, people),
        "subscription": lambda: in_unit(reads.current_subscription, user_id, now),
        "transactions, a page": lambda: in_unit(reads.transactions, user_id, cursor, 20),
        "invoices, a page": lambda: in_unit(reads.invoices, user_id, cursor, 20),
        "history, a page": lambda: in_unit(reads.subscription_events, user_id, cursor, 20),
        "credit notes, a page": lambda: in_unit(reads.credit_notes, user_id, cursor, 20),
        "invoices, complete": complete_invoices,
        "refunds, a page": lambda: in_unit(reads.refunds, user_id, cursor, 20),
        "refunds, what waits": lambda: in_unit(
            refunds.find, refunds.Filter(statuses=["requested"], requested_by="staff:kim"), cursor, 20
        ),
        "metrics": backlog,
        "clock, a look": look,
        "renewals, claim": runtime.renewals.check,
        "histories, a portion": compare,
        **money_work.works(runtime, user_id),
    }
    steps: dict[str, list[Step]] = {}
    for name, run in kinds.items():
        with recorded(keep=False) as steps[name]:
            await run()
    return steps


async def _ask(runtime: Runtime, people: world.World) -> None:
    users = tuple(customer.user_id for customer in people.customers[:96])
    await runtime.services.access.ask(Question(users))


def _explained(connection: psycopg.Connection, work: str, steps: Sequence[Step]) -> Iterator[Finding]:
    big: dict[str, float] = dict(
        connection.execute(
            "SELECT oid::regclass::text, reltuples FROM pg_class WHERE relkind IN ('r', 'p') AND reltuples > %s",
            (_BIG_TABLE_ROWS,),
        ).fetchall()
    )
    explained: set[str] = set()
    for kind, query, params in steps:
        text = query if isinstance(query, str) else ""
        words = text.split()
        if text in explained:
            continue
        if kind == "execute" and words and words[0].upper() in ("CREATE", "DROP"):
            # Temporary tables, which later statements ask.
            connection.execute(text)
            continue
        if kind != "execute" or not words or words[0].upper() not in ("SELECT", "UPDATE", "INSERT", "WITH"):
            continue
        if "pg_catalog" in text or "pg_type" in text or "current_schema" in text:
            continue
        row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", params).fetchone()
        if row is None:
            continue
        explained.add(text)
        document: dict[str, Any] = row[0][0]
        nodes = list(_nodes(document["Plan"]))
        generic = _generic_nodes(connection, text, params)
        scans = _whole_tables(nodes, big)
        yield Finding(
            work=work,
            statement=_short(words),
            milliseconds=document["Execution Time"],
            buffers=document["Plan"]["Shared Hit Blocks"] + document["Plan"]["Shared Read Blocks"],
            read=sum(map(_looked_at, nodes)),
            found=_found(document["Plan"]),
            indexes=tuple(sorted({node["Index Name"] for node in nodes if "Index Name" in node})),
            scans=scans,
            generic=tuple(table for table in _whole_tables(generic, big) if table not in scans),
            plan=json.dumps(document["Plan"], indent=1),
        )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _looked_at(node: dict[str, Any]) -> int:
    """The rows of a table that a node of the plan looked at."""
    if "Relation Name" not in node or node["Node Type"] == "ModifyTable":
        return 0
    left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + left_out) * node["Actual Loops"])


def _found(plan: dict[str, Any]) -> int:
    """The rows of the answer, or those that were written."""
    node = plan["Plans"][0] if plan["Node Type"] == "ModifyTable" and plan.get("Plans") else plan
    return int(node["Actual Rows"] * node["Actual Loops"])


def _whole_tables(nodes: Sequence[dict[str, Any]], big: dict[str, float]) -> tuple[str, ...]:
    read = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"}
    return tuple(sorted(read & big.keys()))


def _generic_nodes(connection: psycopg.Connection, text: str, params: Any) -> list[dict[str, Any]]:
    query = PostgresQuery(Transformer.from_context(connection))
    query.convert(text, params)
    # Never prepared: its parameters stay unknown.
    explain = b"EXPLAIN (GENERIC_PLAN, FORMAT JSON) " + bytes(query.query)
    row = connection.execute(explain, prepare=False).fetchone()
    return list(_nodes(row[0][0]["Plan"])) if row is not None else []


def _short(words: Sequence[str]) -> str:
    """The verb and the tables, as a reader recognises a statement."""
    marks = {"FROM", "JOIN", "UPDATE", "INTO"}
    others = ("unnest", "lateral", "skip", "set", "of", "select", "incoming", "fresh", "kept", "due", "only")
    tables = [
        after.strip("(),")
        for before, after in pairwise(words)
        if before.upper() in marks and after[0].isalpha() and not after.lower().strip("()").startswith(others)
    ]
    functions = re.findall(r"\b(?:pg|procrastinate)_\w+(?=\()", " ".join(words))
    return f"{words[0].upper()} {', '.join(dict.fromkeys(tables or functions))}"


def _print(findings: Sequence[Finding], *, plans: bool) -> None:
    print("| work | statement | ms | pages | rows read | found | indexes | verdict |")
    print("|---|---|--:|--:|--:|--:|---|---|")
    for found in findings:
        indexes = ", ".join(f"`{name}`" for name in found.indexes)
        print(
            f"| {found.work} | {found.statement} | {found.milliseconds:.2f} | {found.buffers:,} | {found.read:,} |"
            f" {found.found:,} | {indexes} | {found.verdict} |"
        )
        if plans:
            print(found.plan, file=sys.stderr)


async def _collect(database_url: str, people: world.World) -> dict[str, list[Step]]:
    runtime = build(world.settings(database_url), database_url)
    try:
        due = renewal_bodies(people, _RENEWALS)
        await asyncio.gather(*(runtime.inbox.accept(delivery.webhook_id, delivery.body) for delivery in due))
        return await _work(runtime, people)
    finally:
        await runtime.close()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.explain", description=__doc__)
    parser.add_argument("--rows", type=int, default=million.ROWS, help="rows in each table (default a million)")
    parser.add_argument("--plans", action="store_true", help="the whole plans as well, on standard error")
    arguments = parser.parse_args()
    with bench_server() as server:
        url = server.migrated("million")
        people = uvloop.run(world.seed(url, min(_CUSTOMERS, arguments.rows // 20), ago=world.PERIOD * 2))
        million.fill(url, arguments.rows)
        steps = uvloop.run(_collect(url, people))
        findings: list[Finding] = []
        with psycopg.connect(url, options="-c timezone=UTC") as connection:
            for work, taken in steps.items():
                findings += _explained(connection, work, taken)
                connection.rollback()
    _print(findings, plans=arguments.plans)


if __name__ == "__main__":
    main()
