"""The table of event types: what each name is about and what it hints at.

The name is only a hint: the status of the object that comes with it decides (see `normalise`). Everything that lists
event types, the endpoint registration and the documentation included, is derived from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from quntedge.gateway.port import EventKind


class Family(StrEnum):
    """Which object an event carries, and so which parser reads it."""

    MEMBERSHIP = "membership"
    PAYMENT = "payment"
    REFUND = "refund"
    INVOICE = "invoice"
    SETUP = "setup_intent"
    DISPUTE = "dispute"
    DISPUTE_ALERT = "dispute_alert"
    CASE = "resolution_center_case"


class Origin(StrEnum):
    """Where a name comes from."""

    WHOP = "whop"
    """Sent by Whop today."""
    PRODUCT = "product"
    """One of our own internal names that Whop does not send; accepted literally all the same."""
    RETIRED = "retired"
    """Sent by Whop in earlier versions, still by endpoints made then."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One row of the table. `family` is None for events that are known and deliberately not acted upon."""

    name: str
    family: Family | None
    hint: EventKind | None
    origin: Origin
    subscribed: bool
    meaning: str


def _acted_upon(family: Family, origin: Origin, *rows: tuple[str, EventKind, str]) -> list[EventType]:
    return [EventType(name, family, hint, origin, origin is Origin.WHOP, meaning) for name, hint, meaning in rows]


def _ignored(origin: Origin, meaning: str, *names: str) -> list[EventType]:
    return [EventType(name, None, None, origin, False, meaning) for name in names]


_K = EventKind

_ROWS: Final = [
    *_acted_upon(
        Family.MEMBERSHIP,
        Origin.WHOP,
        ("membership.activated", _K.MEMBERSHIP_ACTIVATED, "became valid: purchase, trial start, back from past due"),
        ("membership.updated", _K.MEMBERSHIP_UPDATED, "any change; every activation is sent as this one too"),
        ("membership.trial_ending_soon", _K.MEMBERSHIP_TRIAL_ENDING, "the trial is about to end"),
        ("membership.deactivated", _K.MEMBERSHIP_DEACTIVATED, "became invalid; being phased out by Whop"),
        ("membership.cancel_at_period_end_changed", _K.MEMBERSHIP_UPDATED, "cancellation scheduled or withdrawn"),
    ),
    *_acted_upon(
        Family.MEMBERSHIP,
        Origin.PRODUCT,
        ("membership.trialing", _K.MEMBERSHIP_TRIALING, "a trial began"),
    ),
    *_acted_upon(
        Family.MEMBERSHIP,
        Origin.RETIRED,
        ("membership.went_valid", _K.MEMBERSHIP_ACTIVATED, "old name of membership.activated"),
        ("membership.went_invalid", _K.MEMBERSHIP_DEACTIVATED, "old name of membership.deactivated"),
        ("membership.metadata_updated", _K.MEMBERSHIP_UPDATED, "old special case of membership.updated"),
    ),
    *_acted_upon(
        Family.PAYMENT,
        Origin.WHOP,
        ("payment.created", _K.PAYMENT_CREATED, "a payment exists, nothing collected yet"),
        ("payment.pending", _K.PAYMENT_PENDING, "a slow rail is clearing"),
        ("payment.requires_action", _K.PAYMENT_REQUIRES_ACTION, "the bank wants the buyer to authenticate"),
        ("payment.authorized", _K.PAYMENT_AUTHORIZED, "a hold was placed"),
        ("payment.succeeded", _K.PAYMENT_SUCCEEDED, "the money was collected"),
        ("payment.failed", _K.PAYMENT_FAILED, "an attempt failed"),
        ("payment.canceled", _K.PAYMENT_CANCELED, "voided, or the hold was released"),
    ),
    *_acted_upon(
        Family.PAYMENT,
        Origin.PRODUCT,
        ("payment.refunded", _K.PAYMENT_REFUNDED, "all of the payment was given back"),
        ("payment.partially_refunded", _K.PAYMENT_PARTIALLY_REFUNDED, "part of the payment was given back"),
    ),
    *_acted_upon(
        Family.REFUND,
        Origin.WHOP,
        ("refund.created", _K.REFUND_UPDATED, "a refund was asked for"),
        ("refund.updated", _K.REFUND_UPDATED, "a refund's status changed"),
    ),
    *_acted_upon(
        Family.INVOICE,
        Origin.WHOP,
        ("invoice.created", _K.INVOICE_CREATED, "an explicit invoice was made"),
        ("invoice.paid", _K.INVOICE_PAID, "an explicit invoice was paid or marked so"),
        ("invoice.past_due", _K.INVOICE_PAYMENT_FAILED, "an explicit invoice is overdue"),
        ("invoice.marked_uncollectible", _K.INVOICE_ENDED, "an explicit invoice was given up"),
        ("invoice.voided", _K.INVOICE_ENDED, "an explicit invoice was voided"),
    ),
    *_acted_upon(
        Family.INVOICE,
        Origin.PRODUCT,
        ("invoice.payment_failed", _K.INVOICE_PAYMENT_FAILED, "an explicit invoice could not be collected"),
    ),
    *_acted_upon(
        Family.DISPUTE,
        Origin.WHOP,
        ("dispute.created", _K.DISPUTE_UPDATED, "a buyer's bank disputes a payment, or asks about it"),
        ("dispute.updated", _K.DISPUTE_UPDATED, "a dispute's status, evidence or deadline changed"),
    ),
    *_acted_upon(
        Family.DISPUTE_ALERT,
        Origin.WHOP,
        ("dispute_alert.created", _K.DISPUTE_ALERTED, "a warning that a payment is about to be disputed"),
    ),
    *_acted_upon(
        Family.CASE,
        Origin.WHOP,
        ("resolution_center_case.created", _K.CASE_UPDATED, "a buyer complains at Whop"),
        ("resolution_center_case.updated", _K.CASE_UPDATED, "somebody answered in a complaint"),
        ("resolution_center_case.decided", _K.CASE_UPDATED, "Whop has decided a complaint"),
    ),
    *_acted_upon(
        Family.SETUP,
        Origin.WHOP,
        ("setup_intent.succeeded", _K.METHOD_SAVED, "a means of payment was saved without buying"),
    ),
    *_ignored(
        Origin.WHOP,
        "cards that were not saved, and customer records",
        "setup_intent.requires_action",
        "setup_intent.canceled",
        "member.created",
        "member.updated",
    ),
    *_ignored(
        Origin.WHOP,
        "the catalogue",
        "plan.created",
        "plan.updated",
        "plan.deleted",
        "product.created",
        "product.updated",
        "product.deleted",
        "product.published",
        "product.unpublished",
    ),
    *_ignored(
        Origin.WHOP,
        "money between Whop and the seller",
        "financial_activity.funds_available",
        "ledger_account.funds_available",
        "payout.created",
        "payout.updated",
        "payout.reversed",
        "payout_method.created",
        "payout_account.status_updated",
        "deposit.succeeded",
        "swap.completed",
        "transfer.created",
        "transfer.completed",
        "transfer.failed",
    ),
    *_ignored(
        Origin.WHOP,
        "the seller's own account",
        "account.updated",
        "account.financing_approved",
        "account.financing_denied",
        "account.financing_disabled",
        "export.completed",
        "export.failed",
        "verification.succeeded",
        "identity_profile.approved",
        "identity_profile.rejected",
        "identity_profile.needs_action",
        "identity_profile.updated",
    ),
    *_ignored(
        Origin.WHOP,
        "cards issued to the seller",
        "card.created",
        "card.updated",
        "card.frozen",
        "card.canceled",
        "card_application.created",
        "card_application.updated",
        "card_application.approved",
        "card_application.denied",
        "card_transaction.created",
        "card_transaction.updated",
        "card_transaction.completed",
        "card_transaction.declined",
        "card_transaction.reversed",
    ),
    *_ignored(
        Origin.WHOP,
        "other products of Whop",
        "entry.created",
        "entry.approved",
        "entry.denied",
        "entry.deleted",
        "course_lesson_interaction.completed",
        "shipment.created",
        "shipment.updated",
        "ad_campaign.created",
        "ad_campaign.payment_failed",
        "ad_campaign.updated",
        "ad_campaign.events",
        "ad_group.created",
        "ad_group.updated",
        "ad.created",
        "ad.updated",
        "chat.message.created",
        "chat.reaction.created",
    ),
    *_ignored(
        Origin.RETIRED,
        "retired, without meaning for billing",
        "withdrawal.created",
        "withdrawal.updated",
        "withdrawal.reversed",
        "membership.experience_claimed",
        "payment.affiliate_reward_created",
        "app_membership.went_valid",
        "app_membership.went_invalid",
        "app_payment.succeeded",
        "app_payment.failed",
        "app_payment.pending",
        "resolution.created",
        "resolution.updated",
        "resolution.decided",
    ),
]

EVENT_TYPES: Final[Mapping[str, EventType]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every name we know, by name."""

SUBSCRIBED_EVENTS: Final[tuple[str, ...]] = tuple(row.name for row in _ROWS if row.subscribed)
"""The names our webhook endpoint is registered for: exactly those that are acted upon and sent today."""

_UNDERSCORED: Final = {name.replace(".", "_"): name for name in EVENT_TYPES}


def canonical_name(name: str) -> str:
    """The dotted spelling of a known name (`payment_succeeded` → `payment.succeeded`); others stay as they are."""
    return _UNDERSCORED.get(name, name)
