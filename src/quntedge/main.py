"""The processes: what `quntedge web` and `quntedge worker` run, and what a test builds to have the whole of it."""

import contextlib
import gc
import threading
from collections.abc import Iterator

import uvicorn
from prometheus_client import start_http_server

from quntedge.api import routes as api_routes
from quntedge.api.webhook import webhook_route
from quntedge.duties import build_worker
from quntedge.edge.app import Application
from quntedge.edge.app import build as build_app
from quntedge.kit.logging import configure_logging, get_logger
from quntedge.kit.metrics import REGISTRY
from quntedge.settings import Settings
from quntedge.web import routes as web_routes
from quntedge.web.pages import Pages
from quntedge.wiring import Runtime, build, database

log = get_logger(__name__)


def create_app(runtime: Runtime) -> Application:
    """The whole web application on a runtime: bare routes, API, pages."""
    services = runtime.services
    secrets = [secret.get_secret_value().encode() for secret in runtime.settings.whop_webhook_secrets]
    pages = Pages(runtime.settings)
    app = build_app(
        services,
        [*api_routes.routers(), *web_routes.routers(runtime.settings)],
        [
            webhook_route(runtime.inbox, secrets, runtime.clock),
            *api_routes.bare_routes(services),
            *web_routes.bare_routes(pages),
        ],
        error_page=pages.error,
    )
    web_routes.install(app, pages)
    return app


async def serve_web(settings: Settings) -> None:
    """Serves the web application until SIGTERM or SIGINT."""
    configure_logging(settings.log_format, settings.log_level)
    with database(settings) as url:
        runtime = build(settings, url)
        await runtime.start()
        try:
            app = create_app(runtime)
            _settle_memory()
            log.info("web.started", address=f"http://{settings.host}:{settings.port}")
            await _server(app, settings).serve()
        finally:
            await runtime.close()


def _settle_memory() -> None:
    """What was built so far lives as long as the process: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def _server(app: Application, settings: Settings) -> uvicorn.Server:
    # Access lines are our own; the forwarded-for header is read by our own rule; the Server header says nothing.
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=10,
            timeout_keep_alive=30,
        )
    )


async def serve_worker(settings: Settings) -> None:
    """Runs a worker until SIGTERM or SIGINT."""
    configure_logging(settings.log_format, settings.log_level)
    with database(settings) as url, _metrics_server(settings):
        runtime = build(settings, url)
        await runtime.start()
        worker, listener = build_worker(runtime)
        await listener.start()
        try:
            _settle_memory()
            await worker.run_until_signal()
        finally:
            await listener.stop()
            await runtime.close()


@contextlib.contextmanager
def _metrics_server(settings: Settings) -> Iterator[None]:
    """The worker's own counters, on a port of their own: a worker has no other web server."""
    if settings.worker_metrics_port is None:
        yield
        return
    server, thread = start_http_server(settings.worker_metrics_port, addr=settings.host, registry=REGISTRY)
    try:
        yield
    finally:
        server.shutdown()
        if isinstance(thread, threading.Thread):
            thread.join()
