"""What can be wrong with a question about access."""

from collections.abc import Iterable

from quntedge.kit.errors import Forbidden, NotFound


class UnknownFeature(NotFound):
    """The catalogue has no such feature; the detail names those it has."""

    code = "unknown_feature"
    title = "There is no such feature"

    def __init__(self, feature: str, known: Iterable[str]) -> None:
        names = list(known)
        listed = ", ".join(names) or "none yet"
        shown = feature if len(feature) <= 64 else f"{feature[:61]}..."
        super().__init__(f"There is no feature {shown!r}. Known features: {listed}.", extra={"known_features": names})


class FeatureNotAvailable(Forbidden):
    """The user may not use this feature now; `reason` says why."""

    code = "feature_not_available"
    title = "Your plan does not include this"
