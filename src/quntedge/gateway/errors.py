"""What can go wrong between us and the gateway, whichever it is."""

from quntedge.kit.errors import QuntedgeError


class GatewayError(QuntedgeError):
    """Something went wrong between us and the gateway."""

    code = "gateway_error"
    status = 502
    title = "The payment gateway could not do this"


class GatewayNotFound(GatewayError):
    """The object does not exist at the gateway, or our key may not see it."""

    code = "gateway_not_found"


class GatewayRejected(GatewayError):
    """The gateway understood and refused (400, 402, 403, 409, 422). Sending the same again will not help."""

    code = "gateway_rejected"


class GatewayUnauthorized(GatewayError):
    """The gateway does not accept our key (401)."""

    code = "gateway_unauthorized"


class GatewayRateLimited(GatewayError):
    """Too many requests; `retry_after_seconds` says when to come back."""

    code = "gateway_rate_limited"
    status = 503

    def __init__(self, detail: str, retry_after_seconds: float) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class GatewayUnavailable(GatewayError):
    """A read failed for a passing reason (5xx, timeout, no connection), or a write certainly never arrived."""

    code = "gateway_unavailable"
    status = 503


class GatewayOutcomeUnknown(GatewayError):
    """A write may or may not have happened (timeout, cut connection, 5xx). Look before sending again."""

    code = "gateway_outcome_unknown"
    status = 503


class GatewayInvalidAnswer(GatewayError):
    """The gateway answered 2xx with something that cannot be understood."""

    code = "gateway_invalid_answer"
