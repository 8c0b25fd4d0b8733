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

from quntedge.gateway.emulator import (
    api_access,
    api_accounts,
    api_catalog,
    api_checkouts,
    api_customers,
    api_disputes,
    api_faults,
    api_invoices,
    api_keys,
    api_memberships,
    api_methods,
    api_ownership,
    api_payments,
    api_promos,
    api_quotes,
    api_refunds,
    api_setup_intents,
    api_state,
    api_webhooks,
    checkout_page,
    console,
    console_actions,
    control,
    control_money,
    invoice_page,
    manage_page,
    oidc,
    receipts,
    setup_page,
)
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.console_frame import Console
from quntedge.gateway.emulator.errors import ApiFault
from quntedge.gateway.emulator.fault_layer import FaultLayer
from quntedge.gateway.emulator.gate import Gate, SameOrigin
from quntedge.gateway.emulator.permissions import Permissions
from quntedge.gateway.emulator.requests import answer, fault_answer
from quntedge.gateway.emulator.runtime import Runtime
from quntedge.kit.clock import Clock

API_ROUTES = [
    *api_access.ROUTES,
    *api_accounts.ROUTES,
    *api_keys.ROUTES,
    *api_catalog.ROUTES,
    *api_checkouts.ROUTES,
    *api_memberships.ROUTES,
    *api_payments.ROUTES,
    *api_refunds.ROUTES,
    *api_quotes.ROUTES,
    *api_disputes.ROUTES,
    *api_setup_intents.ROUTES,
    *api_invoices.ROUTES,
    *api_methods.ROUTES,
    *api_customers.ROUTES,
    *api_promos.ROUTES,
    *api_webhooks.ROUTES,
]

_TEMPLATES = Path(__file__).parent / "templates"
_STYLE = (_TEMPLATES / "emulator.css").read_bytes()
_CONSOLE_STYLE = (_TEMPLATES / "console.css").read_bytes()


def create_emulator(config: EmulatorConfig, real_clock: Clock | None = None) -> Starlette:
    """Builds the emulator. Its state lives as long as the application; deliveries and time run within its lifespan.

    Raises:
        quntedge.gateway.emulator.sqlite_state.StateUnreadable: the configured state file cannot be used.
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
        *api_access.CONTROL_ROUTES,
        *api_customers.CONTROL_ROUTES,
        *api_keys.CONTROL_ROUTES,
        *api_ownership.CONTROL_ROUTES,
        *oidc.CONTROL_ROUTES,
    ]
    controls = Starlette(
        routes=[
            *control.ROUTES,
            *control_money.ROUTES,
            *people_controls,
            *api_state.ROUTES,
            *api_faults.ROUTES,
            *console_actions.ROUTES,
        ],
        exception_handlers=handlers,
    )
    controls.state.runtime = runtime
    gate = Gate(Permissions(api), runtime.world, runtime.limiter)
    app = Starlette(
        routes=[
            Mount("/api/v1", FaultLayer(gate, runtime.world, runtime.dispatcher.faults)),
            Mount("/_control", SameOrigin(controls)),
            *checkout_page.ROUTES,
            *setup_page.ROUTES,
            *invoice_page.ROUTES,
            *receipts.ROUTES,
            *manage_page.ROUTES,
            *api_ownership.PAGE_ROUTES,
            *oidc.ROUTES,
            *console.PAGES,
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
