"""Writing to an audit log, and tampering with it as somebody who may do everything in the database."""

from dataclasses import dataclass

import psycopg

from quntedge.audit.acting import identify
from quntedge.audit.log import AuditLog
from quntedge.audit.rules import SYSTEM, Actor, ActorKind
from quntedge.audit.verify import Anchor, Broken, Unsealed, Verification
from quntedge.audit.writing import audit_done
from quntedge.storage.unit_of_work import UnitOfWorkFactory

KIM = Actor(ActorKind.API_KEY, "key_kim", "staff:kim")
CUSTOMER = Actor(ActorKind.CUSTOMER, "usr_01k4a2f0e8f9xa3s6m1q2r7v5z")


@dataclass
class Book:
    """An audit log on a database of its own."""

    units: UnitOfWorkFactory
    url: str

    @property
    def log(self) -> AuditLog:
        """What the edge uses."""
        return AuditLog(self.units)

    async def write(self, count: int = 1, actor: Actor = KIM) -> None:
        """So many acts, each in a transaction of its own."""
        identify(actor)
        for number in range(count):
            async with self.units() as unit:
                audit_done(unit, "refund.approve", "refund", f"ref_{number}", amount_minor=100 + number, waits=True)
                await unit.commit()
        identify(SYSTEM)

    async def filled(self, count: int = 5) -> Anchor:
        """So many acts, sealed; where the chain ends."""
        await self.write(count)
        await self.log.keep()
        return await Verification(self.units).newest()

    async def verify(self, anchor: Anchor | None = None) -> Broken | None:
        """The first place at which the chain does not hold."""
        work = Verification(self.units)
        until = await work.newest()
        async for _ in work.walk(until, anchor):
            continue
        return work.broken

    async def unsealed(self) -> Unsealed:
        """What has no place in the chain."""
        return await Verification(self.units).unsealed()

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a query."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            return await (await connection.execute(sql.encode())).fetchall()

    async def force(self, *statements: str) -> None:
        """Does what no trigger and no foreign key can prevent."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            await connection.execute("SET session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement.encode())
