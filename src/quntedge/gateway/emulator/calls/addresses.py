"""Which addresses may be given to the emulator."""

import ipaddress

import httpx

from quntedge.gateway.emulator.wire.errors import bad_request

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def check_redirect_url(url: str) -> None:
    """Whop wants https. Plain http to the own machine is let through as well, so that a local demo works."""
    parsed = _parse("redirect_url", url)
    if parsed.scheme == "https" or (parsed.scheme == "http" and parsed.host in _LOCAL_HOSTS):
        return
    raise bad_request("`redirect_url` must be an https address.")


def check_webhook_url(url: str, *, allow_private: bool) -> None:
    """Whop refuses private addresses; so does the emulator when `allow_private` is False."""
    parsed = _parse("url", url)
    if parsed.scheme not in ("http", "https"):
        raise bad_request("`url` must be an http or https address.")
    if not allow_private and (parsed.scheme != "https" or _is_private(parsed.host)):
        raise bad_request("`url` must be a public https address.")


def _parse(name: str, url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise bad_request(f"`{name}` is not a valid address.") from error
    if not parsed.host or parsed.userinfo or len(url) > 2000:
        raise bad_request(f"`{name}` is not a valid address.")
    return parsed


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False  # a name: whether it resolves to a private address is not looked up here
