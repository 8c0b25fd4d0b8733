"""Sends messages to endpoints: signed, at least once, in no promised order, again and again while they fail."""

import asyncio
import base64
import functools
import hashlib
import hmac
import random
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx

from quntedge.gateway.emulator.agenda import Kind
from quntedge.gateway.emulator.records import Delivery, Endpoint, Message
from quntedge.gateway.emulator.world import World

RETRY_SECONDS: Sequence[int] = (30, 120, 480, 1800, 3600, 10800, 21600, 43200, 43200, 43200, 43200, 43200)
"""Waits before each of the twelve retries, about 71 hours in all, in emulator time."""

KEPT_FOR = timedelta(days=30)
_KEPT_RESPONSE_CHARACTERS = 500


@dataclass(slots=True)
class Faults:
    """What is to go wrong with deliveries on purpose."""

    duplicate: int = 0
    """How many of the next messages are sent twice."""
    reorder: bool = False
    """Whether messages that leave together are shuffled."""
    drop_next: int = 0
    """How many of the next messages are lost for good: never sent, never retried, as while an endpoint is disabled."""
    delay_ms: int = 0
    """Real time each attempt waits before it is sent."""


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header: the key is the literal bytes of the whole secret, nothing stripped or decoded."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()


@functools.cache
def _trust_store() -> ssl.SSLContext:
    """Reading the certificates takes longer than everything else at the start, so it is done once per process."""
    return httpx.create_ssl_context()


class Dispatcher:
    """The delivery loop. `put` may be called from anywhere on the event loop; sending happens in tasks."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self.faults = faults
        self.attempts = 0
        self._shuffler = random.Random(world.config.seed)  # noqa: S311 - repeatable disorder, not a secret
        self._queue: list[Message] = []
        self._running: set[asyncio.Task[Delivery]] = set()
        self._limit = asyncio.Semaphore(world.config.delivery_concurrency)
        self._client: httpx.AsyncClient | None = None
        self._pump_asked = False

    async def start(self) -> None:
        """Begins to send; what was put before leaves now."""
        self._client = httpx.AsyncClient(
            verify=_trust_store(),
            timeout=self._world.config.delivery_timeout_seconds,
            follow_redirects=False,
            trust_env=False,
        )
        self._ask_pump()

    async def stop(self) -> None:
        """Stops sending. What was not delivered keeps its due time and is sent after the next start."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def put(self, message: Message) -> None:
        """Takes a message, new or due for a retry."""
        message.next_attempt_at = None
        self._queue.append(message)
        self._ask_pump()

    def _ask_pump(self) -> None:
        if self._client is not None and not self._pump_asked:
            self._pump_asked = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_asked = False
        leaving, self._queue = self._queue, []
        if self.faults.reorder:
            self._shuffler.shuffle(leaving)
        for message in leaving:
            if self.faults.drop_next and not message.attempts:
                self.faults.drop_next -= 1
                self._forget(message)
                continue
            self._launch(message)
            if self.faults.duplicate and not message.attempts:
                self.faults.duplicate -= 1
                self._launch(message, echo=True)

    def _launch(self, message: Message, *, echo: bool = False) -> None:
        endpoint = self._world.store.tables.endpoints.get(message.endpoint_id)
        if endpoint is None or not endpoint.enabled:
            self._forget(message)
            return
        task = asyncio.create_task(self._deliver(message, endpoint, echo=echo))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    @property
    def idle(self) -> bool:
        """True when nothing is queued or on its way. Retries that wait for their time do not count."""
        return not self._queue and not self._running

    async def settle(self) -> None:
        """Waits until nothing is queued or on its way."""
        while not self.idle:
            if self._running:
                await asyncio.wait(self._running)
            await asyncio.sleep(0)

    async def send_once(self, message: Message) -> Delivery:
        """Sends a message at once, outside the queue, and returns how it went. A failure is not retried."""
        endpoint = self._world.store.tables.endpoints[message.endpoint_id]
        return await self._deliver(message, endpoint, echo=True)

    async def _deliver(self, message: Message, endpoint: Endpoint, *, echo: bool) -> Delivery:
        async with self._limit:
            if self.faults.delay_ms:
                await asyncio.sleep(self.faults.delay_ms / 1000)
            sent_at, began = self._world.now(), time.monotonic()
            code, text = await self._post(message, endpoint, int(sent_at.timestamp()))
        delivery = Delivery(
            id=self._world.store.new_id("whdel"),
            created_at=sent_at,
            updated_at=sent_at,
            message_id=message.id,
            endpoint_id=endpoint.id,
            event=message.event,
            body=message.body,
            response_code=code,
            response_body=text,
            success=200 <= code < 300,
            total_time_ms=round((time.monotonic() - began) * 1000),
            replayed_from=message.replayed_from,
        )
        self._keep(delivery)
        if not echo:
            self._conclude(message, endpoint, delivery)
        return delivery

    async def _post(self, message: Message, endpoint: Endpoint, timestamp: int) -> tuple[int, str]:
        if self._client is None:
            raise RuntimeError("the dispatcher is not running")
        body = message.body.encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "whop-emulator",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(endpoint.secret, message.id, timestamp, body),
        }
        self.attempts += 1
        try:
            response = await self._client.post(endpoint.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return 0, f"{type(error).__name__}: {error}"[:_KEPT_RESPONSE_CHARACTERS]
        return response.status_code, response.text[:_KEPT_RESPONSE_CHARACTERS]

    def _keep(self, delivery: Delivery) -> None:
        deliveries = self._world.store.tables.deliveries
        self._world.store.add(deliveries, delivery)
        horizon = delivery.created_at - KEPT_FOR
        while (oldest := next(iter(deliveries.values()))).created_at < horizon:
            del deliveries[oldest.id]

    def _conclude(self, message: Message, endpoint: Endpoint, delivery: Delivery) -> None:
        message.attempts += 1
        if delivery.success:
            endpoint.consecutive_failures, endpoint.failing_since = 0, None
            self._forget(message)
            return
        endpoint.consecutive_failures += 1
        endpoint.last_failure_at = delivery.created_at
        endpoint.failing_since = endpoint.failing_since or delivery.created_at
        if message.attempts > len(RETRY_SECONDS):
            self._forget(message)
            return
        due = self._world.now() + timedelta(seconds=RETRY_SECONDS[message.attempts - 1])
        message.next_attempt_at = due
        self._world.agenda.enter(due, Kind.DELIVERY, message.id)

    def _forget(self, message: Message) -> None:
        self._world.store.tables.messages.pop(message.id, None)
        self._world.store.changes += 1
