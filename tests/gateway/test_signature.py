"""The signature of deliveries: Whop's own test vector, agreement with its SDK, and everything that must be refused."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whop_sdk.lib.verify_webhook import WebhookVerificationError, unwrap

from quntedge.gateway.whop.signature import BadSignature, MalformedSignature, SignatureRejected, StaleTimestamp, verify
from tests.gateway.payloads import raw_headers, sign

SECRET = b"ws_0123456789abcdef"
BODY = b'{"type":"payment.succeeded"}'
AT = datetime.fromtimestamp(1786381404, UTC)
VECTOR = [
    (b"host", b"pay.example.com"),
    (b"webhook-id", b"msg_test"),
    (b"webhook-timestamp", b"1786381404"),
    (b"webhook-signature", b"v1,pxMI/1z8wC64m1bypCtgrsQUdz3ydEdpabIJZN4KvKc="),
]


def replaced(name: bytes, *values: bytes) -> list[tuple[bytes, bytes]]:
    return [pair for pair in VECTOR if pair[0] != name] + [(name, value) for value in values]


def as_json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def test_the_published_vector_verifies() -> None:
    verified = verify(VECTOR, BODY, [SECRET], AT)
    assert verified.webhook_id == "msg_test"
    assert verified.timestamp == AT


def test_the_signer_of_the_tests_gives_the_vector() -> None:
    signed = dict(raw_headers(sign(BODY, SECRET.decode(), "msg_test", AT)))
    assert signed[b"webhook-signature"] == dict(VECTOR)[b"webhook-signature"]


@pytest.mark.parametrize("wrong", [b"0123456789abcdef", base64.b64encode(SECRET), b"ws_0123456789abcdeF"])
def test_only_the_literal_bytes_of_the_whole_secret_are_the_key(wrong: bytes) -> None:
    with pytest.raises(BadSignature) as caught:
        verify(VECTOR, BODY, [wrong], AT)
    assert (caught.value.reason, caught.value.status) == ("no_match", 401)


@given(
    body=st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map(
        lambda text: json.dumps({"text": text}, ensure_ascii=False).encode()
    ),
    secret=st.text("abcdefghijklmnopqrstuvwxyzäß_0123456789", min_size=1, max_size=80),
)
def test_what_we_sign_is_what_the_sdk_accepts_and_we_accept(body: bytes, secret: str) -> None:
    now = datetime.now(UTC)  # the SDK reads the real clock
    headers = sign(body, secret, "msg_1", now)
    assert unwrap(body, headers=headers, key=secret)
    assert verify(raw_headers(headers), body, [secret.encode()], now).webhook_id == "msg_1"


@given(position=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_of_the_body_fails(position: int, bit: int) -> None:
    flipped = bytearray(BODY)
    flipped[position] ^= 1 << bit
    with pytest.raises(BadSignature):
        verify(VECTOR, bytes(flipped), [SECRET], AT)


@given(name=st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature"]), data=st.data())
def test_any_flipped_bit_of_a_header_fails(name: bytes, data: st.DataObject) -> None:
    value = bytearray(dict(VECTOR)[name])
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SignatureRejected):
        verify(replaced(name, bytes(value)), BODY, [SECRET], AT)


def test_a_second_base64_text_of_the_same_bytes_is_not_accepted() -> None:
    """The last character before the padding has two spare bits; a decoder ignores them, we do not."""
    twin = b"v1,pxMI/1z8wC64m1bypCtgrsQUdz3ydEdpabIJZN4KvKd="
    assert base64.b64decode(twin[3:]) == base64.b64decode(VECTOR[3][1][3:])
    with pytest.raises(BadSignature):
        verify(replaced(b"webhook-signature", twin), BODY, [SECRET], AT)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(0, None), (300, None), (-300, None), (301, "too_old"), (-301, "too_new"), (10_000_000, "too_old")],
)
def test_the_window_is_five_minutes_both_ways(seconds: int, reason: str | None) -> None:
    now = AT + timedelta(seconds=seconds)
    if reason is None:
        assert verify(VECTOR, BODY, [SECRET], now).timestamp == AT
        return
    with pytest.raises(StaleTimestamp) as caught:
        verify(VECTOR, BODY, [SECRET], now)
    assert (caught.value.reason, caught.value.status) == (reason, 401)


def test_a_stale_delivery_with_a_bad_signature_is_called_bad() -> None:
    with pytest.raises(BadSignature):
        verify(VECTOR, b"{}", [SECRET], AT + timedelta(hours=1))


def test_any_of_several_secrets_will_do() -> None:
    for secrets in ([SECRET, b"ws_new"], [b"ws_new", SECRET], [b"a", b"b", SECRET]):
        assert verify(VECTOR, BODY, secrets, AT).webhook_id == "msg_test"


def test_any_of_several_signatures_will_do_and_other_versions_are_passed_over() -> None:
    good = VECTOR[3][1]
    other = b"v1," + base64.b64encode(bytes(32))
    for value in (other + b" " + good, good + b" " + other, b"v1a,Zm9v " + good, b"v2,abc " + good):
        assert verify(replaced(b"webhook-signature", value), BODY, [SECRET], AT).webhook_id == "msg_test"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (VECTOR[:3], "missing_header"),
        ([], "missing_header"),
        (replaced(b"webhook-id"), "missing_header"),
        (replaced(b"webhook-timestamp"), "missing_header"),
        ([*VECTOR, VECTOR[1]], "repeated_header"),
        ([*VECTOR, VECTOR[3]], "repeated_header"),
        (replaced(b"webhook-id", b""), "bad_id"),
        (replaced(b"webhook-id", b"msg test"), "bad_id"),
        (replaced(b"webhook-id", b"msg_test\n"), "bad_id"),
        (replaced(b"webhook-id", "msg_é".encode()), "bad_id"),
        (replaced(b"webhook-id", b"x" * 129), "bad_id"),
        (replaced(b"webhook-timestamp", b""), "bad_timestamp"),
        (replaced(b"webhook-timestamp", b"+1786381404"), "bad_timestamp"),
        (replaced(b"webhook-timestamp", b"-1786381404"), "bad_timestamp"),
        (replaced(b"webhook-timestamp", b"1786381404.0"), "bad_timestamp"),
        (replaced(b"webhook-timestamp", b" 1786381404"), "bad_timestamp"),
        (replaced(b"webhook-timestamp", "١٧٨".encode()), "bad_timestamp"),
        (replaced(b"webhook-timestamp", b"1" * 13), "bad_timestamp"),
        (replaced(b"webhook-signature", b""), "bad_signature_syntax"),
        (replaced(b"webhook-signature", VECTOR[3][1] + b" "), "bad_signature_syntax"),
        (replaced(b"webhook-signature", VECTOR[3][1] + b"  " + VECTOR[3][1]), "bad_signature_syntax"),
        (replaced(b"webhook-signature", b"v1,not-base64"), "bad_signature_syntax"),
        (replaced(b"webhook-signature", b"v1," + base64.b64encode(bytes(31))), "bad_signature_syntax"),
        (replaced(b"webhook-signature", b"v1," + base64.b64encode(bytes(33))), "bad_signature_syntax"),
        (replaced(b"webhook-signature", b"pxMI/1z8wC64m1bypCtgrsQUdz3ydEdpabIJZN4KvKc="), "bad_signature_syntax"),
        (replaced(b"webhook-signature", b"\xff\xfe"), "bad_signature_syntax"),
        (replaced(b"webhook-signature", b" ".join([VECTOR[3][1]] * 11)), "too_many_signatures"),
    ],
)
def test_malformed_headers_are_called_malformed(headers: list[tuple[bytes, bytes]], reason: str) -> None:
    with pytest.raises(MalformedSignature) as caught:
        verify(headers, BODY, [SECRET], AT)
    assert (caught.value.reason, caught.value.status) == (reason, 400)


def test_ten_signatures_are_accepted_and_no_v1_among_them_is_not() -> None:
    assert (
        verify(replaced(b"webhook-signature", b" ".join([VECTOR[3][1]] * 10)), BODY, [SECRET], AT).webhook_id
        == "msg_test"
    )
    with pytest.raises(BadSignature) as caught:
        verify(replaced(b"webhook-signature", b"v2,abc"), BODY, [SECRET], AT)
    assert caught.value.reason == "no_supported_version"


def test_the_largest_timestamps_are_stale_and_nothing_worse() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    digest = hmac.digest(SECRET, b"msg_test.999999999999." + BODY, "sha256")
    headers = [
        (b"webhook-id", b"msg_test"),
        (b"webhook-timestamp", b"999999999999"),
        (b"webhook-signature", b"v1," + base64.b64encode(digest)),
    ]
    with pytest.raises(StaleTimestamp):
        verify(headers, BODY, [SECRET], now)


@pytest.mark.parametrize("secrets", [[], [b""], [SECRET, b""]])
def test_without_a_secret_nothing_is_decided(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="secret"):
        verify(VECTOR, BODY, secrets, AT)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"x-other"]),
            st.binary(max_size=80) | st.sampled_from([value for _, value in VECTOR]),
        ),
        max_size=6,
    )
)
def test_arbitrary_headers_are_refused_or_verify_and_never_anything_else(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        verify(headers, BODY, [SECRET], AT)
    except SignatureRejected:
        return
    assert set(VECTOR[1:]) <= set(headers)


def test_the_sdk_also_refuses_what_we_refuse() -> None:
    now = datetime.now(UTC)
    headers = sign(BODY, SECRET.decode(), "msg_1", now - timedelta(seconds=302))
    with pytest.raises(WebhookVerificationError):
        unwrap(BODY, headers=headers, key=SECRET.decode())
    with pytest.raises(StaleTimestamp):
        verify(raw_headers(headers), BODY, [SECRET], now)
