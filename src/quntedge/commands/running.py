"""What the commands share: the product's services around one piece of work."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from uvicorn.loops.auto import auto_loop_factory

from quntedge.audit.acting import identify
from quntedge.audit.rules import Actor, ActorKind
from quntedge.commands.errors import explain
from quntedge.commands.operator import operator, operator_name
from quntedge.kit.logging import configure_logging, get_logger
from quntedge.settings import load_settings
from quntedge.wiring import Runtime, build, database

log = get_logger(__name__)


@asynccontextmanager
async def opened(act: str | None = None, kind: str | None = None, subject: str | None = None) -> AsyncIterator[Runtime]:
    """The services on the configured database, for the length of one command. Only warnings are logged.

    A command that does something staff may be denied names its `act` and what it is about: a refusal goes to the audit
    log. Whoever is at the terminal acts.
    """
    settings = load_settings()
    configure_logging(settings.log_format, "WARNING")
    with database(settings) as url:
        runtime = build(settings, url)
        try:
            await runtime.start()
            identify(Actor(ActorKind.OPERATOR, operator_name(), operator()))
            async with runtime.services.audit.attempt(act, kind, subject) if act else nullcontext():
                yield runtime
        finally:
            await runtime.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Does asynchronous work from a command."""
    asyncio.run(work)


def run_service(work: Coroutine[Any, Any, None]) -> None:
    """Runs a long-living process on the fastest event loop there is, until SIGINT or SIGTERM."""
    # A web server ends by raising its signal anew. SIGTERM must not kill before connections and the embedded
    # database are closed, so it leaves the way an exit does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(work)
    except Exception as error:
        # The terminal gets one sentence; what nobody can explain must leave its traceback in the log.
        if explain(error) is None:
            log.exception("process.crashed")
        raise
