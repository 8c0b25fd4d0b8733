"""Verification of the signature Whop puts on every webhook delivery.

Whop signs `{id}.{timestamp}.{raw body}` with HMAC-SHA256 under the *literal* bytes of the whole secret, `ws_` prefix
included: nothing is stripped and nothing is base64-decoded. A generic Standard Webhooks verifier gets this wrong.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from quntedge.kit.errors import QuntedgeError

TOLERANCE_SECONDS = 300
"""How far the signed timestamp may lie from our clock, in either direction; exactly this far is still accepted."""

MAX_SIGNATURES = 10

RejectionReason = Literal[
    "missing_header",
    "repeated_header",
    "bad_id",
    "bad_timestamp",
    "bad_signature_syntax",
    "too_many_signatures",
    "no_supported_version",
    "no_match",
    "too_old",
    "too_new",
]
"""Every `reason` a rejection can carry: stable, few, and therefore fit to be a metric label."""

_ID = re.compile(rb"[A-Za-z0-9_.-]{1,128}")
_TIMESTAMP = re.compile(rb"[0-9]{1,12}")
_ENTRY = re.compile(rb"v[0-9]{1,4}[a-z]{0,8},[A-Za-z0-9+/_=-]{1,512}")
_V1 = re.compile(rb"v1,[A-Za-z0-9+/]{43}=")
_WANTED = frozenset((b"webhook-id", b"webhook-timestamp", b"webhook-signature"))


class SignatureRejected(QuntedgeError):
    """A delivery that must not be believed. `reason` is a short stable label for metrics."""

    code = "webhook_rejected"
    status = 401
    title = "The delivery was not accepted"

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: RejectionReason = reason


class MalformedSignature(SignatureRejected):
    """A signature header is missing, repeated or not of the documented form."""

    code = "webhook_headers_malformed"
    status = 400
    title = "The signature headers are malformed"


class BadSignature(SignatureRejected):
    """No signature fits the body under any of the configured secrets."""

    code = "webhook_signature_invalid"
    title = "The signature does not match"


class StaleTimestamp(SignatureRejected):
    """Correctly signed, but too long ago or too far in the future."""

    code = "webhook_timestamp_stale"
    title = "The delivery is outside the accepted time window"


@dataclass(frozen=True, slots=True)
class VerifiedHeaders:
    """What the headers say, once the signature vouches for it."""

    webhook_id: str
    """The same for every attempt and replay of one message: the key of de-duplication."""
    timestamp: datetime
    """When this attempt was signed, aware UTC."""


def verify(
    headers: Iterable[tuple[bytes, bytes]], body: bytes, secrets: Sequence[bytes], now: datetime
) -> VerifiedHeaders:
    """Checks one delivery: header syntax, then signature, then age.

    `headers` are raw ASGI headers (lower-case names), `body` the untouched bytes, `secrets` every accepted secret as
    literal bytes (several while one is being rotated), `now` aware.

    Raises `MalformedSignature` (400), `BadSignature` or `StaleTimestamp` (401), and `ValueError` when there is no
    secret at all or an empty one, because accepting or silently rejecting everything would both hide that mistake.
    """
    if not secrets or not all(secrets):
        raise ValueError("verifying a webhook needs at least one secret, and none of them may be empty")
    webhook_id, timestamp, signature = _signed_headers(headers)
    candidates = _candidates(signature)
    _match(candidates, b"%b.%b." % (webhook_id, timestamp), body, secrets)
    age_seconds = now.timestamp() - int(timestamp)
    if age_seconds > TOLERANCE_SECONDS:
        raise StaleTimestamp("too_old", f"The delivery was signed more than {TOLERANCE_SECONDS} seconds ago.")
    if age_seconds < -TOLERANCE_SECONDS:
        raise StaleTimestamp("too_new", f"The delivery was signed more than {TOLERANCE_SECONDS} seconds ahead of us.")
    return VerifiedHeaders(webhook_id.decode("ascii"), datetime.fromtimestamp(int(timestamp), UTC))


def _signed_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _WANTED:
            if name in found:
                raise MalformedSignature("repeated_header", f"The header {name.decode('ascii')} may be sent only once.")
            found[name] = value
    if len(found) != len(_WANTED):
        missing = ", ".join(sorted(name.decode("ascii") for name in _WANTED - found.keys()))
        raise MalformedSignature("missing_header", f"Missing header: {missing}.")
    webhook_id, timestamp = found[b"webhook-id"], found[b"webhook-timestamp"]
    if _ID.fullmatch(webhook_id) is None:
        raise MalformedSignature("bad_id", "webhook-id must be 1 to 128 letters, digits, '_', '.' or '-'.")
    if _TIMESTAMP.fullmatch(timestamp) is None:
        raise MalformedSignature("bad_timestamp", "webhook-timestamp must be unix seconds in ASCII digits.")
    return webhook_id, timestamp, found[b"webhook-signature"]


def _candidates(signature: bytes) -> list[bytes]:
    """The base64 texts of the v1 entries; other versions are somebody else's and are passed over."""
    entries = signature.split(b" ", MAX_SIGNATURES)
    if len(entries) > MAX_SIGNATURES:
        raise MalformedSignature("too_many_signatures", f"At most {MAX_SIGNATURES} signatures are accepted.")
    candidates = []
    for entry in entries:
        if entry.startswith(b"v1,"):
            if _V1.fullmatch(entry) is None:
                raise MalformedSignature("bad_signature_syntax", "A v1 signature must be base64 of 32 bytes.")
            candidates.append(entry[3:])
        elif _ENTRY.fullmatch(entry) is None:
            raise MalformedSignature(
                "bad_signature_syntax", "webhook-signature must be 'v1,<base64>' entries separated by single spaces."
            )
    if not candidates:
        raise BadSignature("no_supported_version", "There is no v1 signature among those sent.")
    return candidates


def _match(candidates: list[bytes], prefix: bytes, body: bytes, secrets: Sequence[bytes]) -> None:
    """Compares all candidates under all secrets, so that the time taken tells nothing about which one fitted.

    The base64 texts are compared rather than the decoded bytes: decoding would accept several texts for one
    signature, because the last character carries two unused bits.
    """
    matched = False
    for secret in secrets:
        expected = _digest(secret, prefix, body)
        for candidate in candidates:
            matched |= hmac.compare_digest(expected, candidate)
    if not matched:
        raise BadSignature("no_match", "No signature matches this body under a configured secret.")


def _digest(secret: bytes, prefix: bytes, body: bytes) -> bytes:
    keyed = _keyed(secret).copy()
    keyed.update(prefix)
    keyed.update(body)
    return base64.b64encode(keyed.digest())


@lru_cache(maxsize=32)
def _keyed(secret: bytes) -> hmac.HMAC:
    """An HMAC with the key schedule already done; copying it is cheaper than starting afresh for each delivery."""
    return hmac.new(secret, digestmod="sha256")
