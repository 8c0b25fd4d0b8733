"""The cookies: who is signed in; before that, which browser a form was given to; what the next page has to say; and
which language a visitor has chosen."""

from starlette.responses import Response

from quntedge.settings import Settings

SESSION_SECONDS = 90 * 24 * 3600
"""The cookie outlives any session; whether the session still counts is decided by its row."""

LANGUAGE_SECONDS = 365 * 24 * 3600
FLASH_SECONDS = 5 * 60
"""News that nobody has come to read by then is no news any more."""


def session_cookie(settings: Settings) -> str:
    """Name of the session cookie. `__Host-` binds it to this host and to https."""
    return "__Host-quntedge" if settings.secure_cookies else "quntedge_session"


def visitor_cookie(settings: Settings) -> str:
    """Name of the cookie that the forms of somebody not signed in are bound to."""
    return "__Host-quntedge_visitor" if settings.secure_cookies else "quntedge_visitor"


def flash_cookie(settings: Settings) -> str:
    """Name of the cookie that carries one message to the next page."""
    return "__Host-quntedge_flash" if settings.secure_cookies else "quntedge_flash"


def language_cookie(settings: Settings) -> str:
    """Name of the cookie that remembers the language somebody not signed in has chosen."""
    return "__Host-quntedge_language" if settings.secure_cookies else "quntedge_language"


def set_session(response: Response, settings: Settings, token: str) -> None:
    """Signs the browser in."""
    _set(response, settings, session_cookie(settings), token, SESSION_SECONDS)


def set_visitor(response: Response, settings: Settings, binding: str) -> None:
    """Marks the browser for the length of its session."""
    _set(response, settings, visitor_cookie(settings), binding, None)


def set_flash(response: Response, settings: Settings, value: str) -> None:
    """Gives the browser something to bring to the next page."""
    _set(response, settings, flash_cookie(settings), value, FLASH_SECONDS)


def set_language(response: Response, settings: Settings, locale: str) -> None:
    """Remembers the language for a year."""
    _set(response, settings, language_cookie(settings), locale, LANGUAGE_SECONDS)


def clear_session(response: Response, settings: Settings) -> None:
    """Signs the browser out."""
    _clear(response, settings, session_cookie(settings))


def clear_visitor(response: Response, settings: Settings) -> None:
    """Forgets the mark; a new one is made when needed."""
    _clear(response, settings, visitor_cookie(settings))


def clear_flash(response: Response, settings: Settings) -> None:
    """Forgets the message: it has been shown."""
    _clear(response, settings, flash_cookie(settings))


def _set(response: Response, settings: Settings, name: str, value: str, max_age: int | None) -> None:
    # Lax, not Strict: the customer comes back from the payment page by a cross-site link and must still be signed in.
    response.set_cookie(
        name, value, max_age=max_age, path="/", secure=settings.secure_cookies, httponly=True, samesite="lax"
    )


def _clear(response: Response, settings: Settings, name: str) -> None:
    response.delete_cookie(name, path="/", secure=settings.secure_cookies, httponly=True, samesite="lax")
