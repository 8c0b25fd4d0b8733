"""Counts which fields of the SDK's models were ever seen with a value, and which values of enumerations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from whop_sdk.types import Money

from tests.emulator.contract.strict import findings, models_of, plain, wire_fields

_ADORNMENTS = re.compile(
    r"^(List|Create|Retrieve|Update|Transfer|CheckAccess|Summary)(?=[A-Z])|(Response)?(DataItem)?$"
)
_TITLES = {
    "CalculateTaxPlans": "TaxPreview",
    "CalculateTaxVariants": "TaxPreview",
    "CheckoutConfigurations": "CheckoutConfiguration",
    "Disputes": "DisputeSummary",
    "Memberships": "MembershipTransfer",
    "Plan": "Variant",
    "Preferences": "AccountPreferences",
    "Users": "Access",
}
_LEAVES = ("icons",)
"""What is looked at as a whole, so that sixteen addresses of pictures do not bury the rest."""


class Seen(IntEnum):
    """How much of a field was seen; the most of it counts."""

    ABSENT = 0
    NULL = 1
    EMPTY = 2
    VALUE = 3


def title(model: type[BaseModel]) -> str:
    """What a model describes: list items, answers to creation and so on have models of their own for one thing."""
    name = model.__name__.partition("_")[0].removesuffix("ListItem")
    name = _ADORNMENTS.sub("", name)
    return _TITLES.get(name, name)


@dataclass
class Coverage:
    """What was seen, by thing, path and place (`single`, `list`, `webhook`)."""

    fields: dict[str, dict[str, dict[str, Seen]]] = field(default_factory=dict)
    values: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    options: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """Values the SDK names for an enumeration, in its order."""

    def answer(self, value: Any, annotation: Any) -> None:
        """Notes an answer of the API: a single thing, or a page of things."""
        alternatives = models_of(annotation)
        if len(alternatives) == 1 and "page_info" in wire_fields(alternatives[0]):
            items = wire_fields(alternatives[0])["data"].annotation
            for item in value["data"]:
                self.thing(item, get_args(plain(items)[0])[0], "list")
        elif alternatives:
            self.thing(value, annotation, "single")

    def thing(self, value: Any, annotation: Any, place: str) -> None:
        """Notes one thing."""
        model = _fitting(value, annotation)
        if model is not None and not model.__name__.startswith("Delete"):  # id and deleted: nothing to say
            self._model(value, model, title(model), "", place)

    def _model(self, value: dict[str, Any], model: type[BaseModel], name: str, prefix: str, place: str) -> None:
        known = self.fields.setdefault(name, {})
        for wire, info in wire_fields(model).items():
            path = prefix + wire
            places = known.setdefault(path, {})
            given = value.get(wire)
            level = _level(value, wire)
            places[place] = max(places.get(place, Seen.ABSENT), level)
            if level is Seen.VALUE:
                self._inside(given, info.annotation, name, path, place)

    def _inside(self, value: Any, annotation: Any, name: str, path: str, place: str) -> None:
        for kind in plain(annotation):
            if get_origin(kind) is Literal and isinstance(value, str):
                self.options[name, path] = tuple(map(str, get_args(kind)))
                self.values.setdefault((name, path), set()).add(value)
        if isinstance(value, list):
            for kind in plain(annotation):
                for item in value if get_origin(kind) is list else ():
                    self._inside(item, get_args(kind)[0], name, f"{path}[]", place)
        elif isinstance(value, dict):
            model = _fitting(value, annotation)
            if model is not None and model is not Money and path.rpartition(".")[2] not in _LEAVES:
                self._model(value, model, name, f"{path}.", place)

    def gaps(self) -> Iterator[tuple[str, str]]:
        """Every field that never had a value anywhere, as thing and path."""
        for name, paths in self.fields.items():
            for path, places in paths.items():
                if max(places.values()) is not Seen.VALUE:
                    yield name, path

    def unseen_values(self) -> Iterator[tuple[str, str, str]]:
        """Every value of an enumeration that was never seen, as thing, path and value."""
        for (name, path), options in self.options.items():
            for option in options:
                if option not in self.values[name, path]:
                    yield name, path, option


def _level(value: dict[str, Any], wire: str) -> Seen:
    if wire not in value:
        return Seen.ABSENT
    given = value[wire]
    if given is None:
        return Seen.NULL
    return Seen.EMPTY if given in ("", [], {}) else Seen.VALUE


def _fitting(value: Any, annotation: Any) -> type[BaseModel] | None:
    models = models_of(annotation)
    if not isinstance(value, dict) or not models:
        return None
    return models[0] if len(models) == 1 else min(models, key=lambda model: len(findings(value, model)))
