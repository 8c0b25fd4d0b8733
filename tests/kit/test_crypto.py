"""Sealing, wrapping, deriving, indexing: what opens, and everything that must not."""

import base64
import hashlib
import hmac
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quntedge.kit.crypto import (
    InvalidKeys,
    InvalidSeal,
    KeyRing,
    UnknownKey,
    blind_index,
    new_key,
    random_token,
    seal,
    token_digest,
    unseal,
)

repeatable = settings(derandomize=True, deadline=None)
KEY, OTHER_KEY, OLD_KEY = (random.Random(seed).randbytes(32) for seed in (1, 2, 3))


def pair(name: str, key: bytes) -> str:
    return f"{name}:{base64.b64encode(key).decode()}"


@repeatable
@given(st.binary(max_size=2000), st.binary(max_size=50))
def test_what_is_sealed_opens_with_the_same_key_and_place(plaintext: bytes, aad: bytes) -> None:
    sealed = seal(KEY, plaintext, aad)
    assert unseal(KEY, sealed, aad) == plaintext
    assert len(sealed) == 1 + 12 + len(plaintext) + 16
    assert sealed[0] == 1


def test_the_same_plaintext_never_looks_the_same() -> None:
    assert len({seal(KEY, b"jane@example.com", b"") for _ in range(1000)}) == 1000
    assert len({seal(KEY, b"", b"")[1:13] for _ in range(1000)}) == 1000


def test_any_changed_bit_any_other_key_or_place_is_refused() -> None:
    sealed = seal(KEY, b"jane", b"app_user|email|usr_1")
    for index in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[index] ^= 1
        with pytest.raises(InvalidSeal):
            unseal(KEY, bytes(damaged), b"app_user|email|usr_1")
    for length in range(len(sealed)):
        with pytest.raises(InvalidSeal):
            unseal(KEY, sealed[:length], b"app_user|email|usr_1")
    with pytest.raises(InvalidSeal):
        unseal(OTHER_KEY, sealed, b"app_user|email|usr_1")
    with pytest.raises(InvalidSeal):
        unseal(KEY, sealed, b"app_user|email|usr_2")


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seal(b"k" * length, b"", b"")
    with pytest.raises(ValueError, match="32 bytes"):
        unseal(b"k" * length, bytes(40), b"")


def test_new_keys_are_random_and_long_enough() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    assert len(new_key()) == 32


def test_old_keys_still_unwrap_after_a_rotation() -> None:
    before = KeyRing.parse(pair("k1", OLD_KEY))
    wrapped = before.wrap(KEY, b"usr_1")
    after = KeyRing.parse(f"{pair('k2', OTHER_KEY)}, {pair('k1', OLD_KEY)}")
    assert after.current == "k2"
    assert after.names == ("k2", "k1")
    assert after.unwrap(wrapped, b"usr_1") == KEY
    assert after.wrapped_by(wrapped) == "k1"
    assert after.wrapped_by(after.wrap(KEY, b"usr_1")) == "k2"
    retired = KeyRing.parse(pair("k2", OTHER_KEY))
    with pytest.raises(UnknownKey, match="'k1'"):
        retired.unwrap(wrapped, b"usr_1")


def test_a_wrapped_key_opens_only_in_its_place_and_undamaged() -> None:
    ring = KeyRing.parse(f"{pair('k2', OTHER_KEY)},{pair('k1', OLD_KEY)}")
    wrapped = ring.wrap(KEY, b"usr_1")
    with pytest.raises(InvalidSeal):
        ring.unwrap(wrapped, b"usr_2")
    for index in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[index] ^= 1
        with pytest.raises(InvalidSeal):
            ring.unwrap(bytes(damaged), b"usr_1")
    for length in range(len(wrapped)):
        with pytest.raises(InvalidSeal):
            ring.unwrap(wrapped[:length], b"usr_1")
    # The name is authenticated: claiming another configured key does not open it either.
    with pytest.raises(InvalidSeal):
        ring.unwrap(wrapped.replace(b"k2", b"k1", 1), b"usr_1")


def test_a_name_moved_between_rings_does_not_open_the_wrap() -> None:
    first, renamed = KeyRing.parse(pair("aa", KEY)), KeyRing.parse(pair("bb", KEY))
    wrapped = first.wrap(OTHER_KEY, b"x").replace(b"aa", b"bb", 1)
    with pytest.raises(InvalidSeal):
        renamed.unwrap(wrapped, b"x")


def test_derived_keys_are_those_of_hkdf_and_survive_a_rotation() -> None:
    before = KeyRing.parse(pair("k1", OLD_KEY))
    after = KeyRing.parse(f"{pair('k2', OTHER_KEY)},{pair('k1', OLD_KEY)}")
    derived = before.derive("email-index")
    prk = hmac.digest(bytes(32), OLD_KEY, "sha256")
    assert derived == hmac.digest(prk, b"quntedge/derive/email-index\x01", "sha256")
    assert after.derive("email-index") == after.derive("email-index", "k1") == derived
    assert after.derive("email-index", "k2") != derived
    assert after.derive("csrf") != derived
    assert len(after.derive("csrf", length=64)) == 64
    with pytest.raises(UnknownKey):
        after.derive("csrf", "k3")


def test_wrapping_and_deriving_never_share_a_key() -> None:
    ring = KeyRing.parse(pair("k1", KEY))
    header = bytes([1, 2]) + b"k1"
    sealed = ring.wrap(OTHER_KEY, b"")[len(header) :]
    for purpose in ("", "wrap", "quntedge/wrap"):
        with pytest.raises(InvalidSeal):
            unseal(ring.derive(purpose), sealed, header)
    with pytest.raises(InvalidSeal):
        unseal(KEY, sealed, header)


def test_base64_may_be_of_either_alphabet_and_spaces_around_pairs_do_not_matter() -> None:
    urlsafe = f"k1:{base64.urlsafe_b64encode(KEY).decode()}"
    assert KeyRing.parse(f"  {urlsafe} ").derive("x") == KeyRing.parse(pair("k1", KEY)).derive("x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no encryption key"),
        ("  ", "no encryption key"),
        ("k1", "number 1"),
        (f"{pair('k1', KEY)},", "number 2"),
        (base64.b64encode(KEY).decode(), "number 1"),
        (pair("K1", KEY), "number 1"),
        (pair("", KEY), "number 1"),
        (pair("k" * 33, KEY), "number 1"),
        ("k1:", "0 bytes"),
        ("k1:not base64!", "not valid base64"),
        (pair("k1", KEY)[:-1], "not valid base64"),
        (pair("k1", KEY[:31]), "31 bytes"),
        (pair("k1", KEY + b"x"), "33 bytes"),
        (pair("k1", bytes(32)), "not random"),
        (pair("k1", b"\xaa\x55" * 16), "not random"),
        (pair("k1", bytes(range(32))), "not random"),
        (pair("k1", b"correct horse battery staple 123"), "not random"),
        (pair("k1", KEY.hex()[:32].encode()), "not random"),
        (f"{pair('k1', KEY)},{pair('k1', OTHER_KEY)}", "given twice"),
        (f"{pair('k1', KEY)},{pair('k2', KEY)}", "repeats"),
    ],
)
def test_unusable_keys_are_refused_in_one_sentence_that_shows_no_key(text: str, reason: str) -> None:
    with pytest.raises(InvalidKeys, match=reason) as refusal:
        KeyRing.parse(text)
    message = str(refusal.value)
    assert "\n" not in message
    for secret in text.replace(",", ":").split(":"):
        assert len(secret) < 8 or secret not in message


def test_random_keys_are_never_taken_for_weak() -> None:
    source = random.Random(99)
    for _ in range(5_000):
        KeyRing.parse(pair("k", source.randbytes(32)))


def test_a_key_ring_does_not_show_its_keys() -> None:
    ring = KeyRing.parse(pair("k1", KEY))
    assert repr(ring) == str(ring) == "KeyRing(k1)"


@pytest.mark.parametrize(
    "spelling",
    ["jane@example.com", "  Jane@Example.COM\n", "JANE@EXAMPLE.COM", "ｊａｎｅ@example.com", "jane@ｅｘａｍｐｌｅ.com"],
)
def test_a_blind_index_finds_every_spelling_of_an_address(spelling: str) -> None:
    assert blind_index(KEY, spelling) == hmac.new(KEY, b"jane@example.com", hashlib.sha256).digest()


def test_a_blind_index_tells_values_and_keys_apart_and_takes_any_text() -> None:
    assert blind_index(KEY, "jane@example.com") != blind_index(KEY, "jan@example.com")
    assert blind_index(KEY, "jane@example.com") != blind_index(OTHER_KEY, "jane@example.com")
    assert blind_index(KEY, "STRASSE") == blind_index(KEY, "straße")
    assert len(blind_index(KEY, "\ud800")) == 32
    assert len(blind_index(KEY, "")) == 32


def test_tokens() -> None:
    tokens = {random_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(len(token) == 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)
    assert len(random_token(16)) == 22
    assert token_digest("abc") == hashlib.sha256(b"abc").digest()
    assert len(token_digest("\udcff")) == 32
