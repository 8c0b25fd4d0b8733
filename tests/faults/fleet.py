"""Web and worker as processes of their own, which are killed with SIGKILL while a call of theirs is on its way.

The emulator holds the call (a scripted hang), so it is known when the process is in the middle of it. What it had
intended is committed; whether the call was carried out is for the test to say; the answer never arrives.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from sqlalchemy import text

from quntedge.access.rules import decide
from quntedge.catalog.toml import packaged
from quntedge.demo.places import without_settings
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.testing import RunningEmulator, running_emulator
from quntedge.kit.clock import FrozenClock
from quntedge.settings import Settings
from quntedge.wiring import Runtime, build
from tests.conftest import ENCRYPTION_KEYS, WEBHOOK_SECRET
from tests.journeys.test_purchase_and_renewal import check_out, checkout_of, sign_in, sign_up

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
SECONDS = 120
"""Only so that a test which can never end does end; nothing is decided by it."""
HOUR_MS = 600_000
LATE_MS = 1500

Name = Literal["web", "worker"]
When = Literal["before", "after", "late"]
"""Of the call that is cut off: never carried out, carried out, or carried out when its caller is long dead."""
Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Death:
    """Who dies, in which call (as the emulator's faults match it), and what becomes of the call."""

    who: Name
    call: str
    when: When

    @property
    def fault(self) -> dict[str, Any]:
        """The rule that holds the call."""
        if self.when == "late":
            return {"fault": "slow", "match": self.call, "times": 1, "delay_ms": LATE_MS}
        return {"fault": f"hang_{self.when}", "match": self.call, "times": 1, "delay_ms": HOUR_MS}


@dataclass
class Fleet:
    """The two processes, the emulator, and a way to look underneath."""

    emulator: RunningEmulator
    runtime: Runtime
    clock: FrozenClock
    folder: Path
    port: int
    environment: dict[str, str]
    processes: dict[Name, asyncio.subprocess.Process] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the web process serves."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, name: Name) -> None:
        """Starts a process and waits until it serves, or says that it works."""
        dead = set(self.emulator.runtime.followers.working())
        flags = ("--host", "127.0.0.1", "--port", str(self.port)) if name == "web" else ()
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "quntedge", name, *flags,
                cwd=self.folder, env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        if name == "web":
            await self.until(self._serves)
        else:
            await self.until(lambda: self._works(dead))

    async def _serves(self) -> bool:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            try:
                return (await client.get("/health/ready")).is_success
            except httpx.TransportError:
                return False

    async def _works(self, dead: set[str]) -> bool:
        # Whoever was killed is taken for alive for a while.
        return bool(set(self.emulator.runtime.followers.working()) - dead)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Waits until something is so; a process that has ended by itself is a failure."""
        async with asyncio.timeout(SECONDS):
            while not await condition():
                for name, process in self.processes.items():
                    assert process.returncode is None, f"{name} has ended: {(self.folder / f'{name}.log').read_text()}"
                await asyncio.sleep(0.05)

    async def kill(self, name: Name) -> None:
        """Ends a process as a power cut does."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL

    async def dying(self, death: Death, act: Act) -> None:
        """Does something, in the course of which a process is killed in the middle of a call; another one follows."""
        before = len((await self.emulator.faults_state())["done"])
        await self.emulator.faults(**death.fault)
        doing = asyncio.create_task(_attempt(act))

        async def held() -> bool:
            if len((await self.emulator.faults_state())["done"]) > before:
                return True
            if doing.done():
                doing.result()  # what it raised, it raises here; the worker may still be about to call
            return False

        await self.until(held)
        await self.kill(death.who)
        await self.emulator.disarm()
        self.deaths.append(death)
        await doing
        await self.start(death.who)

    async def advance(self, **step: float | str) -> None:
        """Moves the clock; the worker does what falls due on the way."""
        await self.emulator.advance(**step)
        self.clock.set(self.emulator.runtime.world.now())

    async def go_on(self, minutes: int = 10) -> None:
        """Time passes until nothing is under way."""
        for _ in range(minutes):
            await self.advance(seconds=60)
            if not (await self.rows(_BUSY, soon=self.clock.now()))[0]["busy"]:
                return
        raise AssertionError(await self.rows("SELECT kind, step, error, due_at FROM process WHERE state = 'running'"))

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        async with self.runtime.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]

    @asynccontextmanager
    async def customer(self, plan: str, card: str = "4242424242424242") -> AsyncIterator["Customer"]:
        """Somebody who has bought a plan."""
        number = (await self.rows("SELECT count(*) AS n FROM app_user"))[0]["n"]
        email = f"kim{number}@customers.test"
        async with httpx.AsyncClient(base_url=self.url, headers={"origin": self.url}, trust_env=False) as http:
            await sign_up(http, email)
            started = await check_out(http, plan)
            bought = await self.emulator.pay(checkout_of(started["purchase_url"]), card, email=email)
            await self.emulator.settle()
            [user] = await self.rows("SELECT id FROM app_user ORDER BY created_at DESC, id DESC LIMIT 1")
            customer = Customer(self, http, email, user["id"], bought["membership"]["id"])

            async def known() -> bool:
                return bool(await customer.subscription())

            await self.until(known)
            yield customer


@dataclass
class Customer:
    """A customer in their browser, and what there is of them here and at the gateway."""

    fleet: Fleet
    http: httpx.AsyncClient
    email: str
    user_id: str
    membership_id: str

    async def post(self, path: str, body: object, key: str = "click-1") -> httpx.Response:
        """A request of theirs. Whoever has been away signs in again."""
        await sign_in(self.http, self.email)
        return await self.http.post(path, json=body, headers={"idempotency-key": key})

    async def subscription(self) -> dict[str, Any]:
        """Their subscription as stored; empty while there is none."""
        rows = await self.fleet.rows(
            "SELECT s.*, p.code FROM subscription s JOIN plan p ON p.id = s.plan_id WHERE s.user_id = :user",
            user=self.user_id,
        )
        return rows[0] if rows else {}

    async def allowed(self) -> bool:
        """Whether they may use what they pay for, by what is committed now."""
        self.fleet.clock.set(self.fleet.emulator.runtime.world.now())
        (snapshot,) = await self.fleet.runtime.services.access.snapshots((self.user_id,))
        return decide(snapshot, "unlimited_accounts", self.fleet.clock.now()).allowed

    async def at_gateway(self) -> tuple[list[str], list[int]]:
        """Statuses of their living memberships, and the amounts collected for good, oldest first."""
        tables = self.fleet.emulator.runtime.world.store.tables
        member = tables.memberships[self.membership_id].member_id
        alive = [m.status for m in tables.memberships.values() if m.member_id == member and not m.ended]
        paid = [p for p in tables.payments.values() if p.member_id == member and p.status == "paid"]
        return alive, [p.total.amount_minor for p in sorted(paid, key=lambda p: (p.created_at, p.id)) if p.total]


async def _attempt(act: Act) -> None:
    """Whoever dies never answers."""
    try:
        await act()
    except httpx.TransportError:
        return


_BUSY = """
    SELECT EXISTS (SELECT FROM process WHERE state = 'running' AND due_at <= :soon + interval '20 minutes')
        OR EXISTS (SELECT FROM webhook_event WHERE state IN ('received', 'processing', 'retrying')) AS busy
"""


@asynccontextmanager
async def running_fleet(settings: Settings, database_url: str, folder: Path) -> AsyncIterator[Fleet]:
    """Starts everything and leaves nothing behind."""
    async with AsyncExitStack() as stack:
        # What stays unpaid is kept at the gateway: the end is ours, and can be cut off.
        config = EmulatorConfig(
            api_key="test-key", account_id="biz_test", start=START, subscription_failure_behavior="none"
        )
        emulator = await stack.enter_async_context(running_emulator(config))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        environment = without_settings(os.environ) | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DATABASE_URL": database_url,
            "QUNTEDGE_BASE_URL": f"http://127.0.0.1:{port}",
            "QUNTEDGE_SECRET_KEY": "test-secret-key-test-secret-key-0000",
            "QUNTEDGE_ENCRYPTION_KEYS": ENCRYPTION_KEYS,
            "QUNTEDGE_CLOCK_URL": emulator.control_url,
            "WHOP_ENVIRONMENT": "custom",
            "WHOP_BASE_URL": emulator.api_base_url,
            "WHOP_API_KEY": "test-key",
            "WHOP_ACCOUNT_ID": "biz_test",
            "WHOP_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        }
        clock = FrozenClock(START)
        runtime = build(settings.model_copy(update={"whop_base_url": emulator.api_base_url}), database_url, clock)
        stack.push_async_callback(runtime.close)
        await runtime.catalog.apply(packaged())
        await runtime.catalog.sync_gateway()
        fleet = Fleet(emulator, runtime, clock, folder, port, environment)
        stack.push_async_callback(_end, fleet.processes)
        await asyncio.gather(fleet.start("web"), fleet.start("worker"))
        await emulator.register_webhook(f"{fleet.url}/api/whop/webhook", WEBHOOK_SECRET)
        yield fleet


async def _end(processes: dict[Name, asyncio.subprocess.Process]) -> None:
    for process in processes.values():
        if process.returncode is None:
            process.kill()
        await process.wait()
