"""Signed tokens (JWT, ES256 as at Whop) and the key that signs them, made from the emulator's seed.

The same seed gives the same key, so that whoever kept the published keys of an emulator can still verify after it was
started again. It protects nothing: everybody can compute it.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

ALGORITHM = "ES256"
_SIZE = 32
"""Bytes of a coordinate, and of each half of a signature."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Number of points of the curve P-256: private keys lie below it."""


class InvalidToken(Exception):
    """Not a token of ours, damaged, or signed by somebody else."""


def encode(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The reverse of `encode`. Raises ValueError for anything else."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and verifies with one key."""

    private: ec.EllipticCurvePrivateKey
    key_id: str
    jwk: dict[str, str]
    """The public key, as published."""

    def sign(self, claims: dict[str, Any], *, type_: str = "JWT") -> str:
        """A token with these claims. The same claims give the same token."""
        header = {"alg": ALGORITHM, "typ": type_, "kid": self.key_id}
        signed = ".".join(encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
        der = self.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        halves = b"".join(half.to_bytes(_SIZE) for half in decode_dss_signature(der))
        return f"{signed}.{encode(halves)}"

    def read(self, token: str, *, type_: str) -> dict[str, Any]:
        """The claims of a token we signed, whatever they say. Raises InvalidToken."""
        try:
            head, body, signature = token.split(".")
            raw = decode(signature)
            if len(raw) != 2 * _SIZE:
                raise ValueError("a signature has two halves")
            der = encode_dss_signature(int.from_bytes(raw[:_SIZE]), int.from_bytes(raw[_SIZE:]))
            self.private.public_key().verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
            header, claims = json.loads(decode(head)), json.loads(decode(body))
        except (ValueError, InvalidSignature) as error:
            raise InvalidToken("this is no token of ours") from error
        if header.get("typ") != type_:
            raise InvalidToken("this token is for something else")
        return dict(claims)


@cache
def signer_for(seed: int) -> Signer:
    """The signer of an emulator with this seed."""
    digest = hashlib.sha512(f"quntedge emulator signing key {seed}".encode()).digest()
    private = ec.derive_private_key(int.from_bytes(digest) % (_ORDER - 1) + 1, ec.SECP256R1())
    point = private.public_key().public_numbers()
    shape = {"crv": "P-256", "kty": "EC", "x": encode(point.x.to_bytes(_SIZE)), "y": encode(point.y.to_bytes(_SIZE))}
    # The thumbprint of RFC 7638: the required members in alphabetical order, without blanks.
    key_id = encode(hashlib.sha256(json.dumps(shape, sort_keys=True, separators=(",", ":")).encode()).digest())
    return Signer(private, key_id, {**shape, "kid": key_id, "use": "sig", "alg": ALGORITHM})
