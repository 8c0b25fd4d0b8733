"""What the SDK knows of webhooks: which class each event has, and which model of old its thing."""

import importlib
import importlib.util
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from whop_sdk.lib.verify_webhook import WebhookVerificationError
from whop_sdk.types import (
    DisputeAlertLegacy,
    DisputeLegacy,
    MemberLegacy,
    Membership,
    MembershipLegacy,
    PaymentLegacy,
    RefundLegacy,
    SetupIntentLegacy,
)

from tests.emulator.contract.strict import findings, plain, wire_fields
from tests.emulator.contract.surface import MODULES
from tests.emulator.receiver import Received

WITHOUT_CLASS: dict[str, type[BaseModel]] = {
    "membership.deactivated": Membership,
    "membership.cancel_at_period_end_changed": Membership,
}
"""Events that can be subscribed to and have no class in the SDK; their thing has."""

LEGACY: dict[str, type[BaseModel]] = {
    "membership": MembershipLegacy,
    "payment": PaymentLegacy,
    "refund": RefundLegacy,
    "member": MemberLegacy,
    "dispute": DisputeLegacy,
    "dispute_alert": DisputeAlertLegacy,
    "setup_intent": SetupIntentLegacy,
}
"""What an endpoint without pin gets, by the first part of the event's name. The others have one shape only."""

_ENVELOPE = ("id", "type", "api_version", "api_version_date", "timestamp")


@cache
def payload_classes() -> dict[str, type[BaseModel]]:
    """The SDK's payload classes by event."""
    found: dict[str, type[BaseModel]] = {}
    for module in MODULES:
        if importlib.util.find_spec(f"whop_sdk.{module}.types") is None:
            continue
        types = importlib.import_module(f"whop_sdk.{module}.types")
        for name in dir(types):
            if name.startswith("Post") and name.endswith("Payload"):
                model = getattr(types, name)
                for literal in plain(model.model_fields["type"].annotation):
                    found |= {str(event): model for event in get_args(literal)}
    return found


def native_findings(one: Received) -> list[str]:
    """What is wrong with a delivery to a pinned endpoint."""
    event = one.event
    problems = _unverified(one)
    problems += [] if "account_id" in event and "company_id" not in event else [f"{one.type}: no account_id"]
    if event["id"] != one.headers["webhook-id"]:
        problems.append(f"{one.type}: its id is not its webhook-id")
    model = payload_classes().get(one.type)
    if model is not None:
        return problems + findings(event, model, one.type)
    problems += [f"{one.type}: without {name}" for name in _ENVELOPE if not event.get(name)]
    return problems + findings(one.data, WITHOUT_CLASS[one.type], one.type)


def legacy_findings(one: Received) -> list[str]:
    """What is wrong with a delivery to an endpoint without pin."""
    event, kind = one.event, one.type.partition(".")[0]
    problems = _unverified(one)
    problems += [] if "company_id" in event and "account_id" not in event else [f"{one.type}: no company_id"]
    if event["api_version_date"] is not None:
        problems.append(f"{one.type}: pinned to {event['api_version_date']}")
    model: Any = LEGACY.get(kind)
    if model is None:
        model = wire_fields(payload_classes()[one.type])["data"].annotation
    return problems + findings(one.data, model, f"{one.type} (legacy)")


def _unverified(one: Received) -> list[str]:
    """What the SDK's own verifier has against a delivery."""
    try:
        return [] if one.unwrapped() == one.event else [f"{one.type}: unwrapped to something else"]
    except WebhookVerificationError as error:
        return [f"{one.type}: {error}"]


def thing_of(event: str) -> Any:
    """The type of an event's `data` on a pinned endpoint."""
    model = payload_classes().get(event)
    return WITHOUT_CLASS[event] if model is None else wire_fields(model)["data"].annotation
