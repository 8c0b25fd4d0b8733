"""A table of a TOML file that knows its place and refuses what it does not know, with errors that say what to write."""

from collections.abc import Collection, Mapping
from typing import Any

from quntedge.catalog.rules import InvalidCatalog, is_code

MOST_DAYS = 365
LONGEST_TEXT = 200
_LONGEST_CODE = 40


class Table:
    """One table. Every reading method raises `InvalidCatalog`; `known` are the fields there may be, None for any."""

    def __init__(self, where: str, values: Any, known: Collection[str] | None) -> None:
        if not isinstance(values, Mapping):
            raise InvalidCatalog(f"{where}: must be a table.")
        self._where = where
        self._values = values
        for name in values:
            if known is not None and name not in known:
                raise self.error(name, f"is not a field; known fields: {', '.join(sorted(known))}")

    def error(self, name: str, problem: str) -> InvalidCatalog:
        """The error to raise about a field."""
        return InvalidCatalog(f"{self._where}: {name}: {problem}.")

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self._values

    def names(self) -> list[str]:
        """The fields that are there."""
        return list(self._values)

    def raw(self, name: str) -> Any:
        """The value as TOML gives it; None where there is none."""
        return self._values.get(name)

    def text(self, name: str, *, longest: int, default: str | None = None, hint: str = "write a text in quotes") -> str:
        """A printable text; not empty, unless the default may be."""
        value = self._values.get(name, default)
        if value is None:
            raise self.error(name, f"is missing; {hint}")
        if not isinstance(value, str):
            raise self.error(name, f"is {value!r}; {hint}")
        if len(value) > longest or not value.isprintable() or (not value.strip() and default is None):
            raise self.error(name, f"must be 1 to {longest} printable characters")
        return value

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        """One of some words."""
        value = self.text(name, longest=LONGEST_TEXT, default=default)
        if value not in choices:
            raise self.error(name, f"{value!r} is unknown; write one of {', '.join(choices)}")
        return value

    def code(self) -> str:
        """The `code` of a plan or feature."""
        code = self.text("code", longest=_LONGEST_CODE)
        if not is_code(code):
            raise self.error("code", f"{code!r} is not a code; use lower-case letters, digits and _, letter first")
        return code

    def number(self, name: str, *, smallest: int, largest: int, default: int | None = None, unit: str = "") -> int:
        """A whole number."""
        value = self._values.get(name, default)
        if not _is_whole(value) or not smallest <= value <= largest:
            found = "is missing" if value is None else f"is {value!r}"
            raise self.error(name, f"{found}; write a whole number{unit} from {smallest} to {largest}")
        return int(value)

    def days(self, name: str, *, default: int | None = None, smallest: int = 0, largest: int = MOST_DAYS) -> int:
        """A number of days."""
        return self.number(name, smallest=smallest, largest=largest, default=default, unit=" of days")

    def numbers(
        self, name: str, *, default: tuple[int, ...], smallest: int, largest: int, hint: str
    ) -> tuple[int, ...]:
        """At least one whole number, none smaller than the one before."""
        value = self._values.get(name, list(default))
        good = isinstance(value, list) and all(_is_whole(item) and smallest <= item <= largest for item in value)
        if not good or not value or sorted(value) != value:
            raise self.error(name, f"is {value!r}; {hint}")
        return tuple(value)

    def flag(self, name: str) -> bool:
        """True or false; false where it is missing."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self.error(name, f"is {value!r}; write true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of codes; empty where it is missing."""
        value = self._values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(name, 'must be a list of codes, for example ["basic_dashboard"]')
        return value

    def table(self, name: str, known: Collection[str] | None) -> "Table":
        """The table in a field; an empty one where it is missing."""
        return Table(f"{self._where}: {name}", self._values.get(name, {}), known)

    def tables(self, name: str, known: Collection[str]) -> list["Table"]:
        """The `[[name]]` tables, in the order of the file."""
        value = self._values.get(name, [])
        if not isinstance(value, list):
            raise self.error(name, f"must be written as [[{name}]] tables")
        tables = []
        for number, values in enumerate(value, start=1):
            code = values.get("code") if isinstance(values, Mapping) else None
            label = f"{name}[{number}]" + (f" ({code})" if isinstance(code, str) else "")
            tables.append(Table(label, values, known))
        return tables


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
