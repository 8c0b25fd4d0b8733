"""The long-running parts one by one: web, worker, migrations."""

from typing import Annotated

import typer

from quntedge.commands.output import out, require_free_port
from quntedge.commands.parent import WithParent, follow_parent
from quntedge.commands.running import run_service
from quntedge.main import serve_web, serve_worker
from quntedge.schema import all_tables
from quntedge.settings import load_settings
from quntedge.storage import migrate as migrations
from quntedge.wiring import database


def web(
    host: Annotated[str | None, typer.Option(help="Address to listen on; over QUNTEDGE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; over QUNTEDGE_PORT.")] = None,
    with_parent: WithParent = False,
) -> None:
    """Serve the pages, the API and the webhook intake."""
    follow_parent(with_parent)
    flags = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load_settings(**flags)
    require_free_port(settings.host, settings.port, "--port")
    run_service(serve_web(settings))


def worker(with_parent: WithParent = False) -> None:
    """Apply received webhooks, send mails, and do the recurring chores."""
    follow_parent(with_parent)
    run_service(serve_worker(load_settings()))


def migrate() -> None:
    """Bring the database to the newest schema."""
    with database(load_settings()) as url:
        before, head = migrations.pending(url)
        if before == head:
            out().print(f"The schema is up to date: {head}.")
            return
        migrations.upgrade(url, all_tables())
    out().print(f"Schema migrated: {before or 'empty'} → {head}.")


def register(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(web)
    app.command()(worker)
    app.command()(migrate)
