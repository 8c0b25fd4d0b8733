"""What a feature is worth in a plan: yes or no, so many of something, or a text. Pure."""

from typing import Literal, get_args

FeatureKind = Literal["boolean", "limit", "config"]
FEATURE_KINDS: tuple[str, ...] = get_args(FeatureKind)

FeatureValue = int | str | None
"""A limit's number (None: without limit), a config's text; None for a feature that is yes or no."""


def value_from_text(kind: str, text: str | None) -> FeatureValue:
    """The value as it is kept in the database: as text, because one column holds those of all kinds."""
    return int(text) if kind == "limit" and text is not None else text


def value_to_text(value: FeatureValue) -> str | None:
    """The value as the database keeps it."""
    return None if value is None else str(value)


def is_lower(new: FeatureValue, old: FeatureValue) -> bool:
    """Whether a limit has sunk. None is the highest of all; texts are not compared."""
    if isinstance(new, str) or isinstance(old, str) or new is None:
        return False
    return old is None or new < old
