"""The demo's preparing process: schema, webhook endpoint, catalogue, customers. Reports each step as a line of JSON."""

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass

import httpx

from quntedge.accounts.api_keys import SCOPES
from quntedge.accounts.errors import InvalidApiKey
from quntedge.catalog import queries, toml
from quntedge.demo.customers import CUSTOMERS, DEMO, Shoppers
from quntedge.demo.places import API_KEY, DemoProblem
from quntedge.kit.logging import configure_logging
from quntedge.schema import all_tables
from quntedge.settings import Settings, load_settings
from quntedge.storage import migrate
from quntedge.webhooks.endpoint import PATH
from quntedge.wiring import Runtime, build, database

WEB_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Report:
    """A step that is done. The last one carries what only this process knows."""

    step: str
    text: str
    api_key: str | None = None
    user_id: str | None = None

    def to_line(self) -> str:
        """As one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> "Report":
        """Reads what `to_line` wrote."""
        return cls(**json.loads(line))


def prepare() -> None:
    """Does everything, step by step. Each step does nothing that an earlier run has done."""
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    with database(settings) as url:
        before, head = migrate.pending(url)
        if before != head:
            migrate.upgrade(url, all_tables())
        _say(Report("schema", f"schema {head}" if before == head else f"schema {before or 'empty'} → {head}"))
        asyncio.run(_fill(settings, url))


async def _fill(settings: Settings, url: str) -> None:
    runtime = build(settings, url)
    try:
        await runtime.start()
        catalogue = await _catalogue(runtime)
        await _register_endpoint(settings)
        _say(Report("catalogue", catalogue))
        await _web_is_ready(settings.base_url)
        async with httpx.AsyncClient(base_url=str(settings.clock_url), timeout=30, trust_env=False) as control:
            shoppers = Shoppers(runtime, control)
            api_key = os.environ.get(API_KEY)
            if api_key is None or not await _is_known(runtime, api_key):
                for customer in CUSTOMERS:
                    await shoppers.buy(customer)
                await shoppers.settle(CUSTOMERS)
                api_key = await _make_key(runtime)
                text = f"{len(CUSTOMERS)} customers signed up and bought"
            else:
                text = "your data from last time"
            _say(Report("customers", text, api_key, await shoppers.user_id(DEMO)))
    finally:
        await runtime.close()


async def _register_endpoint(settings: Settings) -> None:
    """Our webhook endpoint at the emulator, once: an endpoint at another address is one of a demo on another port."""
    address = f"{settings.base_url}{PATH}"
    key = settings.whop_api_key.get_secret_value()
    async with httpx.AsyncClient(
        base_url=str(settings.whop_base_url), headers={"Authorization": f"Bearer {key}"}, timeout=10, trust_env=False
    ) as api:
        answer = await api.get("/webhooks")
        answer.raise_for_status()
        ours = [endpoint for endpoint in answer.json()["data"] if endpoint["url"].endswith(PATH)]
        for endpoint in ours:
            changed = await api.patch(f"/webhooks/{endpoint['id']}", json={"url": address, "enabled": True})
            changed.raise_for_status()
        if not ours:
            made = await api.post(
                f"{settings.clock_url}/webhooks",
                json={"url": address, "secret": settings.whop_webhook_secrets[0].get_secret_value()},
            )
            made.raise_for_status()


async def _catalogue(runtime: Runtime) -> str:
    """Fills an empty catalogue; one that is there stays, the user may have changed it."""
    async with runtime.units() as unit:
        plans = await queries.plans(unit.session)
    if not plans:
        await runtime.catalog.apply(toml.packaged())
        async with runtime.units() as unit:
            plans = await queries.plans(unit.session)
    report = await runtime.catalog.sync_gateway()
    if report.missing:
        raise DemoProblem(
            "The database knows plans that the emulator has lost; begin anew with `quntedge demo --fresh`."
        )
    return f"{len(plans)} plans"


async def _web_is_ready(base_url: str) -> None:
    """Webhooks are delivered there; before it answers, every purchase would begin with a failed delivery."""
    deadline = time.monotonic() + WEB_PATIENCE_SECONDS
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while not await _answers(client, f"{base_url}/health/ready"):
            if time.monotonic() > deadline:
                raise DemoProblem(f"{base_url} was not ready in {WEB_PATIENCE_SECONDS:g} seconds; web.log says why.")
            await asyncio.sleep(0.1)


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.TransportError:
        return False


async def _is_known(runtime: Runtime, api_key: str) -> bool:
    async with runtime.units() as unit:
        try:
            await runtime.services.api_keys.authenticate(unit, api_key, SCOPES[0])
        except InvalidApiKey:
            return False
    return True


async def _make_key(runtime: Runtime) -> str:
    async with runtime.units() as unit:
        _, text = await runtime.services.api_keys.create(unit, "Demo", SCOPES)
        await unit.commit()
    return text


def _say(report: Report) -> None:
    sys.stdout.write(f"{report.to_line()}\n")
    sys.stdout.flush()
