"""Compares JSON with the SDK's models more strictly than the SDK itself, which lets unknown fields and values pass.

Here an unknown field, a value outside an enumeration, a number where a text belongs, a time without zone: each is a
finding. The types are the SDK's own; nothing is written down twice.
"""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

_LISTS = (list, Sequence)
_ZONED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@cache
def plain(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a type without `Annotated`, None and the `Any` by which enumerations let everything pass."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, types.UnionType):
        return () if annotation is type(None) else (annotation,)
    found = [alternative for part in get_args(annotation) for alternative in plain(part)]
    named = [alternative for alternative in found if alternative is not Any]
    return tuple(dict.fromkeys(named or found))


def item_of(annotation: Any) -> Any:
    """What a list is a list of; anything else is what it is."""
    for kind in plain(annotation):
        if get_origin(kind) in _LISTS:
            return get_args(kind)[0]
    return annotation


def models_of(annotation: Any) -> list[type[BaseModel]]:
    """The models among the alternatives of a type."""
    return [kind for kind in plain(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]


@cache
def wire_fields(model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a model by their names on the wire."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def findings(value: Any, annotation: Any, where: str = "") -> list[str]:
    """Everything about `value` that does not fit the type; empty when it fits."""
    return list(_findings(value, annotation, where))


def _findings(value: Any, annotation: Any, where: str) -> Iterator[str]:
    alternatives = plain(annotation)
    if value is None:
        if alternatives and not _admits_null(annotation):
            yield f"{where}: null is not allowed"
        return
    named = [alternative for alternative in alternatives if _carries_its_name(value, alternative)]
    tries = [list(_against(value, alternative, where)) for alternative in named or alternatives]
    if tries:
        yield from min(tries, key=len)


def _carries_its_name(value: Any, kind: Any) -> bool:
    """Whether a value has the `typename` of a model, where several models are told apart by it."""
    if not (isinstance(value, dict) and "typename" in value and isinstance(kind, type) and issubclass(kind, BaseModel)):
        return False
    field = kind.model_fields.get("typename")
    return field is not None and value["typename"] in get_args(field.annotation)


@cache
def _admits_null(annotation: Any) -> bool:
    """Whether null is a value of a type; the `Any` beside an enumeration does not count."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        parts = get_args(annotation)
        return any(_admits_null(part) for part in parts if part is not Any or plain(annotation) == (Any,))
    return annotation in (None, type(None), Any)


def _against(value: Any, kind: Any, where: str) -> Iterator[str]:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return
    if origin is Literal:
        if value not in get_args(kind) or isinstance(value, bool) != isinstance(get_args(kind)[0], bool):
            yield f"{where}: {value!r} is none of {', '.join(map(str, get_args(kind)))}"
    elif origin in _LISTS:
        yield from _list(value, get_args(kind)[0], where)
    elif origin in (dict, Mapping):
        yield from _object(value, get_args(kind)[1], where)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _model(value, kind, where)
    elif kind is datetime:
        if not isinstance(value, str) or not _ZONED.fullmatch(value):
            yield f"{where}: {value!r} is no ISO 8601 time with a zone"
    elif kind is float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            yield f"{where}: {value!r} is no number"
    elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        yield f"{where}: {value!r} is no {kind.__name__}"


def _list(value: Any, item: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{where}: {value!r} is no list"
        return
    for number, one in enumerate(value):
        yield from _findings(one, item, f"{where}[{number}]")


def _object(value: Any, item: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no object"
        return
    for name, one in value.items():
        yield from _findings(one, item, f"{where}.{name}")


def _model(value: Any, model: type[BaseModel], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no {model.__name__}"
        return
    fields = wire_fields(model)
    for name in value.keys() - fields.keys():
        yield f"{where}.{name}: unknown to {model.__name__}"
    for name, field in fields.items():
        if name in value:
            yield from _findings(value[name], field.annotation, f"{where}.{name}")
        elif field.is_required():
            yield f"{where}.{name}: required by {model.__name__}, and missing"
