"""Encryption at rest, key wrapping, blind indexes and tokens.

Sealed form: ``1 byte version | 12 bytes random nonce | ciphertext and tag`` (AES-256-GCM). With random nonces one key
may seal about 2³² messages, which a key per person or a rotating inbox key never reaches.

Key hierarchy: the environment holds master keys (:class:`KeyRing`); a master key wraps data keys and derives purpose
keys, each under a label of its own, and never encrypts data itself.
"""

import base64
import binascii
import hashlib
import hmac
import itertools
import re
import secrets
import unicodedata

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_VERSION = 1
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,31}")
_HOW_TO_MAKE_ONE = "make one with: openssl rand -base64 32"


class InvalidKeys(ValueError):
    """The configured keys cannot be used; the message is one sentence and holds no key."""


class InvalidSeal(Exception):
    """A sealed value is damaged, was sealed with another key, or belongs to another place (AAD)."""


class UnknownKey(InvalidSeal):
    """A data key was wrapped by a master key that is no longer configured."""


def new_key() -> bytes:
    """Return a new random 256-bit key."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Encrypt and authenticate ``plaintext``; ``aad`` names the place it belongs to and must be given again to unseal.

    Raises ValueError when the key is not 32 bytes.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return bytes([_VERSION]) + nonce + _cipher(key).encrypt(nonce, plaintext, bytes([_VERSION]) + aad)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """Return the plaintext of a sealed value. Raises InvalidSeal when anything about it is not as it was sealed."""
    cipher = _cipher(key)
    if len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
        raise InvalidSeal("the sealed value is too short")
    if sealed[0] != _VERSION:
        raise InvalidSeal(f"the sealed value has version {sealed[0]}, this program reads version {_VERSION}")
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return cipher.decrypt(nonce, ciphertext, bytes([_VERSION]) + aad)
    except InvalidTag:
        raise InvalidSeal("the sealed value is damaged, or was sealed with another key or for another place") from None


def blind_index(key: bytes, value: str) -> bytes:
    """Return the 32-byte keyed index by which an encrypted value (an e-mail address) is found again.

    Spellings that people take for the same are the same: surrounding blanks, case and Unicode compatibility forms.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).strip()
    # JSON can smuggle in a lone surrogate; looking it up must find nothing rather than fail.
    return hmac.digest(key, folded.encode("utf-8", "surrogatepass"), "sha256")


def random_token(bytes_: int = 32) -> str:
    """Return a URL-safe random token of ``bytes_`` bytes of entropy (32 bytes: 43 characters)."""
    return secrets.token_urlsafe(bytes_)


def token_digest(token: str) -> bytes:
    """Return the SHA-256 under which a random token is stored. Only for random tokens, never for passwords."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class KeyRing:
    """The master keys: the first wraps, all of them unwrap, the last (oldest) derives.

    To rotate, put a new key in front and keep the old ones; what they wrapped still opens, and wrapping it anew moves
    it to the current key. What is derived is gone with the key it was derived from: where it must outlive that one, it
    is derived once and wrapped like other keys from then on.
    """

    def __init__(self, keys: dict[str, bytes]) -> None:
        """Use :meth:`parse` for keys from the outside; this takes them checked, current first."""
        if not keys:
            raise InvalidKeys(f"no encryption key is configured; {_HOW_TO_MAKE_ONE}")
        self._keys = dict(keys)
        names = list(self._keys)
        self.current: str = names[0]
        self.oldest: str = names[-1]
        self._wrapping = {name: _hkdf(key, b"quntedge/wrap", KEY_BYTES) for name, key in self._keys.items()}
        self._derived: dict[tuple[str, str, int], bytes] = {}

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read ``name:base64-of-32-bytes`` pairs separated by commas, the current one first.

        Raises InvalidKeys, with one sentence that names the pair and never shows a key, for a pair that cannot be read,
        a key of the wrong length, a key that is plainly not random, or a name or key given twice.
        """
        keys: dict[str, bytes] = {}
        if text.strip():
            for position, pair in enumerate(text.split(","), start=1):
                name, key = _parse_pair(pair.strip(), position)
                if name in keys:
                    raise InvalidKeys(f"the encryption key name {name!r} is given twice; every key needs its own name")
                if key in keys.values():
                    raise InvalidKeys(f"the encryption key {name!r} repeats another one; {_HOW_TO_MAKE_ONE}")
                keys[name] = key
        return cls(keys)

    @property
    def names(self) -> tuple[str, ...]:
        """The key names, current first."""
        return tuple(self._keys)

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        """Seal a data key under the current master key; the result carries that key's name.

        Form: ``1 byte version | 1 byte name length | name | sealed``. The name is authenticated too.
        """
        header = bytes([_VERSION, len(self.current)]) + self.current.encode("ascii")
        return header + seal(self._wrapping[self.current], key, header + aad)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        """Return the data key. Raises UnknownKey when its master key is not configured, else InvalidSeal."""
        name = self.wrapped_by(wrapped)
        wrapping = self._wrapping.get(name)
        if wrapping is None:
            raise UnknownKey(f"wrapped by the encryption key {name!r}, which is not configured")
        header = wrapped[: 2 + len(name)]
        return unseal(wrapping, wrapped[len(header) :], header + aad)

    def wrapped_by(self, wrapped: bytes) -> str:
        """Return the name of the master key that wrapped it (to find what a rotation has still to move).

        Raises InvalidSeal when it is not a wrapped key.
        """
        if len(wrapped) < 2 or wrapped[0] != _VERSION:
            raise InvalidSeal("this is not a wrapped key")
        name = wrapped[2 : 2 + wrapped[1]].decode("ascii", "replace")
        if len(name) != wrapped[1] or not _KEY_NAME.fullmatch(name):
            raise InvalidSeal("this is not a wrapped key")
        return name

    def derive(self, purpose: str, name: str | None = None, length: int = 32) -> bytes:
        """Return ``length`` bytes for ``purpose`` from the key ``name`` (default: the oldest): HKDF-SHA256, stable.

        Raises UnknownKey when there is no such key.
        """
        source = self.oldest if name is None else name
        if source not in self._keys:
            raise UnknownKey(f"the encryption key {source!r} is not configured")
        slot = (source, purpose, length)
        derived = self._derived.get(slot)
        if derived is None:
            derived = _hkdf(self._keys[source], b"quntedge/derive/" + purpose.encode(), length)
            self._derived[slot] = derived
        return derived

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    return AESGCM(key)


def _hkdf(key: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(key)


def _parse_pair(pair: str, position: int) -> tuple[str, bytes]:
    name, colon, encoded = pair.partition(":")
    if not colon or not _KEY_NAME.fullmatch(name):
        raise InvalidKeys(
            f"encryption key number {position} is not written name:base64 with a name of lower-case letters, digits, "
            "underscores and hyphens"
        )
    try:
        key = base64.b64decode(encoded.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidKeys(f"the encryption key {name!r} is not valid base64; {_HOW_TO_MAKE_ONE}") from None
    if len(key) != KEY_BYTES:
        raise InvalidKeys(f"the encryption key {name!r} has {len(key)} bytes and needs {KEY_BYTES}; {_HOW_TO_MAKE_ONE}")
    if _is_weak(key):
        raise InvalidKeys(f"the encryption key {name!r} is text or a pattern, not random; {_HOW_TO_MAKE_ONE}")
    return name, key


def _is_weak(key: bytes) -> bool:
    """Tell whether nobody could believe that these 32 bytes are random.

    Random ones have fewer than 16 distinct values, are all printable or step evenly with a chance below 2⁻⁴⁰.
    """
    steps = {(after - before) % 256 for before, after in itertools.pairwise(key)}
    return len(set(key)) < 16 or len(steps) < 4 or all(0x20 <= byte < 0x7F for byte in key)
