"""What the redaction takes out, and what it must leave readable."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.kit.redaction import REDACTED, is_sensitive_key, redact, redact_text

OUR_ID = new_id("key", datetime(2026, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "key",
    [
        *("password", "new_password", "passwordHash", "client_secret", "WHOP_WEBHOOK_SECRETS", "token", "access_token"),
        *("Authorization", "proxy-authorization", "cookie", "Set-Cookie", "api_key", "apiKey", "X-API-Key", "apikey"),
        *("signature", "webhook-signature", "csrf", "csrf_token", "email", "userEmail", "e_mail", "phone"),
        *("phone_number", "ip", "client_ip", "ip_address", "remoteIp", "X-Real-IP", "address", "billing_address"),
        *("name", "full_name", "fullName", "first_name", "lastName", "cardholder_name", "username", "body"),
        *("raw_body", "payload", "webhook_payload", "user.email", "totp", "dsn"),
    ],
)
def test_sensitive_keys(key: str) -> None:
    assert is_sensitive_key(key)
    assert redact({key: "value"}) == {key: REDACTED}
    assert redact({key: ["value", {"x": 1}]}) == {key: REDACTED}
    assert redact({key: 12345}) == {key: REDACTED}
    assert redact({"outer": [{"inner": {key: "value"}}]}) == {"outer": [{"inner": {key: REDACTED}}]}


@pytest.mark.parametrize(
    "key",
    [
        *("subscription_id", "description", "recipient_count", "skipped", "zip_file", "event", "plan_name", "shipped"),
        *("feature_name", "status", "membership_id", "event_type", "logger", "attempt", "everybody", "amount_minor"),
    ],
)
def test_keys_that_only_look_alike_stay(key: str) -> None:
    assert not is_sensitive_key(key)
    assert redact({key: "value"}) == {key: "value"}


def test_sizes_counts_and_our_ids_of_sensitive_things_stay_when_they_have_that_form() -> None:
    fine = {"body_bytes": 512, "token_count": 3, "api_key_id": OUR_ID, "email": None}
    assert redact(fine) == fine
    hidden = {"body_bytes": "the body", "token_count": "abc", "api_key_id": "sk-live-abc", "token_id": "tok"}
    assert redact(hidden) == dict.fromkeys(hidden, REDACTED)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("mail to jane.doe+x@example.co.uk failed", "jane.doe+x@example.co.uk"),
        ("<jane@example.com>, 'bob@example.org';", "bob@example.org"),
        ("o'brien@example.com", "brien"),
        ("zoë@exämple.com wrote", "zoë@exämple.com"),
        ("jane@localhost", "jane"),
        ("jane@[192.0.2.1]", "192.0.2.1"),
        ("GET /find?q=jane%40example.com&x=1", "jane%40example.com"),
        ("mailto:jane@example.com", "jane"),
        ("from 203.0.113.7:52100", "203.0.113.7"),
        ("203.0.113.7, 198.51.100.9", "198.51.100.9"),
        ("peer=203.0.113.7", "203.0.113.7"),
        ("from 2001:db8::7f:1 port 1", "2001:db8::7f:1"),
        ("from [2001:db8::1]:443", "2001:db8::1"),
        ("client:2001:db8::1: refused", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329", "8329"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0 said", "fe80::1"),
        ("key qk_live_4f9Zx-77aQ used", "4f9Zx-77aQ"),
        ("Authorization: Bearer abc.DEF-123_~+/=", "abc.DEF"),
        ("authorization: bearer   abcdef", "abcdef"),
        ("Authorization: Basic amFuZTpzZWNyZXQ=", "amFuZTpzZWNyZXQ"),
        ("secret ws_0123456789abcdef given", "0123456789abcdef"),
        ("secret whsec_MfKQ9r8GKYqrTwjU/+x= given", "MfKQ9r8GKYqrTwjU"),
        ("whsecMfKQ9r8GKYqrTwjU", "MfKQ9r8GKYqrTwjU"),
        ("id_token eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1In0.c2ln.", "eyJzdWIiOiJ1In0"),
        ("card 4242424242424242 declined", "4242424242424242"),
        ("card 4242 4242 4242 4242 12/30", "4242 4242"),
        ("card 4242-4242-4242-4242.", "4242-4242"),
        ("amex 3782 822463 10005", "822463"),
        ("amex 378282246310005", "378282246310005"),
        ("1 4242424242424242 2", "4242424242424242"),
        ("6011000990139424000 and 4222222222222", "4222222222222"),
        ("postgresql://quntedge:hunter2@db:5432/q", "hunter2"),
        ("smtp://user%40x.com:pw@mail", "pw@"),
        ("password=hunter2 next", "hunter2"),
        ("password: hunter2", "hunter2"),
        ("Settings(secret_key='hunter 2', port=1)", "hunter 2"),
        ('{"full_name": "Jane Doe", "plan": "pro"}', "Jane"),
        ("{'full_name': 'Jane D\\'oe x', 'plan': 'pro'}", "oe x"),
        ("Customer(name='Jane Doe', plan='pro')", "Jane"),
        ("/verify?token=abc123&next=/", "abc123"),
        ("""{'said': "Customer(name='Jane Doe')"}""", "Jane"),
        ("next=/verify?x=token=abc123", "abc123"),
        (r"{\"password\": \"hunter2\"}", "hunter2"),
    ],
)
def test_secrets_and_personal_data_in_text(text: str, secret: str) -> None:
    cleaned = redact_text(text)
    assert secret in text
    assert secret not in cleaned
    assert REDACTED in cleaned
    assert redact_text(cleaned) == cleaned, "what is redacted once stays as it is"


@pytest.mark.parametrize(
    "text",
    [
        *("subscription sub_01 activated", "at 2026-03-01T12:30:45.123456+00:00", "12:30:45", "took 1.25 s", "3.11.7"),
        *("std::vector<int>", "error: address already in use", "name: the field is empty"),
        *("1234567890123456", "42424242424242424242", "order 4242", "2026-11-22 2026-12-22", "999.1.1.1"),
        *("plan=pro status=active", "GET /api/subscription/access 200", "news_letters", "Basic dashboard", "a @ b"),
        *("00:1b:44:11:3a:b7", "ratio 1:2:3", "0000000000000000", "{'plan': 'pro'}", "$29.00 = 2900 minor", ""),
    ],
)
def test_ordinary_text_stays_readable(text: str) -> None:
    assert redact_text(text) == text


def test_what_surrounds_a_secret_stays() -> None:
    assert redact_text("mail to jane@example.com failed") == f"mail to {REDACTED} failed"
    assert redact_text("from [2001:db8::1]:443 x") == f"from [{REDACTED}]:443 x"
    assert redact_text("client:2001:db8::1: refused") == f"client:{REDACTED}: refused"
    assert redact_text("postgresql://u:p@db:5432/q") == f"postgresql://{REDACTED}@db:5432/q"
    assert redact_text("/verify?token=abc&next=/x") == f"/verify?token={REDACTED}&next=/x"
    assert redact_text('{"full_name": "Jane", "plan": "pro"}') == f'{{"full_name": {REDACTED}, "plan": "pro"}}'


def test_values_of_every_type_become_plain_safe_data() -> None:
    @dataclass
    class Customer:
        name: str
        contact: str

    class Odd:
        def __repr__(self) -> str:
            return "<Odd jane@example.com>"

    value: Any = {
        "customer": Customer("Jane Doe", "jane@example.com"),
        "odd": [Odd(), (1, "bob@example.com")],
        "bytes": b"from 203.0.113.7",
        "jane@example.com": 1,
        "number": 5,
        "share": Decimal("0.10"),
        "at": datetime(2026, 3, 1, tzinfo=UTC),
        "total": Money(2900, "usd"),
        "infinite": float("inf"),
        "flag": True,
        "none": None,
    }
    cleaned = redact(value)
    for secret in ("Jane", "jane", "bob", "203.0.113.7"):
        assert secret not in str(cleaned)
    assert cleaned["odd"] == [f"<Odd {REDACTED}>", [1, REDACTED]]
    assert cleaned["at"] == "2026-03-01T00:00:00+00:00"
    assert (cleaned["number"], cleaned["share"], cleaned["flag"], cleaned["none"]) == (5, "0.10", True, None)
    assert "2900" in cleaned["total"]
    assert cleaned["infinite"] == "inf"
    assert cleaned[REDACTED] == 1


def test_a_structure_that_contains_itself_ends() -> None:
    loop: dict[str, Any] = {"email": "jane@example.com"}
    loop["again"] = loop
    assert "jane" not in str(redact(loop))


@pytest.mark.parametrize(
    "hostile",
    [
        *("a" * 100_000 + "@", "-eyJ" * 25_000, 'a="b' * 25_000, "1 " * 50_000, ":a" * 50_000, "%40" * 30_000),
        *("a@" * 50_000, "://" * 30_000, "1.1." * 25_000, "_" * 100_000 + "@", "'a':" * 25_000, "Bearer " * 15_000),
        *("4242 " * 20_000, "qk_" * 30_000, "a='\\" * 25_000, "[" * 100_000 + "@["),
    ],
)
def test_hostile_text_costs_a_linear_pass(hostile: str) -> None:
    started = time.process_time()
    redact_text(hostile)
    # A quadratic pattern takes minutes on these; a linear one well under a second.
    assert time.process_time() - started < 5
