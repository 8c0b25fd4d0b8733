"""From a verified delivery to one of our own events.

Any accepted name (Whop's, our own, the retired ones, dots or underscores) and any accepted shape (native or legacy)
becomes a `GatewayEvent` with a frozen snapshot. The status of the object decides what happened; the name only settles
what the status leaves open. A name and a status that contradict each other make the event untrusted, so that the
object is read again before anything is done.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from quntedge.gateway.disputed import DisputeAlertSnapshot
from quntedge.gateway.port import (
    Contested,
    Envelope,
    EventKind,
    GatewayEvent,
    IgnoredEvent,
    InvoiceStatus,
    MembershipSnapshot,
    MembershipStatus,
    PaymentSnapshot,
    PaymentStatus,
    RefundStatus,
    UnusableEvent,
)
from quntedge.gateway.whop.events import EVENT_TYPES, Family, canonical_name
from quntedge.gateway.whop.fields import Fields, parse_instant, unusable, usable_id
from quntedge.gateway.whop.shapes_dispute import alert_snapshot, case_snapshot, dispute_snapshot
from quntedge.gateway.whop.shapes_invoice import invoice_snapshot
from quntedge.gateway.whop.shapes_membership import membership_snapshot
from quntedge.gateway.whop.shapes_payment import payment_snapshot
from quntedge.gateway.whop.shapes_refund import refund_snapshot, refunded_payment_total
from quntedge.gateway.whop.shapes_setup import setup_snapshot
from quntedge.gateway.whop.statuses import ENDED_MEMBERSHIPS, VALID_MEMBERSHIPS, membership_status

_TYPE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,100}")

_MEMBERSHIP_KINDS: Final[Mapping[MembershipStatus, EventKind]] = {
    MembershipStatus.TRIALING: EventKind.MEMBERSHIP_TRIALING,
    MembershipStatus.ACTIVE: EventKind.MEMBERSHIP_ACTIVATED,
    MembershipStatus.COMPLETED: EventKind.MEMBERSHIP_ACTIVATED,
    MembershipStatus.PAST_DUE: EventKind.MEMBERSHIP_DEACTIVATED,
    MembershipStatus.CANCELED: EventKind.MEMBERSHIP_DEACTIVATED,
    MembershipStatus.EXPIRED: EventKind.MEMBERSHIP_DEACTIVATED,
}
"""What a change *into* a status is. Statuses that are missing here (drafted, unresolved, unknown) only update."""

_PAYMENT_KINDS: Final[Mapping[PaymentStatus, EventKind]] = {
    PaymentStatus.DRAFT: EventKind.PAYMENT_CREATED,
    PaymentStatus.PENDING: EventKind.PAYMENT_PENDING,
    PaymentStatus.AUTHORIZED: EventKind.PAYMENT_AUTHORIZED,
    PaymentStatus.PAID: EventKind.PAYMENT_SUCCEEDED,
    PaymentStatus.UNCOLLECTIBLE: EventKind.PAYMENT_CANCELED,
    PaymentStatus.VOID: EventKind.PAYMENT_CANCELED,
}
"""What a payment's status alone says. `open` says more with its substatus; `unresolved` and unknown say nothing."""

_INVOICE_KINDS: Final[Mapping[InvoiceStatus, EventKind]] = {
    InvoiceStatus.DRAFT: EventKind.INVOICE_CREATED,
    InvoiceStatus.OPEN: EventKind.INVOICE_CREATED,
    InvoiceStatus.PAID: EventKind.INVOICE_PAID,
    InvoiceStatus.PAST_DUE: EventKind.INVOICE_PAYMENT_FAILED,
    InvoiceStatus.UNCOLLECTIBLE: EventKind.INVOICE_ENDED,
    InvoiceStatus.VOID: EventKind.INVOICE_ENDED,
}

_CONTESTED: Final[Mapping[Family, Callable[[object], Contested]]] = {
    Family.DISPUTE: dispute_snapshot,
    Family.DISPUTE_ALERT: alert_snapshot,
    Family.CASE: case_snapshot,
}

_REFUND_HINTS: Final = frozenset({EventKind.PAYMENT_REFUNDED, EventKind.PAYMENT_PARTIALLY_REFUNDED})


def envelope(document: object) -> Envelope:
    """What the intake needs: type, account, ordering key, time. Cheap, and interprets nothing.

    Raises `UnusableEvent` when the document is no envelope (reasons `not_an_object`, `legacy_envelope`,
    `missing_type`, `bad_type`), names its account wrongly, or carries an event we act upon without a usable object.
    """
    opened, event_type = _open(document)
    known = EVENT_TYPES.get(canonical_name(event_type))
    family = known.family if known is not None else None
    return Envelope(
        event_type=event_type,
        ordering_key=_ordering_key(opened, event_type, family),
        account_id=_account_id(opened, family),
        occurred_at=parse_instant(opened.get("timestamp")),
    )


def normalise(document: object) -> GatewayEvent | IgnoredEvent:
    """One of our events, or `IgnoredEvent` for a type that is none of our business or unknown.

    The JSON must have been read with exact numbers (`documents.load_json`). Raises `UnusableEvent` and nothing else.
    """
    opened, event_type = _open(document)
    known = EVENT_TYPES.get(canonical_name(event_type))
    if known is None or known.family is None or known.hint is None:
        return IgnoredEvent(event_type, known is not None, _account_id(opened, None))
    account_id = _account_id(opened, known.family)
    data = opened.get("data")
    family = _actual_family(known.family, data)
    if family is Family.MEMBERSHIP:
        event = _membership_event(event_type, known.hint, data, opened.get("previous_attributes"))
    elif family is Family.PAYMENT:
        event = _payment_event(event_type, known.hint, data)
    elif family is Family.REFUND:
        event = _refund_event(event_type, known.hint, data)
    elif family is Family.INVOICE:
        event = _invoice_event(event_type, known.hint, data)
    elif family is Family.SETUP:
        # Believed as it is: all that follows from it is that the member's methods are read from Whop.
        event = GatewayEvent(known.hint, event_type, setup_snapshot(data), trusted=True)
    else:
        event = _contested_event(event_type, known.hint, family, data)
    return replace(event, account_id=account_id, occurred_at=parse_instant(opened.get("timestamp")))


def _open(document: object) -> tuple[Mapping[str, object], str]:
    if not isinstance(document, dict):
        raise UnusableEvent("not_an_object", "the body must be a JSON object")
    event_type = document.get("type")
    if event_type is None:
        if "action" in document:
            raise UnusableEvent(
                "legacy_envelope",
                "this endpoint speaks an envelope Whop has retired; create a v1 endpoint in its place",
            )
        raise UnusableEvent("missing_type", "the envelope has no type")
    if not isinstance(event_type, str) or _TYPE_NAME.fullmatch(event_type) is None:
        raise UnusableEvent("bad_type", "the type must be a word of at most 100 characters")
    return document, event_type


def _account_id(document: Mapping[str, object], family: Family | None) -> str | None:
    """The account the delivery is for: `company_id` on endpoints pinned before the rename, else inside the object.

    Where we would act on the object, one that names another account than its envelope is unusable: believing either
    could be wrong.
    """
    fields = Fields(document, "envelope")
    stated = None
    for name in ("account_id", "company_id"):
        if document.get(name) is not None:
            stated = fields.required_id(name)
            break
    data = document.get("data")
    if not isinstance(data, dict):
        return stated
    inner = Fields(data, "data")
    found = inner.id("account_id", "account") or inner.id("company_id", "company")
    if family is not None and stated is not None and found is not None and stated != found:
        raise UnusableEvent("account_mismatch", "the envelope and its object name different accounts")
    return stated or found


def _ordering_key(document: Mapping[str, object], event_type: str, family: Family | None) -> str:
    data = document.get("data")
    if not isinstance(data, dict):
        if family is not None:
            raise unusable("data", "must be an object")
        return f"type:{event_type}"
    object_id = usable_id(data.get("id"))
    if family is Family.MEMBERSHIP:
        membership_id = object_id
    else:
        membership_id = _membership_of(data) or _membership_of(data.get("payment"))
    if membership_id is not None:
        return membership_id
    if object_id is None:
        if family is not None:
            raise unusable("data.id", "must be an identifier")
        return f"type:{event_type}"
    kind = _actual_family(family, data) if family is not None else canonical_name(event_type).partition(".")[0]
    return f"{kind}:{object_id}"


def _membership_of(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    nested = value.get("membership")
    return usable_id(value.get("membership_id")) or (usable_id(nested.get("id")) if isinstance(nested, dict) else None)


def _actual_family(family: Family, data: object) -> Family:
    """A payment event may carry the refund instead of the payment: the prefix of the id tells."""
    object_id = data.get("id") if isinstance(data, dict) else None
    if family is Family.PAYMENT and isinstance(object_id, str) and object_id.startswith("rf_"):
        return Family.REFUND
    return family


def _membership_event(event_type: str, hint: EventKind, data: object, previous: object) -> GatewayEvent:
    snapshot = membership_snapshot(data)
    by_status = _MEMBERSHIP_KINDS.get(snapshot.status, EventKind.MEMBERSHIP_UPDATED)
    agrees = snapshot.status is not MembershipStatus.UNKNOWN
    kind = by_status
    if hint is EventKind.MEMBERSHIP_TRIAL_ENDING:
        # Late enough, the trial has already become something else; then there is nothing left to remind of.
        kind = hint if snapshot.status is MembershipStatus.TRIALING else EventKind.MEMBERSHIP_UPDATED
    elif hint is EventKind.MEMBERSHIP_UPDATED:
        kind = by_status if _changed_validity(snapshot, previous) else EventKind.MEMBERSHIP_UPDATED
    else:
        says_valid = hint is not EventKind.MEMBERSHIP_DEACTIVATED
        agrees = agrees and says_valid == (snapshot.status in VALID_MEMBERSHIPS)
    return GatewayEvent(kind, event_type, snapshot, trusted=agrees and _tells_age(snapshot))


def _changed_validity(snapshot: MembershipSnapshot, previous: object) -> bool:
    """Whether an update moved the membership into or out of validity, as far as `previous_attributes` tells."""
    before = previous.get("status") if isinstance(previous, dict) else None
    if not isinstance(before, str):
        # Without the old status only a trial is worth a name of its own: nothing else announces it.
        return snapshot.status is MembershipStatus.TRIALING and not isinstance(previous, dict)
    was = membership_status(before)
    if snapshot.status in VALID_MEMBERSHIPS:
        return was is not snapshot.status
    if snapshot.status in ENDED_MEMBERSHIPS:
        return was in VALID_MEMBERSHIPS or was is MembershipStatus.PAST_DUE
    return was in VALID_MEMBERSHIPS


def _payment_event(event_type: str, hint: EventKind, data: object) -> GatewayEvent:
    snapshot = payment_snapshot(data)
    status = snapshot.status
    if status is PaymentStatus.OPEN and hint is EventKind.PAYMENT_FAILED:
        # Whop leaves a failed payment open, and not every shape says in another way that the attempt failed.
        snapshot = replace(snapshot, attempt_failed=True)
    if status is PaymentStatus.OPEN and hint is EventKind.PAYMENT_REQUIRES_ACTION:
        snapshot = replace(snapshot, requires_action=True)
    kind = _payment_kind(snapshot, hint)
    return GatewayEvent(kind, event_type, snapshot, trusted=_believable(snapshot, kind, hint) and _tells_age(snapshot))


def _believable(snapshot: PaymentSnapshot, kind: EventKind, hint: EventKind) -> bool:
    """Whether name and status can both be true.

    A status that has gone on since (created, but already paid) is fine; an end that the status denies is not.
    """
    if snapshot.status in (PaymentStatus.UNKNOWN, PaymentStatus.UNRESOLVED):
        return False
    if hint in _REFUND_HINTS:
        return kind in _REFUND_HINTS
    return kind is hint or hint not in (EventKind.PAYMENT_SUCCEEDED, EventKind.PAYMENT_CANCELED)


def _payment_kind(snapshot: PaymentSnapshot, hint: EventKind) -> EventKind:
    if snapshot.status is PaymentStatus.PAID and hint in _REFUND_HINTS:
        return _refund_kind(snapshot, hint)
    if snapshot.status is PaymentStatus.OPEN:
        if hint in (EventKind.PAYMENT_REQUIRES_ACTION, EventKind.PAYMENT_FAILED):
            return hint
        # A creation may be delivered late, when the object already tells of a failed attempt.
        return EventKind.PAYMENT_FAILED if snapshot.attempt_failed else EventKind.PAYMENT_CREATED
    return _PAYMENT_KINDS.get(snapshot.status, hint)


def _refund_kind(snapshot: PaymentSnapshot, hint: EventKind) -> EventKind:
    """Full or partial by the amounts, which count every refund; the name only when they do not tell."""
    if snapshot.refunded is None or snapshot.total is None or not snapshot.refunded:
        return hint
    full = snapshot.refunded >= snapshot.total
    return EventKind.PAYMENT_REFUNDED if full else EventKind.PAYMENT_PARTIALLY_REFUNDED


def _refund_event(event_type: str, hint: EventKind, data: object) -> GatewayEvent:
    """Refunds are never trusted: webhooks carry them in the legacy shape, without the time of their last change."""
    snapshot = refund_snapshot(data)
    total = refunded_payment_total(data)
    kind = EventKind.REFUND_UPDATED
    if snapshot.status is RefundStatus.SUCCEEDED:
        amount = snapshot.amount if total is None else snapshot.in_currency(total.currency)
        if total is not None and total.currency == amount.currency:
            full = amount >= total
            kind = EventKind.PAYMENT_REFUNDED if full else EventKind.PAYMENT_PARTIALLY_REFUNDED
        elif hint in _REFUND_HINTS:
            kind = hint
    return GatewayEvent(kind, event_type, snapshot, trusted=False)


def _invoice_event(event_type: str, hint: EventKind, data: object) -> GatewayEvent:
    snapshot = invoice_snapshot(data)
    kind = _INVOICE_KINDS.get(snapshot.status, hint)
    if snapshot.status is InvoiceStatus.OPEN and hint is EventKind.INVOICE_PAYMENT_FAILED:
        # An invoice stays open when a charge for it fails, until it is due.
        kind = hint
    agrees = snapshot.status is not InvoiceStatus.UNKNOWN and hint in (kind, EventKind.INVOICE_CREATED)
    # Invoices have one shape only, whose nested style is no sign of an old endpoint.
    return GatewayEvent(kind, event_type, snapshot, trusted=agrees and snapshot.updated_at is not None)


def _contested_event(event_type: str, hint: EventKind, family: Family, data: object) -> GatewayEvent:
    """Disputes, alerts and complaints. Their names tell nothing that the object does not."""
    snapshot = _CONTESTED[family](data)
    known = snapshot.status if not isinstance(snapshot, DisputeAlertSnapshot) else snapshot.kind
    return GatewayEvent(hint, event_type, snapshot, trusted=known.value != "unknown" and _tells_age(snapshot))


def _tells_age(snapshot: MembershipSnapshot | PaymentSnapshot | Contested) -> bool:
    """Only the native shape with its time of change can be ordered against what we already hold."""
    return snapshot.shape == "native" and snapshot.updated_at is not None
