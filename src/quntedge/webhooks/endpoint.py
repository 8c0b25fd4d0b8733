"""Does the gateway still deliver to us? It disables an endpoint that fails for days, and says so in its own API only.

What it sends to a disabled endpoint is lost for good. So its own account of our endpoint is read regularly, and when
the endpoint is well again, what failed is asked for once more and everything is compared.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from quntedge.gateway.errors import GatewayError
from quntedge.gateway.port import Gateway, WebhookEndpoint
from quntedge.kit.clock import Clock
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import WEBHOOK_ENDPOINT_HEALTHY

log = get_logger(__name__)

PATH = "/api/whop/webhook"
"""Where deliveries arrive, below the public address of the installation."""

MARGIN = timedelta(minutes=5)
"""How much earlier than the first known failure deliveries are asked for again."""


class EndpointState(StrEnum):
    """How deliveries to us stand, as the gateway sees it."""

    WELL = "well"
    FAILING = "failing"
    DISABLED = "disabled"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """The state, since when it is bad if that is known, and what to do about it. `endpoint` is None when missing."""

    state: EndpointState
    url: str
    endpoint: WebhookEndpoint | None = None

    @property
    def advice(self) -> str:
        """What a person should do now."""
        match self.state:
            case EndpointState.WELL:
                return "Whop delivers."
            case EndpointState.FAILING:
                return (
                    "The last deliveries were not accepted. Look at `quntedge_webhooks_rejected` and the log for why."
                )
            case EndpointState.DISABLED:
                return "Whop has stopped delivering. Mend the cause, then enable the endpoint in Whop's dashboard."
            case EndpointState.MISSING:
                return f"Whop has no endpoint with this address. Add {self.url} in Whop's dashboard."


def judge(endpoints: list[WebhookEndpoint], url: str) -> EndpointHealth:
    """The health of the best of the endpoints with this address."""
    ours = [endpoint for endpoint in endpoints if endpoint.url.rstrip("/") == url.rstrip("/")]
    if not ours:
        return EndpointHealth(EndpointState.MISSING, url)
    best = min(ours, key=lambda endpoint: (not endpoint.enabled, endpoint.consecutive_failures))
    if not best.enabled:
        return EndpointHealth(EndpointState.DISABLED, url, best)
    failing = best.consecutive_failures > 0
    return EndpointHealth(EndpointState.FAILING if failing else EndpointState.WELL, url, best)


class EndpointWatch:
    """Looks at our endpoint, tells of every change, and catches up when it is well again."""

    def __init__(self, gateway: Gateway, url: str, clock: Clock, catch_up: Callable[[], Awaitable[int]]) -> None:
        """`url` is our public address for deliveries; `catch_up` compares everything with the gateway."""
        self._gateway = gateway
        self._url = url
        self._clock = clock
        self._catch_up = catch_up
        self._last: EndpointHealth | None = None
        self._bad_since: datetime | None = None

    async def look(self) -> EndpointHealth:
        """Asks the gateway now. Raises `GatewayError`."""
        return judge(await self._gateway.webhook_endpoints(), self._url)

    async def check(self) -> int:
        """Looks, sets the gauge, logs a change, catches up after trouble. Answers 1 when something is wrong."""
        try:
            health = await self.look()
        except GatewayError as error:
            WEBHOOK_ENDPOINT_HEALTHY.set(float("nan"))
            log.warning("webhook_endpoint.not_asked", code=error.code)
            return 0
        well = health.state is EndpointState.WELL
        WEBHOOK_ENDPOINT_HEALTHY.set(1 if well else 0)
        before, self._last = self._last, health
        if before is None or before.state is not health.state:
            log.log(20 if well else 40, "webhook_endpoint.state", state=health.state.value, advice=health.advice)
        if not well:
            since = health.endpoint.failing_since if health.endpoint is not None else None
            self._bad_since = min(filter(None, (self._bad_since, since, self._clock.now())))
            return 1
        if self._bad_since is not None and health.endpoint is not None:
            await self._recover(health.endpoint, self._bad_since)
            self._bad_since = None
        return 0

    async def _recover(self, endpoint: WebhookEndpoint, bad_since: datetime) -> None:
        try:
            await self._gateway.redeliver(
                endpoint.endpoint_id, failed_since=bad_since - MARGIN, idempotency_key=new_id("rdl", self._clock.now())
            )
        except GatewayError as error:
            # What it would have brought is found by comparing, too.
            log.warning("webhook_endpoint.not_redelivered", code=error.code)
        await self._catch_up()
