"""A buyer changes to another plan in Whop's portal.

Sellers cannot do this through the API, and Whop documents no more than the billing reason `subscription_update`. Chosen
here: the membership keeps its id and gets the other plan; the other plan's full price is charged at once, what is left
of the old period is not given back, and a new period begins. A charge that is declined changes nothing. During a trial
nothing is charged and the trial goes on. A promo code stays behind with the plan it was used for.
"""

from datetime import datetime, timedelta

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import memberships, renewals
from quntedge.gateway.emulator.state.records import Membership, Plan
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request, conflict

SWITCHABLE = ("active", "trialing")


def offers(world: World, membership: Membership) -> list[Plan]:
    """The plans a buyer may change to: other visible recurring plans of the same product and currency."""
    if membership.status not in SWITCHABLE or membership.billing_period_days is None:
        return []
    plans = world.store.tables.plans.values()
    return [plan for plan in plans if plan.visibility == "visible" and _fits(membership, plan)]


def _fits(membership: Membership, plan: Plan) -> bool:
    return (
        plan.recurring
        and plan.id != membership.plan_id
        and plan.product_id == membership.product_id
        and plan.currency == membership.initial_price.currency
        and plan.visibility != "archived"
    )


def switch(world: World, membership: Membership, plan: Plan, at: datetime) -> None:
    """Changes the plan and charges for it.

    Raises:
        ApiFault: 409 when the membership is not running, is paused or set to cancel; 400 for a plan that does not fit;
            402 when the charge was declined.
    """
    if membership.status not in SWITCHABLE or membership.billing_period_days is None:
        raise conflict("Only a running recurring membership can change its plan.")
    if membership.cancel_at_period_end or membership.paused_at is not None:
        raise conflict("A membership that is paused or set to cancel cannot change its plan.")
    if not _fits(membership, plan):
        raise bad_request("The membership cannot change to this plan.")
    after = {
        "plan_id": plan.id,
        "initial_price": plan.initial_price,
        "renewal_price": plan.renewal_price,
        "billing_period_days": plan.billing_period,
        "promo_code_id": None,
        "promo_charges_left": None,
    }
    if membership.status == "trialing":
        memberships.change(world, membership, at, **after)
        return
    _charge(world, membership, plan, at)
    end = at + timedelta(days=plan.billing_period or 0)
    memberships.change(world, membership, at, **after, current_period_start=at, current_period_end=end)


def _charge(world: World, membership: Membership, plan: Plan, at: datetime) -> None:
    payment = renewals.bill(world, membership, plan, plan.renewal_price, None, "subscription_update", at)
    payment.last_payment_attempt_at = at
    world.announcer.emit("payment.created", payment, at)
    decline = renewals.decline_now(world, membership)
    if decline is None:
        payment.status, payment.substatus, payment.paid_at = "paid", "succeeded", at
        world.store.touch(payment, at)
        world.announcer.emit("payment.succeeded", payment, at)
        return
    payment.substatus, payment.payments_failed = "failed", 1
    payment.decline_code, payment.failure_message = decline.code, decline.message
    world.store.touch(payment, at)
    world.announcer.emit("payment.failed", payment, at)
    memberships.give_up(world, payment, at, "void", "canceled")
    raise ApiFault(402, "payment_failed", decline.message)
