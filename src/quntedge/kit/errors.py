"""The error tree: one class is one broken rule, with a stable code, an HTTP status and a message that is safe to show.

Feature folders subclass the classes below with their own ``code`` and ``title``. The edge turns any of them into an
RFC 9457 ``application/problem+json`` body with :func:`problem` and adds the headers of ``error.headers()``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypedDict

PROBLEM_CONTENT_TYPE = "application/problem+json"
_CODE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_RESERVED = frozenset({"type", "title", "status", "detail", "code", "instance"})


class FieldError(TypedDict):
    """One malformed field: its dotted path in the request and what is wrong with it."""

    field: str
    message: str


class QuntedgeError(Exception):
    """The root of every business error.

    ``code`` is part of the public contract and never changes; ``status`` is the HTTP status; ``title`` names the kind
    of problem. ``detail`` says what is wrong this time and how to mend it; it is shown to callers, so it holds no
    secrets and no personal data. ``extra`` holds further public members of the problem document.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str = "", *, extra: Mapping[str, Any] | None = None) -> None:
        """Build the error; without a ``detail`` the title is the detail.

        Raises ValueError when ``extra`` uses a member name that RFC 9457 or this contract has taken.
        """
        self.detail: str = detail or self.title
        self.extra: dict[str, Any] = dict(extra or {})
        taken = _RESERVED & self.extra.keys()
        if taken:
            raise ValueError(f"extra members may not be named {', '.join(sorted(taken))}")
        super().__init__(self.detail)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a class whose code is not stable snake_case or whose status is not an HTTP error."""
        super().__init_subclass__(**kwargs)
        if not _CODE.fullmatch(cls.code):
            raise TypeError(f"{cls.__name__}.code must be snake_case, not {cls.code!r}")
        if not 400 <= cls.status <= 599:
            raise TypeError(f"{cls.__name__}.status must be an HTTP error status, not {cls.status}")

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers that the answer must carry besides the problem body."""
        return {}


class InvalidRequest(QuntedgeError):
    """400: the request as a whole cannot be understood (headers, query, cursor)."""

    code = "invalid_request"
    status = 400
    title = "The request is not valid"


class Unauthenticated(QuntedgeError):
    """401: nobody is signed in, or the credentials are not valid."""

    code = "unauthenticated"
    status = 401
    title = "Sign in first"

    def headers(self) -> dict[str, str]:
        """RFC 9110 asks a 401 to name a scheme."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(QuntedgeError):
    """403: the caller is known and may not do this."""

    code = "forbidden"
    status = 403
    title = "You may not do this"


class NotFound(QuntedgeError):
    """404: no such thing, or none that this caller may know of."""

    code = "not_found"
    status = 404
    title = "Not found"


class MethodNotAllowed(QuntedgeError):
    """405: the address exists, the method does not."""

    code = "method_not_allowed"
    status = 405
    title = "This address does not answer to that method"

    def __init__(self, detail: str = "", *, allowed: Sequence[str], extra: Mapping[str, Any] | None = None) -> None:
        """``allowed`` lists the methods the address does answer to; RFC 9110 demands the ``Allow`` header."""
        super().__init__(detail, extra=extra)
        self.allowed: tuple[str, ...] = tuple(allowed)

    def headers(self) -> dict[str, str]:
        """Name the methods that would work."""
        return {"Allow": ", ".join(self.allowed)}


class Conflict(QuntedgeError):
    """409: the request is fine, the present state does not permit it."""

    code = "conflict"
    status = 409
    title = "This does not fit the present state"


class Gone(QuntedgeError):
    """410: it existed and will not come back (expired link, withdrawn offer)."""

    code = "gone"
    status = 410
    title = "This is no longer available"


class PayloadTooLarge(QuntedgeError):
    """413: the body is over the limit of this address."""

    code = "payload_too_large"
    status = 413
    title = "The request body is too large"


class UnsupportedMedia(QuntedgeError):
    """415: the body's content type is not one we read."""

    code = "unsupported_media_type"
    status = 415
    title = "This content type is not supported"


class Malformed(QuntedgeError):
    """422: the request was read, its content does not have the required form. Only for malformed input."""

    code = "malformed"
    status = 422
    title = "Some of the input is malformed"

    def __init__(
        self, detail: str = "", *, errors: Sequence[FieldError] = (), extra: Mapping[str, Any] | None = None
    ) -> None:
        """``errors`` names each bad field; they become the ``errors`` member of the problem."""
        super().__init__(detail, extra=extra)
        self.errors: tuple[FieldError, ...] = tuple(errors)
        if self.errors:
            self.extra["errors"] = [dict(error) for error in self.errors]


class RateLimited(QuntedgeError):
    """429: too many requests; try again after ``retry_after_seconds``."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"

    def __init__(self, detail: str = "", *, retry_after_seconds: int, extra: Mapping[str, Any] | None = None) -> None:
        """``retry_after_seconds`` is a whole number of seconds, at least 1 (RFC 9110 knows no fractions)."""
        super().__init__(detail, extra=extra)
        self.retry_after_seconds: int = max(1, retry_after_seconds)
        self.extra["retry_after_seconds"] = self.retry_after_seconds

    def headers(self) -> dict[str, str]:
        """Tell the caller when to come back."""
        return {"Retry-After": str(self.retry_after_seconds)}


class Unavailable(QuntedgeError):
    """503: something we need does not answer; nothing was changed, trying again later is right."""

    code = "unavailable"
    status = 503
    title = "Temporarily unavailable"

    def __init__(
        self, detail: str = "", *, retry_after_seconds: int | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        """``retry_after_seconds``, when known, becomes the ``Retry-After`` header."""
        super().__init__(detail, extra=extra)
        self.retry_after_seconds: int | None = None if retry_after_seconds is None else max(1, retry_after_seconds)

    def headers(self) -> dict[str, str]:
        """Tell the caller when to come back, if we know."""
        return {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}


def problem_type(code: str) -> str:
    """Return the problem's ``type``: a reference, relative to the server, to the paragraph that explains the code."""
    return f"/docs/errors#{code}"


def problem(error: QuntedgeError, *, instance: str | None = None) -> dict[str, Any]:
    """Return the RFC 9457 problem document of ``error``.

    ``instance`` identifies this occurrence (the request's path or id) and is left out when not given.
    """
    document: dict[str, Any] = {
        "type": problem_type(error.code),
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if instance is not None:
        document["instance"] = instance
    return document | error.extra


def error_types(root: type[QuntedgeError] = QuntedgeError) -> Iterator[type[QuntedgeError]]:
    """Yield ``root`` and every error class imported so far below it, for the documentation and its test."""
    yield root
    for child in root.__subclasses__():
        yield from error_types(child)
