"""Many signed messages at once, to see how much a receiver bears.

The messages are well-formed, each with ids of its own, about objects that do not exist: reading them from the API
answers 404. They are not kept in the list of deliveries and not retried.
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.delivery import samples
from quntedge.gateway.emulator.delivery.dispatcher import signed_headers, stamp
from quntedge.gateway.emulator.delivery.lean_http import LeanClient, SendFailed
from quntedge.gateway.emulator.state.records import Endpoint

EVENTS = ("payment.created", "payment.succeeded", "membership.activated", "membership.updated")
"""What a flood consists of, in turn."""

_OBJECT_ID = re.compile(r"(?:pay|mem)_[0-9A-Za-z]{6,}\Z")


@dataclass(frozen=True, slots=True)
class Order:
    """How much of what."""

    count: int
    concurrency: int
    events: tuple[str, ...]


@dataclass(slots=True)
class Result:
    """How it went. `unanswered` includes refused connections and timeouts."""

    seconds: float = 0.0
    accepted: int = 0
    refused: int = 0
    unanswered: int = 0

    @property
    def sent(self) -> int:
        """All attempts."""
        return self.accepted + self.refused + self.unanswered


class _Template:
    """A message cut at its ids, so that the next one is made by joining and not by rendering."""

    def __init__(self, message_id: str, body: str) -> None:
        ids = {message_id}
        _collect(json.loads(body)["data"], ids)
        longest_first = sorted(ids, key=lambda text: (-len(text), text))
        self._pieces = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", body)
        self._message_id = message_id

    def fill(self, message_id: str, tag: str) -> bytes:
        """A body whose object ids end in `tag`."""
        pieces = self._pieces.copy()
        for place in range(1, len(pieces), 2):
            old = pieces[place]
            pieces[place] = message_id if old == self._message_id else f"{old[: old.index('_') + 1]}flood{tag}"
        return "".join(pieces).encode()


def _collect(value: Any, found: set[str]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, str) and _OBJECT_ID.match(value):
        found.add(value)


def _messages(world: World, endpoint: Endpoint, order: Order) -> Iterator[tuple[str, bytes]]:
    """Message ids and bodies; those of one round (one of each event) are about the same objects."""
    made = [samples.message(world, endpoint, event) for event in order.events]
    templates = [_Template(message.id, message.body) for message in made]
    run = world.store.new_id("run").partition("_")[2][:8]
    numbers = itertools.count()
    for _ in range(order.count):
        number = next(numbers)
        message_id = f"msg_flood{run}{number:07d}"
        yield message_id, templates[number % len(templates)].fill(message_id, f"{run}{number // len(templates):07d}")


async def flood(world: World, endpoint: Endpoint, order: Order) -> Result:
    """Sends everything, each connection as fast as it is answered, and returns when the last answer is there."""
    client = LeanClient(world.config.delivery_timeout_seconds)
    messages, result = _messages(world, endpoint, order), Result()

    async def send() -> None:
        for message_id, body in messages:
            headers = signed_headers(endpoint.secret, message_id, stamp(world, world.now()), body)
            try:
                answer = await client.post(endpoint.url, headers, body)
            except SendFailed:
                result.unanswered += 1
            else:
                if 200 <= answer.status < 300:
                    result.accepted += 1
                else:
                    result.refused += 1

    began = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(order.concurrency, order.count)):
                group.create_task(send())
    finally:
        client.close()
    result.seconds = time.perf_counter() - began
    return result
