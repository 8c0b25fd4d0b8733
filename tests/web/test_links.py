import pytest

from quntedge.web.links import local_path, sign_in_path


@pytest.mark.parametrize(
    "good",
    ["/", "/billing", "/billing/invoices?cursor=abc", "/pricing#plan-monthly", "/a//b", "/checkout/chk_1?x=http://y"],
)
def test_our_own_addresses_are_kept(good: str) -> None:
    assert local_path(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "billing",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/ /evil.example",
        "\x00/billing",
        "javascript:alert(1)",
        "data:text/html,x",
        "/billing\r\nSet-Cookie: a=b",
        "/" + "x" * 600,
        " /billing",
    ],
)
def test_everything_else_leads_home(bad: str | None) -> None:
    assert local_path(bad) == "/billing"


def test_the_way_back_from_signing_in_is_one_of_ours() -> None:
    assert sign_in_path({"path": "/billing", "query_string": b"cursor=a&x=1"}) == (
        "/sign-in?next=%2Fbilling%3Fcursor%3Da%26x%3D1"
    )
    assert sign_in_path({"path": "//evil.example", "query_string": b""}) == "/sign-in?next=%2Fbilling"
