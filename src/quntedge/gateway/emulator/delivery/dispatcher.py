"""Sends messages to endpoints: signed, at least once, in no promised order, again and again while they fail."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import string
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.gateway.emulator.core.agenda import Kind
from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.delivery.lean_http import LeanClient, SendFailed
from quntedge.gateway.emulator.faults.rules import Faults, Rule
from quntedge.gateway.emulator.state.records import Delivery, Endpoint, Message

RETRY_SECONDS: Sequence[int] = (30, 120, 480, 1800, 3600, 10800, 21600, 43200, 43200, 43200, 43200, 43200)
"""Waits before each of the twelve retries, about 71 hours in all, in emulator time."""

KEPT_FOR = timedelta(days=30)
DISABLED_AFTER = timedelta(hours=72)
DISABLED_AFTER_MESSAGES = 10
"""An endpoint that has failed for `DISABLED_AFTER` is disabled, if at least so many messages failed meanwhile."""

STALE_SECONDS = 600
"""Age of a stale timestamp unless the rule names one: twice what receivers tolerate."""

_KEPT_RESPONSE_CHARACTERS = 500
_DIGITS = string.digits + string.ascii_letters


@dataclass(frozen=True, slots=True)
class Twist:
    """What is wrong with one attempt on purpose."""

    delay_seconds: float = 0.0
    wrong_signature: bool = False
    age_seconds: int = 0
    """How old the signed timestamp is."""


STRAIGHT = Twist()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header: the key is the literal bytes of the whole secret, nothing stripped or decoded."""
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """All headers of a delivery."""
    return {
        "content-type": "application/json",
        "user-agent": "whop-emulator",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }


def stamp(world: World, sent_at: datetime) -> int:
    """The webhook-timestamp of an attempt, in unix seconds."""
    return int((world.clock.real() if world.config.real_stamps else sent_at).timestamp())


def _id_of(text: str) -> str:
    value, digits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:12]), ""
    for _ in range(14):
        value, digit = divmod(value, len(_DIGITS))
        digits += _DIGITS[digit]
    return f"whdel_{digits}"


class Dispatcher:
    """The delivery loop. `put` may be called from anywhere on the event loop; sending happens in tasks."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self.faults = faults
        self.attempts = 0
        self._queue: list[Message] = []
        self._replays: list[Message] = []
        self._late: set[str] = set()
        """Messages that a fault made late: they are not made late again."""
        self._running: set[asyncio.Task[Delivery | None]] = set()
        self._limits: dict[str, asyncio.Semaphore] = {}
        self._client: LeanClient | None = None
        self._pump_asked = False

    async def start(self) -> None:
        """Begins to send; what was put before leaves now."""
        self._client = LeanClient(self._world.config.delivery_timeout_seconds)
        self._ask_pump()

    async def stop(self) -> None:
        """Stops sending. What was not delivered keeps its due time and is sent after the next start."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._client is not None:
            self._client.close()
            self._client = None

    def drop_queue(self) -> None:
        """Forgets what is queued: another state was loaded, in which these messages do not exist."""
        self._queue.clear()
        self._replays.clear()
        self._late.clear()

    def put(self, message: Message) -> None:
        """Takes a message, new or due for a retry."""
        message.next_attempt_at = None
        self._queue.append(message)
        self._ask_pump()

    def put_replays(self, messages: Sequence[Message]) -> None:
        """Takes messages that are sent once more, whatever comes of it."""
        self._replays += messages
        self._ask_pump()

    def _ask_pump(self) -> None:
        if self._client is not None and not self._pump_asked:
            self._pump_asked = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_asked = False
        if self._client is None:
            return  # stopped meanwhile; the queue waits for the next start
        leaving, self._queue = self._queue, []
        self._shuffle(leaving)
        for message in leaving:
            if message.attempts == 0 and self._misdirected(message):
                continue
            self._launch(message)
            if message.attempts == 0 and (rule := self._hit("duplicate", message)) is not None:
                for _ in range(rule.plan.options.get("copies", 1)):
                    self._launch(message, echo=True)
        replays, self._replays = self._replays, []
        for message in replays:
            self._launch(message, echo=True)

    def _hit(self, fault: str, message: Message) -> Rule | None:
        what = f"{message.event} {message.id}"
        return self.faults.on_delivery(fault, message.event, message.endpoint_id, what, self._world.now())

    def _shuffle(self, leaving: list[Message]) -> None:
        """Messages that leave together and are meant by one rule change places with each other."""
        for rule in self.faults.of("reorder"):
            places = [n for n, one in enumerate(leaving) if rule.matches(one.event, one.endpoint_id)]
            if len(places) > 1 and rule.draw():
                self.faults.note(rule, f"{len(places)} messages", self._world.now())
                moved = [leaving[place] for place in places]
                rule.random.shuffle(moved)
                for place, message in zip(places, moved, strict=True):
                    leaving[place] = message

    def _misdirected(self, message: Message) -> bool:
        """Whether a fault lost a new message for good, or put it off in the emulator's time."""
        if message.id in self._late:
            self._late.discard(message.id)
            return False
        if self._hit("drop", message) is not None:
            self._forget(message)
            return True
        for rule in self.faults.of("delay"):
            seconds = rule.plan.options.get("seconds")
            if seconds and rule.matches(message.event, message.endpoint_id) and rule.draw():
                self.faults.note(rule, f"{message.event} {message.id}", self._world.now())
                self._late.add(message.id)
                self._enter(message, self._world.now() + timedelta(seconds=seconds))
                return True
        return False

    def _twist(self, message: Message) -> Twist:
        """Decided before the attempt's task begins, so that the order of the network's answers has no part in it."""
        if not self.faults.touches_deliveries:
            return STRAIGHT
        wait = 0.0
        for rule in self.faults.of("delay"):
            delay_ms, jitter_ms = rule.plan.options.get("delay_ms", 0), rule.plan.options.get("jitter_ms", 0)
            if (delay_ms or jitter_ms) and rule.matches(message.event, message.endpoint_id) and rule.draw():
                self.faults.note(rule, f"{message.event} {message.id}", self._world.now())
                wait += (delay_ms + rule.random.random() * jitter_ms) / 1000
        stale = self._hit("stale_timestamp", message)
        return Twist(
            delay_seconds=wait,
            wrong_signature=self._hit("wrong_signature", message) is not None,
            age_seconds=0 if stale is None else stale.plan.options.get("seconds", STALE_SECONDS),
        )

    def _launch(self, message: Message, *, echo: bool = False) -> None:
        if self._listening(message) is None:
            self._forget(message, echo=echo)
            return
        task = asyncio.create_task(self._attempt(message, self._twist(message), echo=echo))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _listening(self, message: Message) -> Endpoint | None:
        endpoint = self._world.store.tables.endpoints.get(message.endpoint_id)
        return endpoint if endpoint is not None and endpoint.enabled else None

    @property
    def idle(self) -> bool:
        """True when nothing is queued or on its way. Retries that wait for their time do not count."""
        return not self._queue and not self._replays and not self._running

    async def settle(self) -> None:
        """Waits until nothing is queued or on its way."""
        while not self.idle:
            if self._running:
                await asyncio.wait(self._running)
            await asyncio.sleep(0)

    async def send_once(self, message: Message) -> Delivery:
        """Sends a message at once, outside the queue, and returns how it went. A failure is not retried."""
        endpoint = self._world.store.tables.endpoints[message.endpoint_id]
        return await self._deliver(message, endpoint, self._twist(message))

    async def _attempt(self, message: Message, twist: Twist, *, echo: bool) -> Delivery | None:
        if twist.delay_seconds:
            await asyncio.sleep(twist.delay_seconds)
        async with self._limits.setdefault(
            message.endpoint_id, asyncio.Semaphore(self._world.config.delivery_concurrency)
        ):
            endpoint = self._listening(message)
            if endpoint is None:  # disabled or deleted while the message waited for its turn
                self._forget(message, echo=echo)
                return None
            delivery = await self._deliver(message, endpoint, twist)
        if not echo:
            self._conclude(message, endpoint, delivery)
        return delivery

    async def _deliver(self, message: Message, endpoint: Endpoint, twist: Twist) -> Delivery:
        sent_at, began = self._world.now(), time.monotonic()
        code, text = await self._post(message, endpoint, sent_at, twist)
        delivery = Delivery(
            id=self._delivery_id(message),
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
        return delivery

    async def _post(self, message: Message, endpoint: Endpoint, sent_at: datetime, twist: Twist) -> tuple[int, str]:
        if self._client is None:
            raise RuntimeError("the dispatcher is not running")
        body = message.body.encode()
        secret = endpoint.secret + "x" if twist.wrong_signature else endpoint.secret
        headers = signed_headers(secret, message.id, stamp(self._world, sent_at) - twist.age_seconds, body)
        self.attempts += 1
        try:
            answer = await self._client.post(endpoint.url, headers, body)
        except SendFailed as error:
            return 0, str(error)[:_KEPT_RESPONSE_CHARACTERS]
        return answer.status, answer.body.decode("utf-8", "replace")[:_KEPT_RESPONSE_CHARACTERS]

    def _delivery_id(self, message: Message) -> str:
        """Made from the message and not from the common stream of ids: answers come in no order that can be repeated,
        and must not decide which ids other objects get."""
        known, place = self._world.store.tables.deliveries, f"{self._world.config.seed}:{message.id}"
        numbers = itertools.count(message.attempts)
        made = (_id_of(f"{place}:{message.replayed_from}:{number}") for number in numbers)
        return next(candidate for candidate in made if candidate not in known)

    def _keep(self, delivery: Delivery) -> None:
        store = self._world.store
        deliveries = store.tables.deliveries
        store.add(deliveries, delivery)
        horizon = delivery.created_at - KEPT_FOR
        while (oldest := next(iter(deliveries.values()))).created_at < horizon:
            store.remove(deliveries, oldest.id)

    def _conclude(self, message: Message, endpoint: Endpoint, delivery: Delivery) -> None:
        message.attempts += 1
        self._world.store.mark(endpoint)
        if delivery.success:
            endpoint.consecutive_failures, endpoint.failing_since = 0, None
            self._forget(message)
            return
        endpoint.failing_since = endpoint.failing_since or delivery.created_at
        if message.attempts == 1:
            endpoint.consecutive_failures += 1
        if message.attempts > len(RETRY_SECONDS):
            endpoint.last_failure_at = delivery.created_at
            self._forget(message)
        else:
            self._enter(message, self._world.now() + timedelta(seconds=RETRY_SECONDS[message.attempts - 1]))
        self._disable_if_dead(endpoint, delivery.created_at)

    def _disable_if_dead(self, endpoint: Endpoint, at: datetime) -> None:
        since = endpoint.failing_since
        if not endpoint.enabled or since is None or at - since < DISABLED_AFTER:
            return
        if endpoint.consecutive_failures >= DISABLED_AFTER_MESSAGES:
            endpoint.enabled, endpoint.disabled_at, endpoint.disabled_reason = False, at, "delivery_failures"
            self._world.store.touch(endpoint, at)

    def _enter(self, message: Message, due: datetime) -> None:
        message.next_attempt_at = due
        self._world.store.mark(message)
        self._world.agenda.enter(due, Kind.DELIVERY, message.id)

    def _forget(self, message: Message, *, echo: bool = False) -> None:
        if not echo:  # an echo shares its id with a message that may still be on its way
            self._world.store.remove(self._world.store.tables.messages, message.id)
