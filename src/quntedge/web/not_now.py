"""Pages for what cannot be done at the moment: why, in the reader's language, and the way to what comes first."""

from collections.abc import Mapping

from fastapi import Request
from starlette.responses import Response

from quntedge.kit.errors import QuntedgeError
from quntedge.web.i18n import gettext
from quntedge.web.pages import pages_of

REASONS: Mapping[str, str] = {
    "plan_change_past_due": "A payment of your subscription is overdue. Once it is paid, you can change your plan.",
    "plan_change_paused": "Your subscription is paused. Once you have resumed it, you can change your plan.",
    "plan_change_canceling": (
        "Your subscription is going to end with its period. Once you have undone the cancellation, you can change your "
        "plan."
    ),
    "plan_change_lifetime": "Your plan is yours for ever: there is nothing to change it to.",
    "plan_change_renewing": "Your plan is being renewed at this moment, and the price depends on it.",
    "plan_change_disputed": (
        "Your bank is looking into the payment of this period. Once it has decided, you can change your plan."
    ),
    "plan_change_not_allowed": "This change is not offered. Write to us if you need it.",
    "plan_change_target_not_sold": "This plan cannot be had in the currency you pay in. Write to us if you need it.",
    "nothing_to_pause": "There is nothing to pause: nothing renews.",
    "pause_not_offered": "Your plan cannot be paused. You can cancel it and come back at any time.",
    "pause_in_trial": "A trial cannot be paused. Cancel before it ends and nothing is charged.",
    "pause_while_past_due": "The last payment is still open. Once it is paid, you can pause your subscription.",
    "pause_while_cancelling": (
        "Your subscription is going to end with its period. Once you have undone the cancellation, you can pause it."
    ),
    "pause_while_changing": (
        "Another change of your subscription is under way or planned. Once it is finished or taken back, you can pause."
    ),
    "pause_refused": "The payment provider did not allow this. Nothing was changed; try again, or write to us.",
}
"""What stands in the way, by the error's code."""

_PAY, _CHOOSE, _FOLLOW = "/billing/recover", "/billing/change", "/billing/plan-change"
WAYS: Mapping[str, str] = {
    "/billing": "Back to billing",
    _PAY: "Pay now",
    _CHOOSE: "Look again in a few minutes",
    _FOLLOW: "See your change of plan",
}
"""What the button says, by the address it leads to."""


def _way(code: str) -> str:
    match code:
        case "plan_change_past_due" | "pause_while_past_due":
            return _PAY
        case "plan_change_renewing":
            return _CHOOSE
        case "pause_while_changing":
            return _FOLLOW
    return "/billing"


async def not_now_page(request: Request, heading: str, error: QuntedgeError, *, status: int | None = None) -> Response:
    """Says why something cannot be done now; with the error's own status unless another is given. Raises the error
    where there are no words for it."""
    reason = REASONS.get(error.code)
    if reason is None:
        raise error
    link = _way(error.code)
    context = {"heading": heading, "reason": gettext(reason), "label": gettext(WAYS[link]), "link": link}
    return await pages_of(request).page(request, "not_now.html", context, status=status or error.status)
