"""What `quntedge doctor` looks at, beyond whether the settings can be read."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import aiosmtplib
import psycopg
import sqlalchemy.exc

from quntedge.catalog import queries as catalog
from quntedge.dunning.cases import policy_of
from quntedge.dunning.rules import outlives_gateway
from quntedge.gateway.acts import FailureBehavior
from quntedge.gateway.errors import GatewayError
from quntedge.kit.following_clock import ClockUnreachable, FollowingClock
from quntedge.notifications.smtp import MailServer
from quntedge.schema import KEY_STORES
from quntedge.settings import ConfigurationError, Settings
from quntedge.storage import keys, migrate
from quntedge.storage.jobs import FAILED_KEPT, count_failed
from quntedge.webhooks.endpoint import PATH
from quntedge.wiring import Runtime

OLDEST_POSTGRESQL = 15
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. A `bad` one keeps the product from working, a `warn` one may be meant so."""

    level: Literal["ok", "warn", "bad"]
    about: str
    text: str


async def findings(runtime: Runtime) -> AsyncIterator[Finding]:
    """Looks at everything, one after the other. What fails is a finding, never an exception."""
    yield await _database(runtime.database_url)
    for finding in await upkeep(runtime):
        yield finding
    yield await _gateway(runtime)
    for finding in await _unpaid_renewals(runtime):
        yield finding
    yield await _mail(runtime.settings)
    for finding in webhook_endpoint(runtime.settings):
        yield finding
    yield seller(runtime.settings)
    if runtime.settings.clock_url is not None:
        yield await _clock(runtime.settings.clock_url)


async def _database(url: str) -> Finding:
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=5)
        async with connection:
            version = connection.info.server_version // 10_000
        current, head = await asyncio.to_thread(migrate.pending, url)
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        return Finding("bad", "Database", f"cannot be reached: {_first_line(error)}. Check DATABASE_URL.")
    if version < OLDEST_POSTGRESQL:
        return Finding("bad", "Database", f"PostgreSQL {version} is too old; {OLDEST_POSTGRESQL} or newer is needed.")
    if current != head:
        return Finding(
            "bad", "Database", f"the schema is at {current or 'nothing'}, {head} is needed: run `quntedge migrate`."
        )
    return Finding("ok", "Database", f"PostgreSQL {version}, schema {head}.")


async def upkeep(runtime: Runtime) -> list[Finding]:
    """Encryption keys and jobs. Silent where the database has failed already."""
    try:
        async with runtime.engine.connect() as connection:
            await keys.check(connection, runtime.settings.key_ring(), KEY_STORES)
            idle = await keys.idle(connection, runtime.settings.key_ring(), KEY_STORES)
            failed = await count_failed(connection)
    except ConfigurationError as error:
        return [Finding("bad", "Keys", error.detail)]
    except sqlalchemy.exc.SQLAlchemyError:
        return []
    wrapping = "open everything that was wrapped."
    if idle:
        wrapping += f" Nothing here depends on {', '.join(idle)} any more: `quntedge keys status` says more."
    jobs = "none has failed for good."
    if failed:
        what = ", ".join(f"{number} of {task}" for task, number in failed.items())
        jobs = f"failed for good in the last {FAILED_KEPT.days} days: {what}. The worker's log says why."
    return [Finding("ok", "Keys", wrapping), Finding("warn" if failed else "ok", "Jobs", jobs)]


async def _gateway(runtime: Runtime) -> Finding:
    settings = runtime.settings
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            account_id = await runtime.gateway.account_id()
    except TimeoutError:
        return Finding("bad", "Whop", f"{settings.whop_environment} did not answer in {_PATIENCE_SECONDS:g} seconds.")
    except GatewayError as error:
        return Finding("bad", "Whop", f"{settings.whop_environment} does not serve us: {error.detail}")
    if account_id != settings.whop_account_id:
        return Finding(
            "bad", "Whop", f"WHOP_API_KEY belongs to {account_id}, WHOP_ACCOUNT_ID says {settings.whop_account_id}."
        )
    return Finding("ok", "Whop", f"{settings.whop_environment}, account {account_id}.")


async def _unpaid_renewals(runtime: Runtime) -> list[Finding]:
    """Whether plans promise more time for paying than Whop leaves. Silent where the rest has failed already."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            behavior = await runtime.gateway.failure_behavior()
        async with runtime.units() as unit:
            plans = await catalog.plans(unit.session)
    except (TimeoutError, GatewayError, sqlalchemy.exc.SQLAlchemyError):
        return []
    if behavior is not FailureBehavior.CANCEL:
        return [Finding("ok", "Renewals", "Whop keeps unpaid memberships; when to end them is decided here.")]
    long = [
        plan.code for plan in plans if plan.kind == "recurring" and outlives_gateway(plan.grace_days, policy_of(plan))
    ]
    if not long:
        return [Finding("ok", "Renewals", "Whop cancels unpaid memberships after about five days.")]
    return [
        Finding(
            "warn",
            "Renewals",
            f"Whop cancels unpaid memberships after about five days, before grace or retries of {', '.join(long)} are"
            " over. Customers are told five days. Set subscription_failure_behavior to none at Whop to give them all,"
            " or shorten them in the catalogue.",
        )
    ]


async def _mail(settings: Settings) -> Finding:
    if settings.smtp_url is None:
        return Finding("warn", "Mail", "SMTP_URL is not set: mails wait in the queue.")
    try:
        server = MailServer.parse(settings.smtp_url.get_secret_value())
    except ConfigurationError as error:
        return Finding("bad", "Mail", error.detail)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        use_tls=server.security == "tls",
        start_tls={"opportunistic": None, "starttls": True, "tls": False}[server.security],
        timeout=_PATIENCE_SECONDS,
        local_hostname="localhost",
    )
    try:
        await client.connect()
        await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        return Finding("bad", "Mail", f"{server.host}:{server.port} cannot be used: {_first_line(error)}.")
    finally:
        client.close()
    return Finding("ok", "Mail", f"{server.host}:{server.port} lets us in.")


def webhook_endpoint(settings: Settings) -> list[Finding]:
    """Whether Whop can reach us and we can believe it, as far as the settings tell."""
    address = f"{settings.base_url}{PATH}"
    found = []
    if settings.whop_environment != "custom" and not _is_public(settings.base_url):
        found.append(
            Finding(
                "warn", "Webhook", f"Whop cannot reach {address}: QUNTEDGE_BASE_URL must be a public https address."
            )
        )
    else:
        found.append(Finding("ok", "Webhook", f"enter {address} at Whop as the endpoint's address."))
    odd = sum(not secret.get_secret_value().startswith("ws_") for secret in settings.whop_webhook_secrets)
    if odd and settings.whop_environment != "custom":
        found.append(
            Finding(
                "warn",
                "Webhook",
                f"{odd} of WHOP_WEBHOOK_SECRETS without the ws_ prefix: copy them as Whop shows them.",
            )
        )
    return found


def seller(settings: Settings) -> Finding:
    """Whether invoices say who sells, and carry structured data."""
    missing = [
        name
        for name, value in (
            ("QUNTEDGE_SELLER_NAME", settings.seller_name),
            ("QUNTEDGE_SELLER_LINE1", settings.seller_line1),
            ("QUNTEDGE_SELLER_CITY", settings.seller_city),
            ("QUNTEDGE_SELLER_COUNTRY", settings.seller_country),
            (
                "QUNTEDGE_SELLER_VAT_ID or QUNTEDGE_SELLER_REGISTRATION",
                settings.seller_vat_id or settings.seller_registration,
            ),
        )
        if not value
    ]
    if missing:
        return Finding("warn", "Invoices", f"do not say all of who sells: set {', '.join(missing)}.")
    return Finding("ok", "Invoices", f"are from {settings.seller_name}, {settings.seller_country}.")


def _is_public(base_url: str) -> bool:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme != "https" or host == "localhost" or ("." not in host and ":" not in host):
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return True


async def _clock(url: str) -> Finding:
    clock = FollowingClock(url, start_timeout_seconds=3)
    try:
        await clock.start()
    except ClockUnreachable as error:
        return Finding("bad", "Clock", f"{error}.")
    finally:
        await clock.stop()
    return Finding("ok", "Clock", f"follows the emulator: {clock.now():%Y-%m-%d %H:%M:%S} UTC.")


def _first_line(error: BaseException) -> str:
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(cause).__name__
