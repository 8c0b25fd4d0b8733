"""A message that survives one redirect: set by the answer to a form, shown once by the next page.

It travels in a short-lived cookie that holds the message's key and kind, never a text and nothing about anybody. The
cookie is signed: a page says only what an answer of ours has put there.
"""

import hmac
from dataclasses import dataclass
from typing import Literal, get_args

from starlette.requests import HTTPConnection
from starlette.responses import Response

from quntedge.edge import cookies
from quntedge.edge.services import services_of
from quntedge.settings import Settings
from quntedge.web.i18n import gettext
from quntedge.web.messages import MESSAGES

Kind = Literal["success", "info", "warning", "error"]

_KINDS = get_args(Kind)
_SIGNATURE_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Flash:
    """A message as a page shows it."""

    kind: str
    text: str


def set_flash(response: Response, request: HTTPConnection, key: str, kind: Kind = "success") -> None:
    """Has the next page of this browser say the message with this key (see `quntedge.web.messages`), once.

    A second one replaces the first. Raises `KeyError` for a key that has no text: a programmer's mistake.
    """
    MESSAGES[key]
    settings = services_of(request).settings
    cookies.set_flash(response, settings, f"{kind}.{key}.{_signature(settings, kind, key)}")


def take_flash(request: HTTPConnection) -> Flash | None:
    """The message this browser has brought, if it is one of ours. Whoever shows it calls `clear_flash` as well."""
    settings = services_of(request).settings
    kind, _, rest = request.cookies.get(cookies.flash_cookie(settings), "").partition(".")
    key, _, signature = rest.rpartition(".")
    # A release may have taken a message away while a browser was carrying it.
    if kind not in _KINDS or key not in MESSAGES:
        return None
    if not hmac.compare_digest(_signature(settings, kind, key).encode(), signature.encode("utf-8", "surrogatepass")):
        return None
    return Flash(kind, gettext(MESSAGES[key]))


def clear_flash(response: Response, request: HTTPConnection) -> None:
    """Takes the message out of the browser; does nothing where there is none."""
    settings = services_of(request).settings
    if cookies.flash_cookie(settings) in request.cookies:
        cookies.clear_flash(response, settings)


def _signature(settings: Settings, kind: str, key: str) -> str:
    secret = settings.secret_key.get_secret_value().encode()
    return hmac.digest(secret, f"quntedge/flash:{kind}:{key}".encode(), "sha256").hex()[:_SIGNATURE_LENGTH]
