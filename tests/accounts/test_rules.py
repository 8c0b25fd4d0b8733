from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quntedge.accounts import rules

NOW = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "address",
    [
        "kim@example.org",
        "kim.lee+trading@mail.example.co.uk",
        "o'neil@example.com",
        "a@b.io",
        "x" * 64 + "@example.com",
        "kim@xn--bcher-kva.example",
    ],
)
def test_usual_addresses_are_taken(address: str) -> None:
    assert rules.email_problem(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "kim",
        "kim@",
        "@example.org",
        "kim@@example.org",
        "kim@a@example.org",
        "kim lee@example.org",
        "kim@example",
        "kim@example..org",
        "kim@-example.org",
        ".kim@example.org",
        "kim.@example.org",
        "kim@example.org\n",
        "kim\x00@example.org",
        "kïm@example.org",
        "kim@exämple.org",
        "kim@127.0.0.1",
        '"kim lee"@example.org',
        "x" * 65 + "@example.org",
        "kim@" + ".".join(["x" * 60] * 5),
    ],
)
def test_unusable_addresses_are_refused(address: str) -> None:
    assert rules.email_problem(address) is not None


def test_the_domain_is_lowered_and_the_local_part_kept() -> None:
    assert rules.normal_email("  Kim.Lee@EXAMPLE.Org ") == "Kim.Lee@example.org"


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("short one", False),
        ("ten chars!", True),
        ("x y" * 66 + "zz", True),
        ("x y" * 67, False),
        ("Password123", False),
        ("aaaaaaaaaaaa", False),
        ("kim@example.org", False),
        ("KIM@example.ORG", False),
        ("correct horse battery", True),
        ("пароль для торговли", True),
        ("bad \ud800 surrogate", False),
    ],
)
def test_passwords(password: str, good: bool) -> None:
    assert (rules.password_problem(password, "kim@example.org") is None) is good


def test_every_mistake_is_named_at_its_field() -> None:
    with pytest.raises(rules.InvalidAccount) as caught:
        rules.check_sign_up("kim", "short", " \t ", "tlh", accept_terms=False)
    assert [error["field"] for error in caught.value.errors] == ["email", "password", "name", "locale", "accept_terms"]
    assert caught.value.status == 422
    assert "short" not in str(caught.value.extra)


def test_a_name_is_normalised() -> None:
    assert rules.check_sign_up("k@e.io", "correct horse b", "  Kim \u00a0 Le\u0301e ", "fr", True).name == "Kim Lée"
    for name in ("a\x00b", "a\u202eb", "\ud800", "x" * 101):
        with pytest.raises(rules.InvalidAccount):
            rules.check_sign_up("k@e.io", "correct horse b", name, "en", True)


@given(st.one_of(st.none(), st.text()))
def test_any_name_of_the_gateway_fits(text: str | None) -> None:
    name = rules.name_from_gateway(text)
    assert name is None or rules.name_problem(name) is None


@given(st.text(), st.text(), st.text(), st.text(), st.booleans())
def test_any_sign_up_is_taken_or_refused_cleanly(
    email: str, password: str, name: str, locale: str, accept_terms: bool
) -> None:
    try:
        account = rules.check_sign_up(email, password, name, locale, accept_terms)
    except rules.InvalidAccount:
        return
    for text in (account.email, account.password, account.name):
        text.encode()
    assert "\x00" not in account.email + account.name


def test_a_session_ends_after_35_idle_and_90_days_in_all() -> None:
    assert rules.session_expiry(NOW, NOW) == NOW + timedelta(days=35)
    assert rules.session_expiry(NOW, NOW + timedelta(days=10)) == NOW + timedelta(days=45)
    assert rules.session_expiry(NOW, NOW + timedelta(days=80)) == NOW + timedelta(days=90)
