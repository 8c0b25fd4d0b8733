"""Routes that only those may use whose plan includes a feature."""

from fastapi import Request

from quntedge.access.errors import FeatureNotAvailable
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.services import services_of


class RequireFeature:
    """A dependency: `Depends(require_feature("api_access"))` on a customer's route.

    Raises `FeatureNotAvailable` with the reason, and `UnknownFeature` for one that the catalogue does not have.
    """

    def __init__(self, feature: str) -> None:
        self.feature = feature

    async def __call__(self, request: Request, caller: SignedInCustomer) -> None:
        """Asks for this customer, now."""
        decision = await services_of(request).access.decide(caller.user_id, self.feature)
        if not decision.allowed:
            raise FeatureNotAvailable(
                f"Your plan does not give access to {self.feature} now ({decision.reason}).",
                extra={"feature": self.feature, "reason": decision.reason.value},
            )


require_feature = RequireFeature
