import pytest

from quntedge.edge.clients import Clients
from quntedge.settings import ConfigurationError


def scope(peer: str | None, *forwarded: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"client": (peer, 1) if peer else None, "headers": headers}


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ([], "198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
        (["10.0.0.1"], "198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
        (["10.0.0.1"], "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        # What the client wrote itself stands further left and does not count.
        (["10.0.0.1"], "10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (["10.0.0.1"], "10.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        (["10.0.0.0/8"], "10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
        (["10.0.0.0/8"], "10.0.0.1", ["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        (["10.0.0.1"], "10.0.0.1", [], "10.0.0.1"),
        (["10.0.0.1"], "10.0.0.1", ["garbage"], "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", ["203.0.113.9, garbage, 10.2.3.4"], "10.2.3.4"),
        (["10.0.0.1"], "10.0.0.1", ["é"], "10.0.0.1"),
        (["::1"], "::1", ["2001:db8::5"], "2001:db8::5"),
    ],
)
def test_the_last_hop_that_is_not_ours_is_the_client(
    trusted: list[str], peer: str, forwarded: list[str], expected: str
) -> None:
    assert Clients(trusted).address(scope(peer, *forwarded)) == expected


def test_a_unix_socket_has_no_address_and_still_a_bucket() -> None:
    assert Clients().address(scope(None)) is None
    assert Clients().bucket(scope(None)) == "unknown"


def test_one_network_of_ipv6_is_one_client() -> None:
    clients = Clients()
    assert clients.bucket(scope("2001:db8:0:1::a")) == clients.bucket(scope("2001:db8:0:1:ffff::b"))
    assert clients.bucket(scope("2001:db8:0:1::a")) != clients.bucket(scope("2001:db8:0:2::a"))
    assert clients.bucket(scope("::ffff:203.0.113.9")) == "203.0.113.9"
    assert clients.bucket(scope("203.0.113.9")) != clients.bucket(scope("203.0.113.8"))


def test_a_proxy_that_is_no_address_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"TRUSTED_PROXIES.*'proxy\.local'"):
        Clients(["proxy.local"])
