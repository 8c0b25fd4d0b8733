"""The long-running parts one by one: web, worker, migrations, and the emulator of Whop."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quntedge.commands.output import CommandError, out, require_free_port
from quntedge.commands.running import WithParent, follow_parent, run_service
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.serving import serve
from quntedge.kit.logging import configure_logging
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


def whop_emulator(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    snapshot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File that keeps the state over restarts.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides ids and licence keys.")] = 1,
    api_key: Annotated[str, typer.Option(help="The API key that callers must present.")] = "whop_emulator_key",
    account_id: Annotated[str, typer.Option(help="Id of the account, biz_…")] = "biz_emulator",
    public_url: Annotated[
        str | None, typer.Option(help="Address under which buyers reach it; http://HOST:PORT by default.")
    ] = None,
    log_format: Annotated[Literal["console", "json"], typer.Option(help="Logs for people or machines.")] = "console",
    with_parent: WithParent = False,
) -> None:
    """Run a stand-in for Whop with test cards, signed webhooks and a clock that can be moved.

    It needs no database and none of the product's settings.
    """
    follow_parent(with_parent)
    if not account_id.startswith("biz_"):
        raise CommandError("--account-id must be an id that starts with biz_.")
    configure_logging(log_format)
    require_free_port(host, port, "--port")
    config = EmulatorConfig(
        api_key=api_key,
        account_id=account_id,
        public_base_url=(public_url or f"http://{host}:{port}").rstrip("/"),
        seed=seed,
        snapshot_path=snapshot,
    )
    if not with_parent:
        out().print(f"Whop emulator: console {config.public_base_url}, API {config.api_base_url}, key {api_key}")
    serve(config, host, port)


def register(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(web)
    app.command()(worker)
    app.command()(migrate)
    app.command("whop-emulator")(whop_emulator)
