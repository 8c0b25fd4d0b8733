"""A small Whop that serves the objects a test puts into it, and our inbox in front of it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from sqlalchemy import insert, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from quntedge.accounts.models import AppUser
from quntedge.checkout.models import CheckoutIntent
from quntedge.kit.clock import FrozenClock
from quntedge.main import create_app
from quntedge.settings import Settings
from quntedge.webhooks.endpoint import PATH
from quntedge.webhooks.worker import drain
from quntedge.wiring import Runtime, build
from tests.catalog.rows import insert_plan
from tests.gateway import payloads

NOW = datetime(2026, 9, 29, 10, 15, 40, tzinfo=UTC)
USER = "usr_0000000000000000000000test"
PLAN = "pln_0000000000000000000000mont"
INTENT = "chk_01k6a9zvx0e3z8q9y4w2c7b5nd"


@dataclass
class StandIn:
    """Whop's read side: objects by kind and id.

    `outages` makes the next reads fail with this status; while `answering` is not set, reads wait for it.
    """

    url: str = ""
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    outages: list[int] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answering.set()

    def put(self, kind: str, document: dict[str, Any]) -> dict[str, Any]:
        """Makes an object readable and returns it."""
        self.objects.setdefault(kind, {})[document["id"]] = document
        return document

    async def one(self, request: Request) -> Response:
        kind, object_id = request.path_params["kind"], request.path_params["id"]
        self.reads.append(f"{kind}/{object_id}")
        await self.answering.wait()
        if self.outages:
            status = self.outages.pop(0)
            return JSONResponse({"error": {"type": "server_error", "message": "scripted"}}, status_code=status)
        found = self.objects.get(kind, {}).get(object_id)
        if found is None:
            return JSONResponse({"error": {"type": "not_found", "message": "no such object"}}, status_code=404)
        return Response(payloads.body_of(found), media_type="application/json")

    async def listing(self, request: Request) -> Response:
        kind, payment = request.path_params["kind"], request.query_params.get("payment_id")
        self.reads.append(f"{kind}?payment_id={payment}")
        found = [o for o in self.objects.get(kind, {}).values() if payment is None or o.get("payment_id") == payment]
        page = {"start_cursor": None, "end_cursor": None, "has_next_page": False, "has_previous_page": False}
        return Response(payloads.body_of({"data": found, "page_info": page}), media_type="application/json")


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    """Serves a `StandIn` on a real loopback port."""
    whop = StandIn()
    app = Starlette(
        routes=[Route("/api/v1/{kind}", whop.listing), Route("/api/v1/{kind}/{id}", whop.one)],
    )
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        whop.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
        try:
            yield whop
        finally:
            whop.answering.set()
            server.should_exit = True
            await serving


@dataclass
class World:
    """Our side: the runtime, its clock, and an HTTP client at the whole application."""

    runtime: Runtime
    clock: FrozenClock
    whop: StandIn
    http: httpx.AsyncClient

    async def deliver(self, document: object, webhook_id: str | None = None, **headers: str) -> httpx.Response:
        """POSTs a signed delivery, signed now by our clock."""
        body = document if isinstance(document, bytes) else payloads.body_of(document)
        found = webhook_id or (document["id"] if isinstance(document, dict) and "id" in document else "msg_9Xk2")
        signed = payloads.sign(body, payloads.SECRET, found, self.clock.now()) | headers
        return await self.http.post(PATH, content=body, headers=signed)

    async def event(self, event_type: str, data: dict[str, Any], webhook_id: str, **options: Any) -> None:
        """Delivers an event and expects it to be taken."""
        answer = await self.deliver(payloads.envelope(event_type, data, webhook_id=webhook_id, **options))
        assert answer.status_code == 200, answer.text

    async def work(self) -> int:
        """Applies everything due."""
        return await drain(self.runtime.webhooks)

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as dictionaries."""
        async with self.runtime.units() as unit:
            found = await unit.session.execute(text(sql), parameters)
            return [dict(row._mapping) for row in found]

    async def row(self, sql: str, **parameters: object) -> dict[str, Any]:
        """The only row of a query."""
        (found,) = await self.rows(sql, **parameters)
        return found

    async def states(self) -> dict[str, tuple[str, str | None]]:
        """State and outcome of every event, by webhook id."""
        rows = await self.rows("SELECT webhook_id, state, outcome FROM webhook_event ORDER BY id")
        return {row["webhook_id"]: (row["state"], row["outcome"]) for row in rows}


def ours(**over: Any) -> dict[str, Any]:
    """Metadata with our checkout's id, as Whop copies it to memberships and payments."""
    return {"metadata": {"intent_id": INTENT}} | over


@asynccontextmanager
async def open_world(settings: Settings, database_url: str) -> AsyncIterator[World]:
    """A world with one customer, the monthly plan and an open checkout."""
    clock = FrozenClock(NOW)
    async with stand_in() as whop:
        settings = settings.model_copy(
            update={
                "whop_base_url": whop.url,
                "whop_account_id": payloads.ACCOUNT_ID,
                "whop_webhook_secrets": [SecretStr(payloads.SECRET)],
            }
        )
        runtime = build(settings, database_url, clock)
        await _seed(runtime)
        transport = httpx.ASGITransport(app=create_app(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://quntedge.test") as http:
            yield World(runtime, clock, whop, http)
        await runtime.close()


async def _seed(runtime: Runtime) -> None:
    now = runtime.clock.now()
    async with runtime.units() as unit:
        await runtime.vault.create(unit.session, [USER], now)
        connection = await unit.connection()
        await connection.execute(insert(AppUser).values(id=USER, locale="en", created_at=now))
        await insert_plan(connection, id=PLAN, trial_days=7, whop_plan_id=payloads.PLAN_ID, created_at=now)
        await connection.execute(
            insert(CheckoutIntent).values(
                id=INTENT,
                user_id=USER,
                plan_id=PLAN,
                state="open",
                price_minor=2900,
                currency="usd",
                whop_checkout_id=payloads.CHECKOUT_ID,
                created_at=now,
                expires_at=now.replace(year=2027),
            )
        )
        await unit.commit()
