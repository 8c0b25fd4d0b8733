"""Signed deliveries about renewals, as Whop sends them: three for each, all of them different, made ahead of time."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.gateway import payloads

from bench.world import ACCOUNT_ID, PERIOD, WEBHOOK_SECRET, WHOP_PLAN_ID, Customer, World

EVENTS_PER_RENEWAL: Final = 3
_PLACE = re.compile(rb"@([a-z_]+)@")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message and its body, not yet signed."""

    webhook_id: str
    body: bytes

    def request(self, at: datetime) -> bytes:
        """The whole HTTP request, signed at this moment."""
        headers = payloads.sign(self.body, WEBHOOK_SECRET, self.webhook_id, at)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return (
            f"POST /api/whop/webhook HTTP/1.1\r\nhost: bench.test\r\nuser-agent: bench\r\naccept: */*\r\n{lines}"
            f"content-length: {len(self.body)}\r\n\r\n"
        ).encode() + self.body


class _Template:
    """A document with places to be filled in; much cheaper than building and dumping a document for each delivery."""

    def __init__(self, event_type: str, data: dict[str, Any], previous: dict[str, Any] | None = None) -> None:
        document = payloads.envelope(
            event_type,
            data,
            webhook_id="@webhook@",
            account_id=ACCOUNT_ID,
            previous=previous,
            timestamp="@updated_at@",
        )
        self._parts = _PLACE.split(payloads.body_of(document))

    def fill(self, values: Mapping[bytes, bytes]) -> bytes:
        """The body with these values in its places."""
        parts = self._parts.copy()
        for index in range(1, len(parts), 2):
            parts[index] = values[parts[index]]
        return b"".join(parts)


def _membership() -> dict[str, Any]:
    return payloads.native_membership(
        id="@membership@",
        account={"id": ACCOUNT_ID, "route": "quntedge", "title": "QuntEdge", "logo_url": None},
        user_id="@user@",
        member_id="@member@",
        plan_id=WHOP_PLAN_ID,
        current_period_start="@period_start@",
        current_period_end="@period_end@",
        manage_url="https://whop.com/billing/manage/@member@/",
        metadata={"intent_id": "@intent@"},
        member={"access_level": "customer", "last_accessed_at": "@period_start@", "position": None},
        most_recent_action_at="@period_end@",
        created_at="@began_at@",
        updated_at="@updated_at@",
    )


def _payment(**over: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": "@payment@",
        "account_id": ACCOUNT_ID,
        "billing_reason": "subscription_cycle",
        "membership_id": "@membership@",
        "member_id": "@member@",
        "plan_id": WHOP_PLAN_ID,
        "user": {
            "id": "@user@",
            "username": "@member@",
            "name": "Kim Benchmark",
            "profile_picture": {"url": "https://assets.whop.test/users/@user@/picture.png"},
        },
        "customer_email": "@member@@at@example.org",
        "metadata": {"intent_id": "@intent@"},
        "billing_address": {
            "line1": "1 Market Street",
            "line2": None,
            "city": "Springfield",
            "state": "IL",
            "postal_code": "62701",
            "country": "US",
        },
        "last_payment_attempt_at": "@updated_at@",
        "created_at": "@period_start@",
        "updated_at": "@updated_at@",
    }
    return payloads.native_payment(**(values | over))


_TEMPLATES: Final = (
    _Template(
        "payment.created",
        _payment(status="open", substatus="pending", paid_at=None, last_payment_attempt_at=None, refundable=False),
    ),
    _Template("payment.succeeded", _payment(paid_at="@updated_at@")),
    _Template("membership.updated", _membership(), {"current_period_end": "@period_start@"}),
)


def renewals(world: World) -> Iterator[Delivery]:
    """All deliveries of one customer's renewal, then of the next one's, month after month, without end."""
    for month in itertools.count(1):
        starts = world.began_at + PERIOD * month
        moments = _moments(world.began_at, starts)
        for number, customer in enumerate(world.customers):
            yield from _renewal(customer, f"{month:03d}{number:07d}", moments)


def renewal_bodies(world: World, count: int) -> list[Delivery]:
    """The deliveries of this many renewals, in the order in which they happen."""
    return list(itertools.islice(renewals(world), count * EVENTS_PER_RENEWAL))


def signed(deliveries: Sequence[Delivery]) -> list[bytes]:
    """The requests, signed now: to be sent within the next minutes."""
    now = datetime.now(UTC)
    return [delivery.request(now) for delivery in deliveries]


def _moments(began_at: datetime, starts: datetime) -> list[Mapping[bytes, bytes]]:
    """The times in the three deliveries; each is a little later than the one before, as the objects change."""
    return [
        {
            b"began_at": _iso(began_at),
            b"period_start": _iso(starts),
            b"period_end": _iso(starts + PERIOD),
            b"updated_at": _iso(starts + timedelta(seconds=seconds)),
        }
        for seconds in (1, 4, 5)
    ]


def _renewal(customer: Customer, tag: str, moments: Sequence[Mapping[bytes, bytes]]) -> Iterator[Delivery]:
    values = {
        b"user": customer.whop_user_id.encode(),
        b"member": customer.whop_member_id.encode(),
        b"membership": customer.whop_membership_id.encode(),
        b"intent": customer.intent_id.encode(),
        b"payment": f"pay_bench{tag}".encode(),
        b"at": b"@",
    }
    for place, template in enumerate(_TEMPLATES):
        webhook_id = f"msg_bench{tag}x{place}"
        body = template.fill({**values, **moments[place], b"webhook": webhook_id.encode()})
        yield Delivery(webhook_id, body)


def _iso(moment: datetime) -> bytes:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
