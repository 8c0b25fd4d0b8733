"""A shop whose monthly plan has become dearer since its customers bought it."""

import itertools
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select
from sqlalchemy.engine import make_url

from quntedge.catalog.rules import CatalogFile
from quntedge.catalog.service import CatalogService
from quntedge.kit.crypto import KeyRing
from quntedge.kit.money import Money
from quntedge.plan_changes.events import PlanChangeNews
from quntedge.plan_migrations.errors import MigrationUnknown
from quntedge.plan_migrations.events import NewTermsAnnounced, NewTermsWithdrawn
from quntedge.plan_migrations.models import PlanMigrationItem
from quntedge.plan_migrations.queries import MigrationView
from quntedge.plan_migrations.rules import LEAD
from quntedge.plan_migrations.service import Ask, PlanMigrationService
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import Vault
from tests.conftest import ENCRYPTION_KEYS
from tests.plan_changes.world import Customer, World, open_world

_numbers = itertools.count(1)
BY = "staff:kim@cli"


@dataclass
class Shop:
    """The world of plan changes, with migrations of its subscribers."""

    world: World
    catalog: CatalogService
    migrations: PlanMigrationService
    announced: list[NewTermsAnnounced] = field(default_factory=list)
    withdrawn: list[NewTermsWithdrawn] = field(default_factory=list)

    async def reprice(self, **prices: int) -> int:
        """Gives plans new prices in US dollars; the version this makes of the first of them."""
        held = await self.catalog.current()
        plans = dict(held.plans)
        for code, minor in prices.items():
            plan = plans[code]
            plans[code] = replace(plan, prices={**plan.prices, "usd": Money(minor, "usd")})
        await self.catalog.apply(CatalogFile(held.features, plans))
        await self.catalog.sync_gateway()
        found = (await self.catalog.current()).plans[next(iter(prices))]
        return max(terms.version for terms in found.history)

    async def migrate(self, plan: str, **ask: Any) -> MigrationView:
        """Begins a migration and tells everybody."""
        begun = await self.migrations.start(Ask(plan, **ask), by=BY)
        async for _ in self.migrations.tell(begun.id):
            pass
        return await self.migrations.view(begun.id)

    async def make_room(self, plan: str) -> None:
        """Takes back what an earlier test has left running."""
        try:
            held = await self.migrations.running(plan)
        except MigrationUnknown:
            return
        await self.migrations.withdraw(held.id, by=BY)
        await self.migrations.work_due()

    async def item(self, customer: Customer) -> PlanMigrationItem:
        """What the newest migration knows of a customer."""
        async with self.world.units() as unit:
            found = await unit.session.scalar(
                select(PlanMigrationItem)
                .where(PlanMigrationItem.user_id == customer.user_id)
                .order_by(PlanMigrationItem.migration_id.desc())
                .limit(1)
            )
        assert found is not None
        return found

    async def go_on(self, *customers: Customer) -> None:
        """The worker's sweep, and all that follows within minutes."""
        await self.migrations.work_due()
        await self.world.runner.resume_due()
        await self.world.go_on(*customers)

    async def to(self, *customers: Customer, **step: float) -> None:
        """Moves the clock, lets deliveries arrive, and lets the worker do what is due."""
        await self.world.move(**step)
        for customer in customers:
            await self.world.news(customer)
        await self.go_on(*customers)

    async def to_period_end(self, customer: Customer) -> None:
        """Goes to the last days of the running period, and then to its end; the worker works at both."""
        end = (await self.world.subscription(customer)).period_end
        assert end is not None
        for at in (end - LEAD, end):
            seconds = max((at - self.world.clock.now()).total_seconds(), 0) + 60
            await self.to(customer, seconds=seconds)


@pytest.fixture(scope="module")
async def shop(database_server: str, template_database: str) -> AsyncIterator[Shop]:
    """One for each module; its time only ever goes forward."""
    name = f"plan_migrations_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template_database)
            )
        )
    url = make_url(database_server).set(database=name).render_as_string(hide_password=False)
    async with open_world(url, Vault(KeyRing.parse(ENCRYPTION_KEYS))) as world:
        migrations = PlanMigrationService(world.units, world.changes.versions)
        opened = Shop(world, CatalogService(world.units, world.gateway), migrations)

        async def announced(_unit: UnitOfWork, facts: Sequence[NewTermsAnnounced]) -> None:
            opened.announced.extend(facts)

        async def withdrawn(_unit: UnitOfWork, facts: Sequence[NewTermsWithdrawn]) -> None:
            opened.withdrawn.extend(facts)

        world.units.bus.subscribe(PlanChangeNews, migrations.on_plan_change_news)
        world.units.bus.subscribe(NewTermsAnnounced, announced)
        world.units.bus.subscribe(NewTermsWithdrawn, withdrawn)
        yield opened
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
