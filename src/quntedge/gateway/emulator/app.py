"""The emulator as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ExceptionHandler

from quntedge.gateway.emulator.api import (
    access,
    accounts,
    catalog,
    checkouts,
    customers,
    disputes,
    files,
    finance,
    invoices,
    keys,
    memberships,
    methods,
    oidc,
    payments,
    promos,
    quotes,
    refunds,
    setup_intents,
    webhooks,
)
from quntedge.gateway.emulator.calls.fault_layer import FaultLayer
from quntedge.gateway.emulator.calls.gate import Gate, SameOrigin
from quntedge.gateway.emulator.calls.permissions import Permissions
from quntedge.gateway.emulator.calls.requests import answer, fault_answer
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.console import actions, views
from quntedge.gateway.emulator.console.frame import Console
from quntedge.gateway.emulator.control import basics, copies, faults, money
from quntedge.gateway.emulator.control import finance as finance_controls
from quntedge.gateway.emulator.hosted import checkout, invoice, manage, ownership, receipts, setup
from quntedge.gateway.emulator.life.files import MOST_BYTES
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.gateway.emulator.state.file_records import STORAGE
from quntedge.gateway.emulator.wire.errors import ApiFault
from quntedge.kit.clock import Clock

API_ROUTES = [
    *access.ROUTES,
    *accounts.ROUTES,
    *keys.ROUTES,
    *catalog.ROUTES,
    *checkouts.ROUTES,
    *memberships.ROUTES,
    *payments.ROUTES,
    *refunds.ROUTES,
    *quotes.ROUTES,
    *disputes.ROUTES,
    *files.ROUTES,
    *finance.ROUTES,
    *setup_intents.ROUTES,
    *invoices.ROUTES,
    *methods.ROUTES,
    *customers.ROUTES,
    *promos.ROUTES,
    *webhooks.ROUTES,
]

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (_TEMPLATES / "emulator.css").read_bytes()
_CONSOLE_STYLE = (_TEMPLATES / "console.css").read_bytes()


def create_emulator(config: EmulatorConfig, real_clock: Clock | None = None) -> Starlette:
    """Builds the emulator. Its state lives as long as the application; deliveries and time run within its lifespan.

    Raises:
        quntedge.gateway.emulator.keeping.sqlite_state.StateUnreadable: the configured state file cannot be used.
    """
    runtime = Runtime(config, real_clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with runtime.running():
            yield

    handlers: dict[int | type[Exception], ExceptionHandler] = {
        ApiFault: _on_fault,
        HTTPException: _on_http_exception,
    }
    api = Starlette(routes=API_ROUTES, exception_handlers=handlers)
    api.state.runtime = runtime
    people_controls = [
        *access.CONTROL_ROUTES,
        *customers.CONTROL_ROUTES,
        *keys.CONTROL_ROUTES,
        *ownership.CONTROL_ROUTES,
        *oidc.CONTROL_ROUTES,
    ]
    controls = Starlette(
        routes=[
            *basics.ROUTES,
            *money.ROUTES,
            *finance_controls.ROUTES,
            *people_controls,
            *copies.ROUTES,
            *files.CONTROL_ROUTES,
            *faults.ROUTES,
            *actions.ROUTES,
        ],
        exception_handlers=handlers,
    )
    controls.state.runtime = runtime
    gate = Gate(Permissions(api), runtime.world, runtime.limiter)
    storage = Starlette(routes=files.STORAGE_ROUTES, exception_handlers=handlers)
    storage.state.runtime = runtime
    faults_armed = runtime.dispatcher.faults
    app = Starlette(
        routes=[
            Mount("/api/v1", FaultLayer(gate, runtime.world, faults_armed)),
            Mount(STORAGE, FaultLayer(storage, runtime.world, faults_armed, longest=MOST_BYTES)),
            Mount("/_control", SameOrigin(controls)),
            *checkout.ROUTES,
            *setup.ROUTES,
            *invoice.ROUTES,
            *receipts.ROUTES,
            *manage.ROUTES,
            *ownership.PAGE_ROUTES,
            *oidc.ROUTES,
            *views.PAGES,
            Route("/console.css", console_style),
            Route("/emulator.css", style),
            Route("/health", health),
        ],
        exception_handlers=handlers,
        lifespan=lifespan,
    )
    app.state.runtime = runtime
    app.state.console = controls.state.console = Console(api, controls)
    return app


async def health(_: Request) -> Response:
    """Says that the program answers."""
    return answer({"status": "ok"})


async def style(_: Request) -> Response:
    """The style sheet of all pages."""
    return Response(_STYLE, media_type="text/css", headers={"cache-control": "max-age=300"})


async def console_style(_: Request) -> Response:
    """The style sheet of the console."""
    return Response(_CONSOLE_STYLE, media_type="text/css", headers={"cache-control": "max-age=300"})


async def _on_fault(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiFault):
        raise error
    return fault_answer(error)


async def _on_http_exception(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    names = {404: "not_found", 405: "method_not_allowed"}
    fault = ApiFault(error.status_code, names.get(error.status_code, "bad_request"), str(error.detail))
    response = fault_answer(fault)
    response.headers.update(error.headers or {})
    return response
