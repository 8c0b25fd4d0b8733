"""Memberships, native and legacy, as snapshots."""

from quntedge.gateway.port import MembershipSnapshot, Shape
from quntedge.gateway.whop.fields import Fields
from quntedge.gateway.whop.statuses import CANCELING, membership_status

_LEGACY_MARKS = frozenset(
    {"company", "plan", "user", "renewal_period_start", "renewal_period_end", "payment_collection_paused", "joined_at"}
)

_TOLD_BY_ACTION = {"paused_at": True, "renewing_on": False, "trial_ends_at": False, "next_payment_attempt": False}


def _paused(fields: Fields) -> bool | None:
    """Whether collection is paused: the legacy shape has a flag, the native one a latest action.

    An action that says what is charged next says that it is charged. One set to cancel, or without an action, does not
    tell.
    """
    flag = fields.flag("payment_collection_paused")
    return _TOLD_BY_ACTION.get(fields.word("most_recent_action") or "") if flag is None else flag


def membership_snapshot(document: object) -> MembershipSnapshot:
    """Reads one membership object. Raises `UnusableEvent` when its id, status or plan cannot be read."""
    fields = Fields(document, "data")
    shape: Shape = "legacy" if not _LEGACY_MARKS.isdisjoint(fields.raw) else "native"
    raw_status = fields.required_word("status")
    plan = fields if "plan_id" in fields.raw else Fields(fields.raw.get("plan"), "data.plan", fields.warnings)
    user = fields.child("user")
    return MembershipSnapshot(
        membership_id=fields.required_id(),
        status=membership_status(raw_status),
        raw_status=raw_status,
        plan_id=plan.required_id("plan_id" if plan is fields else "id"),
        product_id=fields.id("product_id", "product"),
        user_id=fields.id("user_id", "user"),
        member_id=fields.id("member_id", "member"),
        cancel_at_period_end=raw_status == CANCELING or bool(fields.flag("cancel_at_period_end")),
        canceled_at=fields.instant("canceled_at"),
        period_start=fields.instant("current_period_start", "renewal_period_start"),
        period_end=fields.instant("current_period_end", "renewal_period_end"),
        expires_at=fields.instant("expires_at"),
        # Only shown and reported, never charged by us: a price we cannot hold must not stop an activation.
        renewal_price=fields.informational_amount("renewal_price", fields.word("currency")),
        paused=_paused(fields),
        manage_url=fields.text("manage_url"),
        checkout_id=fields.id("checkout_configuration_id"),
        metadata=fields.metadata(),
        customer_email=user.text("email") if user is not None else None,
        customer_name=(user.text("name") or user.text("username")) if user is not None else None,
        created_at=fields.instant("created_at"),
        updated_at=fields.instant("updated_at"),
        shape=shape,
        warnings=tuple(fields.warnings),
    )
