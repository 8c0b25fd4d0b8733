"""Whop's error answers."""


class ApiFault(Exception):
    """An answer other than success: HTTP status, Whop's error type, a sentence for people, sometimes a code."""

    def __init__(self, status: int, type_: str, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.message = message
        self.code = code
        self.headers: dict[str, str] = {}
        """Headers of the answer besides the usual ones."""

    def body(self) -> dict[str, object]:
        """The answer in Whop's form."""
        code = {} if self.code is None else {"code": self.code}
        return {"error": {"type": self.type, "message": self.message, **code}}


def bad_request(message: str) -> ApiFault:
    """400: the request itself is wrong."""
    return ApiFault(400, "bad_request", message)


def unauthorized() -> ApiFault:
    """401: no key, or not ours."""
    return ApiFault(401, "unauthorized", "The API key is missing or unknown. Send it as Authorization: Bearer <key>.")


def forbidden(message: str) -> ApiFault:
    """403: understood and not allowed."""
    return ApiFault(403, "forbidden", message)


def not_found(what: str) -> ApiFault:
    """404: unknown, or not visible with this key."""
    return ApiFault(404, "not_found", f"{what} was not found.")


def conflict(message: str) -> ApiFault:
    """409: impossible in the present state."""
    return ApiFault(409, "conflict", message)


def invalid(message: str) -> ApiFault:
    """422: well-formed, and yet no usable value."""
    return ApiFault(422, "invalid_parameters", message)
