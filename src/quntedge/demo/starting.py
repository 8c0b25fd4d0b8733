"""Starting the whole product on one machine, watching over it, and stopping it again."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import httpx

from quntedge.demo.family import Child, ChildDied, Family
from quntedge.demo.places import (
    ACCOUNT_ID,
    API_KEY,
    DemoProblem,
    Places,
    Ports,
    demo_environment,
    without_settings,
    write_environment,
)
from quntedge.demo.preparing import Report
from quntedge.demo.screen import Screen
from quntedge.jobs.mailbox import open_mailbox

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_SECONDS = 30.0
_CHILD = "--with-parent"


class Interrupted(Exception):
    """The user wants to leave. `number` is the signal that said so."""

    def __init__(self, number: signal.Signals) -> None:
        """Nothing else is to be said."""
        super().__init__(number.name)
        self.number = number


async def run_demo(places: Places, ports: Ports, screen: Screen) -> None:
    """Runs until a signal ends it, which is raised as `Interrupted` once everything is stopped.

    Raises `DemoProblem`, and `ChildDied` (already shown) when a part stops by itself.
    """
    with _interruptions() as interrupted:
        async with AsyncExitStack() as stack:
            smtp_port = await stack.enter_async_context(open_mailbox("127.0.0.1", 0, places.mailbox))
            environment = demo_environment(places, ports, smtp_port)
            write_environment(places, environment)
            family = Family(without_settings(os.environ) | environment, places.root, places.logs)
            try:
                await _unless(interrupted, _live(family, places, ports, environment, screen))
            except ChildDied as error:
                screen.died(error)
                raise
            except Interrupted:
                screen.note("\nStopping …")
                raise
            finally:
                await family.stop()


async def _live(family: Family, places: Places, ports: Ports, environment: dict[str, str], screen: Screen) -> None:
    report = await _start(family, ports, environment, screen, places)
    if report.api_key is None or report.user_id is None:
        raise DemoProblem("The demo customer is missing; begin anew with `quntedge demo --fresh`.")
    write_environment(places, environment | {API_KEY: report.api_key})
    screen.ready(places, ports, report.api_key, report.user_id)
    await family.watch()


async def _start(family: Family, ports: Ports, environment: dict[str, str], screen: Screen, places: Places) -> Report:
    """Starts the parts in the order in which they need each other."""
    screen.doing("Starting PostgreSQL and the Whop emulator")
    database = await family.start("database", ["demo-part", "database", str(places.root), _CHILD], reports=True)
    emulator = await family.start("whop-emulator", _emulator_arguments(places, ports, environment))
    address = {"DATABASE_URL": await database.line()}
    screen.done("PostgreSQL", "embedded")
    await _answering(emulator, f"{ports.emulator_url}/health")
    screen.done("Whop", f"emulator on port {ports.emulator}")

    screen.doing("Preparing the database")
    preparing = await family.start("prepare", ["demo-part", "prepare", _CHILD], address, reports=True)
    screen.done("Database", Report.from_line(await preparing.line()).text)
    # Before the worker looks at its endpoint, and while nothing is sent to it yet.
    screen.done("Catalogue", Report.from_line(await preparing.line()).text)

    screen.doing("Starting web and worker")
    web = await family.start("web", ["web", _CHILD], address)
    worker = await family.start("worker", ["worker", _CHILD], address)
    await _answering(web, f"{ports.web_url}/health/ready")
    screen.done("Web", f"pages and API on port {ports.web}; worker started")

    screen.doing("Customers sign up and buy")
    report = Report.from_line(await _first(preparing, web, worker))
    await preparing.finished()
    family.dismiss(preparing)
    screen.done("Customers", report.text)
    return report


def _emulator_arguments(places: Places, ports: Ports, environment: dict[str, str]) -> list[str]:
    return [
        *("whop-emulator", "--port", str(ports.emulator), "--account-id", ACCOUNT_ID),
        *("--api-key", environment["WHOP_API_KEY"], "--state", str(places.emulator_state), _CHILD),
    ]


async def _first(reporting: Child, *others: Child) -> str:
    """The next report of one child. Raises `ChildDied` when that one or another one ends first."""
    reading = asyncio.create_task(reporting.line())
    deaths = {asyncio.create_task(child.process.wait()): child for child in others}
    try:
        done, _ = await asyncio.wait({reading, *deaths}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in deaths:
            task.cancel()
    for task, child in deaths.items():
        if task in done:
            reading.cancel()
            raise ChildDied(child)
    return reading.result()


async def _answering(child: Child, url: str) -> None:
    """Waits until a child serves. Raises `ChildDied`, or `DemoProblem` when it takes too long."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while not await _answers(client, url):
            if child.process.returncode is not None:
                raise ChildDied(child)
            if time.monotonic() > deadline:
                raise DemoProblem(f"{child.name} did not answer in {_PATIENCE_SECONDS:g} seconds; see {child.log}.")
            await asyncio.sleep(0.05)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False


@contextmanager
def _interruptions() -> Iterator["asyncio.Future[signal.Signals]"]:
    """The first signal that asks us to leave. Later ones are ignored: everything is being stopped already."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        if not arrived.done():
            arrived.set_result(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield arrived
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _unless(interrupted: "asyncio.Future[signal.Signals]", work: Coroutine[Any, Any, None]) -> None:
    """Does the work until a signal arrives; then it is cancelled and `Interrupted` raised."""
    task = asyncio.create_task(work)
    either: set[asyncio.Future[Any]] = {task, interrupted}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if interrupted.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise Interrupted(interrupted.result())
    await task
