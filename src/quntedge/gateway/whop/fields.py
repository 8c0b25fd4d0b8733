"""Reading one JSON object of Whop field by field, believing nothing.

An essential field that is missing or of the wrong type makes the object unusable; any other bad field is read as None
and leaves a warning, so that a new quirk on Whop's side costs us a detail and never an event.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from quntedge.gateway.port import UnusableEvent
from quntedge.gateway.whop.money import WrongMoneyType, money_from
from quntedge.kit.money import InvalidMoney, Money

MAX_TEXT_CHARACTERS: Final = 2000
MAX_METADATA_KEYS: Final = 100
_MAX_EPOCH_SECONDS: Final = 253_402_300_799
"""The last second of the year 9999. Milliseconds lie beyond it, so that they are refused instead of misread."""

# The first character keeps "." and ".." out, which mean something else in a URL's path.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_EPOCH = re.compile(r"[0-9]{1,12}")
# NUL and lone surrogates are legal in JSON but cannot be stored as PostgreSQL text.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def unusable(field: str, problem: str) -> UnusableEvent:
    """The error for an essential field that cannot be used, naming it."""
    return UnusableEvent("bad_field", f"{field} {problem}")


def usable_id(value: object) -> str | None:
    """The value itself when it is an identifier, else None."""
    return value if isinstance(value, str) and _ID.fullmatch(value) is not None else None


def parse_instant(value: object) -> datetime | None:
    """An ISO 8601 text with zone, or unix seconds as integer or digits, as aware UTC; None for anything else."""
    if isinstance(value, str):
        if _EPOCH.fullmatch(value) is not None:
            value = int(value)
        else:
            return _parse_iso(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_EPOCH_SECONDS:
        return None
    return datetime.fromtimestamp(value, UTC)


def _parse_iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        # A naive time could be any of 25 hours; guessing one would move period ends.
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class Fields:
    """The fields of one JSON object. `where` is its path, for messages; `warnings` collects what was passed over."""

    __slots__ = ("raw", "warnings", "where")

    def __init__(self, document: object, where: str, warnings: list[str] | None = None) -> None:
        if not isinstance(document, dict):
            raise unusable(where, f"must be an object, not {_kind(document)}")
        self.raw: Mapping[str, object] = document
        self.where = where
        self.warnings: list[str] = [] if warnings is None else warnings

    # --- essential fields: raise UnusableEvent ---

    def required_id(self, name: str = "id") -> str:
        """An identifier: letters, digits, `_`, `.`, `-`; 1 to 128 of them."""
        value = self.raw.get(name)
        if not isinstance(value, str) or _ID.fullmatch(value) is None:
            raise unusable(f"{self.where}.{name}", "must be an identifier")
        return value

    def required_word(self, name: str) -> str:
        """A machine word such as a status."""
        value = self.raw.get(name)
        if not isinstance(value, str) or _WORD.fullmatch(value) is None:
            raise unusable(f"{self.where}.{name}", "must be a word")
        return value

    def amount(self, name: str, currency: str | None) -> Money | None:
        """An amount that matters: None when absent or null, an error when it is there and cannot be held exactly."""
        value = self.raw.get(name)
        if value is None:
            return None
        try:
            return money_from(value, currency)
        except (WrongMoneyType, InvalidMoney) as error:
            raise unusable(f"{self.where}.{name}", f"is no usable amount: {error}") from error

    # --- all others: None and a warning ---

    def informational_amount(self, name: str, currency: str | None) -> Money | None:
        """An amount nothing depends on: an unusable one is passed over."""
        value = self.raw.get(name)
        if value is None:
            return None
        try:
            return money_from(value, currency)
        except (WrongMoneyType, InvalidMoney):
            self._pass_over(name)
            return None

    def id(self, name: str, nested: str | None = None) -> str | None:
        """The identifier in `name`, or in the nested object `nested` (`plan_id` or `plan.id`)."""
        value = self.raw.get(name)
        if value is None and nested is not None:
            inner = self.raw.get(nested)
            value = inner.get("id") if isinstance(inner, dict) else None
        if value is None:
            return None
        if isinstance(value, str) and _ID.fullmatch(value) is not None:
            return value
        self._pass_over(name)
        return None

    def word(self, name: str) -> str | None:
        """A machine word such as a decline code."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, str) and _WORD.fullmatch(value) is not None:
            return value
        self._pass_over(name)
        return None

    def text(self, name: str) -> str | None:
        """Free text of at most `MAX_TEXT_CHARACTERS` that PostgreSQL can store; an empty one is None."""
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS and _UNSTORABLE.search(value) is None:
            return value
        self._pass_over(name)
        return None

    def flag(self, name: str) -> bool | None:
        """A JSON boolean."""
        value = self.raw.get(name)
        if value is None or isinstance(value, bool):
            return value
        self._pass_over(name)
        return None

    def integer(self, name: str, low: int, high: int) -> int | None:
        """A whole number within bounds; Whop writes some counts as `2.0`."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            # The bounds come first: turning a Decimal such as 1E+999999 into an int would eat all memory.
            finite = isinstance(value, int) or value.is_finite()
            if finite and low <= value <= high and value == int(value):
                return int(value)
        self._pass_over(name)
        return None

    def instant(self, *names: str) -> datetime | None:
        """The time in the first of `names` that is present."""
        for name in names:
            value = self.raw.get(name)
            if value is not None:
                moment = parse_instant(value)
                if moment is None:
                    self._pass_over(name)
                return moment
        return None

    def child(self, name: str) -> "Fields | None":
        """The nested object, sharing our list of warnings."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return Fields(value, f"{self.where}.{name}", self.warnings)
        self._pass_over(name)
        return None

    def children(self, name: str) -> list["Fields"]:
        """The objects of a list; anything in it that is no object is passed over."""
        value = self.raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._pass_over(name)
            return []
        found: list[Fields] = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append(Fields(item, f"{self.where}.{name}[{index}]", self.warnings))
            else:
                self._pass_over(f"{name}[{index}]")
        return found

    def metadata(self) -> dict[str, str]:
        """The text entries of `metadata`; our own entries are always text."""
        value = self.raw.get("metadata")
        if value is None or value == {}:
            return {}
        if not isinstance(value, dict) or len(value) > MAX_METADATA_KEYS:
            self._pass_over("metadata")
            return {}
        kept = {key: entry for key, entry in value.items() if _storable(key) and _storable(entry)}
        if len(kept) != sum(entry is not None for entry in value.values()):
            self._pass_over("metadata")
        return kept

    def warn(self, name: str, problem: str) -> None:
        """Notes something odd that was passed over."""
        self.warnings.append(f"{self.where}.{name}: {problem}")

    def _pass_over(self, name: str) -> None:
        value = self.raw.get(name)
        self.warn(name, f"unusable {_kind(value)} passed over")


def _storable(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS and _UNSTORABLE.search(value) is None


_KINDS: Final[dict[type, str]] = {
    dict: "object",
    list: "list",
    str: "text",
    bool: "boolean",
    int: "number",
    Decimal: "number",
    float: "float",
    type(None): "null",
}


def _kind(value: object) -> str:
    """The JSON kind of a value. Messages never show the value itself: it may be personal data."""
    return _KINDS.get(type(value), "value")
