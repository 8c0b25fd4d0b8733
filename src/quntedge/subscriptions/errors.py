"""What can go wrong with subscriptions."""

from quntedge.kit.errors import NotFound


class UnknownGatewayPlan(NotFound):
    """A membership is on a plan that no row of the catalogue points at."""

    code = "unknown_gateway_plan"
    title = "The catalogue does not know this plan of the gateway"

    def __init__(self, whop_plan_id: str) -> None:
        super().__init__(
            f"No plan of the catalogue has whop_plan_id {whop_plan_id}. Add it to the catalogue, then replay the event."
        )
