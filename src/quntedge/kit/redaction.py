"""What must never reach a log: secrets, personal data and card numbers, found by key name and by look.

Every pattern is bounded, so that a hostile megabyte costs a linear pass and not more.
"""

import ipaddress
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
_MAX_DEPTH = 10

_SECRET_PARTS = ("password", "passwd", "secret", "token", "authorization", "cookie", "signature", "csrf", "credential")
_PERSONAL_PARTS = ("email", "phone", "address", "payload")
# Short words are compared with whole words of the key: "ip" must not hide every "subscription" and "description".
_WHOLE_WORDS = frozenset({"ip", "ips", "body", "bodies", "otp", "totp", "pan", "cvc", "cvv", "dsn"})
_WORD_PAIRS = frozenset({"api_key", "apikey", "e_mail", "private_key", "encryption_key"})
_NAMES_OF_PEOPLE = frozenset(
    {
        *("name", "names", "full_name", "fullname", "first_name", "last_name", "given_name", "family_name", "surname"),
        *("display_name", "user_name", "username", "customer_name", "card_holder", "cardholder", "cardholder_name"),
        *("billing_name", "account_name", "holder_name", "nickname"),
    }
)
# A count, size or id of something secret is not the secret: it is let through when its value has that form.
_MEASURES = ("_count", "_bytes", "_length", "_size", "_seconds", "_ms")
_OUR_ID = re.compile(r"[a-z][a-z0-9]{1,15}_[0-9a-hjkmnp-tv-z]{26}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_EMAIL = re.compile(
    r"""[^\s@<>()\[\],;:"\\/?=&|]{1,128}(?:@|%40)(?:\[[^\]\s]{1,64}\]|[^\W_](?:[\w\-]|\.(?=\w)){0,253})""", re.ASCII
)
_EMAIL_UNICODE_HOST = re.compile(r"""[^\s@<>()\[\],;:"\\/?=&|]{1,128}@\w(?:[\w\-]|\.(?=\w)){0,253}""")
_IPV4 = re.compile(r"(?<![0-9])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9])")
_IPV6 = re.compile(
    r"(?:(?<![0-9A-Za-z])[0-9A-Fa-f]{1,4})?(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.[0-9]{1,3}){3})?(?:%[0-9A-Za-z]{1,16})?"
)
_TOKENS = re.compile(
    r"(?<![0-9A-Za-z])(?:qk_[A-Za-z0-9_\-]{4,}"
    r"|(?:ws_|whsec_?)[A-Za-z0-9_+/\-]{4,}=*"
    r"|apik_[A-Za-z0-9_\-]{4,}"
    r"|(?<![_\-])eyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*)?)"
)
_CREDENTIALS = re.compile(
    r"\b(Bearer[ \t]+|authorization[\"']?[ ]?[:=][ ]?[\"']?Basic[ \t]+)[A-Za-z0-9._~+/\-]+=*", re.IGNORECASE
)
_URL_USER = re.compile(r"://[^\s/@'\"<>]{1,512}@")
_CARD = re.compile(
    r"(?<![0-9])(?:[0-9]{13,19}|[0-9]{4}(?:[ \-][0-9]{4}){2,3}(?:[ \-][0-9]{1,4})?"
    r"|[0-9]{4}[ \-][0-9]{6}[ \-][0-9]{4,5})(?![0-9])"
)
# No value, and the beginning of our own mark, which is not redacted twice.
_NOTHING_TO_HIDE = frozenset({"None", "null", REDACTED.rstrip("]")})
# key=value and 'key': 'value', as exception texts, reprs and query strings write them.
_KEY = re.compile(
    r"""(?<![\w\-])(?P<quote>\\?["']?)(?P<key>[A-Za-z_][\w\-]{0,63})(?P=quote)[ ]?(?P<sign>[=:])[ ]?(?=[^\s])"""
)
_VALUE = re.compile(r"""b?'(?:[^'\\]|\\.)*'|b?"(?:[^"\\]|\\.)*"|\\["'](?:[^"'\\]|\\(?!["']))*\\["']|[^\s,;&)}\]'"]+""")
_SCHEMES = frozenset({"bearer", "basic"})


@lru_cache(maxsize=2048)
def is_sensitive_key(key: str) -> bool:
    """Tell whether a value under this name is secret or personal, whatever it looks like."""
    name = _CAMEL.sub("_", key).replace("-", "_").replace(".", "_").replace(" ", "_").lower()
    if name in _NAMES_OF_PEOPLE or any(part in name for part in (*_SECRET_PARTS, *_PERSONAL_PARTS, *_WORD_PAIRS)):
        return True
    return not _WHOLE_WORDS.isdisjoint(name.split("_"))


def redact_text(text: str) -> str:
    """Return ``text`` without e-mail addresses, IP addresses, keys, tokens, passwords and card numbers."""
    if "=" in text or ":" in text:
        text = _hide_values(text)
    if "@" in text or "%40" in text:
        text = _URL_USER.sub(f"://{REDACTED}@", text)
        text = _EMAIL.sub(_email, text)
        text = _EMAIL_UNICODE_HOST.sub(_email, text)
    text = _CREDENTIALS.sub(rf"\1{REDACTED}", text)
    text = _TOKENS.sub(REDACTED, text)
    text = _CARD.sub(_card, text)
    if ":" in text:
        text = _IPV6.sub(_ipv6, text)
    return _IPV4.sub(_ipv4, text)


def redact(value: Any, key: str = "", *, depth: int = 0) -> Any:
    """Return ``value`` as plain data that is safe to log: by its key name, then by the look of every string in it.

    Numbers, booleans, None and times stay as they are; mappings and sequences are walked, ten levels deep; any other
    object becomes its redacted ``repr``.
    """
    if key and is_sensitive_key(key) and not _is_measure(key, value):
        return REDACTED if value is not None else None
    if isinstance(value, str):
        return redact_text(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        return {redact_text(str(name)): redact(item, str(name), depth=depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _MAX_DEPTH:
        return [redact(item, depth=depth + 1) for item in value]
    return redact_text(repr(value))


def _is_measure(key: str, value: Any) -> bool:
    if key.endswith(_MEASURES):
        return isinstance(value, int | float)
    return key.endswith("_id") and isinstance(value, str) and _OUR_ID.fullmatch(value) is not None


def _hide_values(text: str) -> str:
    """Redact the values that follow a sensitive key.

    A harmless key's value is not skipped but searched in its turn: a repr holds whole texts as its values.
    """
    kept: list[str] = []
    copied = position = 0
    while key := _KEY.search(text, position):
        position = key.end()
        value = _VALUE.match(text, position) if _announces_a_secret(key) else None
        if value is None or value[0] in _NOTHING_TO_HIDE or value[0].lower() in _SCHEMES:
            continue
        if _is_measure(key["key"], value[0].strip("'\"")):
            continue
        kept += [text[copied:position], REDACTED]
        copied = position = value.end()
    return "".join([*kept, text[copied:]])


def _announces_a_secret(key: re.Match[str]) -> bool:
    name = key["key"]
    if key["sign"] == ":" and not key["quote"]:
        # "address: already in use" is prose; a colon means a value after a quoted key or a few plain words only.
        return any(part in name.lower() for part in ("password", "authorization", "cookie", "secret", "api_key"))
    return is_sensitive_key(name)


def _email(match: re.Match[str]) -> str:
    # What an earlier pattern already replaced ("://[redacted]@host") is not an address again.
    return match[0] if match[0].startswith(REDACTED) else REDACTED


def _ipv4(match: re.Match[str]) -> str:
    return REDACTED if _is_ip(match[0]) else match[0]


def _ipv6(match: re.Match[str]) -> str:
    """Redact the part that is an address: a label before it or a colon after it may have been matched along."""
    text = match[0]
    core = text.rstrip(":") if not text.endswith("::") else text
    for start in (0, 1):
        for candidate in (text[start:], core[start:]):
            if len(candidate) > 2 and _is_ip(candidate):
                before, _, after = text.partition(candidate)
                return f"{before}{REDACTED}{after}"
    return text


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _card(match: re.Match[str]) -> str:
    """Redact a run of digits that passes the card check sum, with or without its last group."""
    text = match[0]
    if _passes_luhn(text):
        return REDACTED
    shorter = text[: max(text.rfind(" "), text.rfind("-"))]
    if shorter != text and len(shorter) >= 13 and _passes_luhn(shorter):
        return REDACTED + text[len(shorter) :]
    return text


def _passes_luhn(text: str) -> bool:
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19 or not any(digits):
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
