"""Which client a request comes from, believing X-Forwarded-For only as far as trusted proxies wrote it."""

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.types import Scope

from quntedge.settings import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAX_HOPS = 20


class Clients:
    """Finds the address of a client. Built once from the addresses (or networks) of our own reverse proxies."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        """Raises `ConfigurationError` for something that is neither an address nor a network."""
        self._trusted: tuple[Network, ...] = tuple(_network(text) for text in trusted_proxies)

    def address(self, scope: Scope) -> str | None:
        """The client's address: the peer, or, when the peer is a trusted proxy, the last hop that is not one of ours.

        Anything further left in X-Forwarded-For was written by the client itself and means nothing.
        """
        peer = scope.get("client")
        if peer is None:
            return None
        address: str = peer[0]
        if not self._trusted or not self._is_trusted(address):
            return address
        for hop in reversed(_forwarded(scope)[-_MAX_HOPS:]):
            if _parse(hop) is None:
                return address
            address = hop
            if not self._is_trusted(hop):
                return address
        return address

    def bucket(self, scope: Scope) -> str:
        """What rate limits count by: the address, of IPv6 only the /64, since one client commands a whole one."""
        text = self.address(scope)
        parsed = _parse(text) if text else None
        if parsed is None:
            return text or "unknown"
        if isinstance(parsed, ipaddress.IPv6Address):
            if parsed.ipv4_mapped is not None:
                return str(parsed.ipv4_mapped)
            return str(ipaddress.IPv6Network((parsed, 64), strict=False))
        return str(parsed)

    def _is_trusted(self, text: str) -> bool:
        address = _parse(text)
        return address is not None and any(address in network for network in self._trusted)


def _forwarded(scope: Scope) -> Sequence[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [hop.strip() for hop in ",".join(values).split(",") if hop.strip()]


def _parse(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigurationError(
            f"TRUSTED_PROXIES holds {text!r}, which is neither an address nor a network like 10.0.0.0/8."
        ) from None
