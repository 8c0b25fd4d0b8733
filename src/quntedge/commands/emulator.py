"""`quntedge whop-emulator`. Loads nothing of the product: it must start at once, and without a database."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from quntedge.commands.output import CommandError, out, require_free_port
from quntedge.commands.parent import WithParent, follow_parent
from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.serving import serve
from quntedge.kit.logging import configure_logging


def whop_emulator(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8090,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    state: Annotated[
        Path | None, typer.Option(dir_okay=False, help="SQLite file that keeps the state over restarts.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides ids and licence keys.")] = 1,
    api_key: Annotated[str, typer.Option(help="The API key that callers must present.")] = "whop_emulator_key",
    account_id: Annotated[str, typer.Option(help="Id of the account, biz_…")] = "biz_emulator",
    public_url: Annotated[
        str | None, typer.Option(help="Address under which buyers reach it; http://HOST:PORT by default.")
    ] = None,
    real_stamps: Annotated[
        bool,
        typer.Option(
            "--real-stamps", help="Sign deliveries with the real time, for receivers with a clock of their own."
        ),
    ] = False,
    rate_limit: Annotated[
        int, typer.Option(min=0, help="Requests a minute for each operation and key. Whop takes 600; 0 is no limit.")
    ] = 0,
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
        state_path=state,
        real_stamps=real_stamps,
        rate_limit_per_minute=rate_limit,
    )
    if not with_parent:
        out().print(f"Whop emulator: console {config.public_base_url}, API {config.api_base_url}, key {api_key}")
    serve(config, host, port)


def register(app: typer.Typer) -> None:
    """Adds this command."""
    app.command("whop-emulator")(whop_emulator)
