"""Turns what happened into signed-to-be messages: one per endpoint that subscribed, in that endpoint's own shape."""

import json
from datetime import datetime
from typing import Protocol

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.shapes.buyers import BuyerShapes
from quntedge.gateway.emulator.shapes.disputes import DisputeShapes
from quntedge.gateway.emulator.shapes.legacy import LegacyShapes
from quntedge.gateway.emulator.shapes.sellers import SellerShapes
from quntedge.gateway.emulator.shapes.setups import SetupShapes
from quntedge.gateway.emulator.state.money_records import Dispute, DisputeAlert, SetupIntent
from quntedge.gateway.emulator.state.records import (
    Endpoint,
    Invoice,
    Member,
    Membership,
    Message,
    Payment,
    Plan,
    Product,
    Record,
    Refund,
)
from quntedge.gateway.emulator.state.store import Store
from quntedge.gateway.emulator.wire.values import JsonObject, iso

NATIVE_MEMBERSHIPS_SINCE = "2026-07-23"
NATIVE_PAYMENTS_SINCE = "2026-09-02-1"
NATIVE_DISPUTES_SINCE = "2026-07-25"
NATIVE_ALERTS_SINCE = "2026-08-10"
NATIVE_SETUPS_SINCE = "2026-09-22-1"
ACCOUNT_ID_SINCE = "2026-08-14"


class Outbox(Protocol):
    """Where messages leave."""

    def put(self, message: Message) -> None:
        """Takes a message for delivery as soon as possible."""
        ...


class Announcer:
    """Renders each event at the moment it happens, so that a later change never shows in an earlier message."""

    def __init__(self, config: EmulatorConfig, store: Store, outbox: Outbox) -> None:
        self._config = config
        self._store = store
        self._outbox = outbox
        self._buyers = BuyerShapes(config, store)
        self._sellers = SellerShapes(config, store)
        self._legacy = LegacyShapes(config, store, self._buyers)
        self._disputes = DisputeShapes(config, store)
        self._setups = SetupShapes(config, store)

    def emit(self, event: str, record: Record, at: datetime, previous: JsonObject | None = None) -> None:
        """Queues `event` about `record` for every enabled endpoint that subscribed to it."""
        for endpoint in list(self._store.tables.endpoints.values()):
            if endpoint.enabled and event in endpoint.events and not endpoint.child_resource_events:
                self.emit_to(endpoint, event, record, at, previous)

    def emit_to(
        self, endpoint: Endpoint, event: str, record: Record, at: datetime, previous: JsonObject | None = None
    ) -> Message:
        """Queues `event` for one endpoint, whether or not it subscribed, and returns the message."""
        message_id = self._store.new_id("msg")
        data = self._data(endpoint.api_version_date, record)
        body = envelope(self._config.account_id, endpoint.api_version_date, message_id, event, data, at, previous)
        message = Message(id=message_id, created_at=at, updated_at=at, endpoint_id=endpoint.id, event=event, body=body)
        self._store.add(self._store.tables.messages, message)
        self._outbox.put(message)
        return message

    def _data(self, pin: str | None, record: Record) -> JsonObject:
        native_memberships = pin is not None and pin >= NATIVE_MEMBERSHIPS_SINCE
        native_payments = pin is not None and pin >= NATIVE_PAYMENTS_SINCE
        match record:
            case Membership():
                return (self._buyers if native_memberships else self._legacy).membership(record)
            case Payment():
                return (self._buyers if native_payments else self._legacy).payment(record)
            case Member():
                return (self._buyers if native_memberships else self._legacy).member(record)
            case Refund():
                return self._legacy.refund(record)  # legacy even on the newest pin, as at Whop
            case Dispute() if pin is not None and pin >= NATIVE_DISPUTES_SINCE:
                return self._disputes.dispute(record)
            case Dispute():
                return self._disputes.legacy_dispute(record)
            case DisputeAlert() if pin is not None and pin >= NATIVE_ALERTS_SINCE:
                return self._disputes.alert(record)
            case DisputeAlert():
                return self._disputes.legacy_alert(record)
            case SetupIntent() if pin is not None and pin >= NATIVE_SETUPS_SINCE:
                return self._setups.setup_intent(record)
            case SetupIntent():
                return self._setups.legacy(record)
            case Invoice():
                return self._sellers.invoice(record)
            case Plan():
                return self._sellers.plan(record)
            case Product():
                return self._sellers.product(record)
            case _:
                raise TypeError(f"no webhook shape for {type(record).__name__}")


def envelope(
    account_id: str,
    pin: str | None,
    message_id: str,
    event: str,
    data: JsonObject,
    at: datetime,
    previous: JsonObject | None,
) -> str:
    """The body of a delivery. Endpoints pinned before 2026-08-14, or not at all, get `company_id`."""
    body: JsonObject = {
        "id": message_id,
        "type": event,
        "api_version": "v1",
        "api_version_date": pin,
        "timestamp": iso(at),
        "account_id" if pin is not None and pin >= ACCOUNT_ID_SINCE else "company_id": account_id,
    }
    if previous:
        body["previous_attributes"] = previous
    body["data"] = data
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
