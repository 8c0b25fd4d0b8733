"""Reading forms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from quntedge.edge.callers import FORM, content_type
from quntedge.kit.errors import FieldError, UnsupportedMedia
from quntedge.web.i18n import gettext

_MAX_FIELDS = 30


@dataclass(frozen=True, slots=True)
class FormView:
    """What a form shows: the values typed (never a password) and what is wrong with them, by field."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form; the first value of each. Raises `UnsupportedMedia` for another kind of body.

    A NUL character, which no browser sends and no text column holds, is replaced as it is in HTML.
    """
    if content_type(request) != FORM:
        raise UnsupportedMedia("Send the form as a page does: application/x-www-form-urlencoded.")
    form = await request.form(max_fields=_MAX_FIELDS, max_files=0)
    fields = reversed(form.multi_items())
    return {name: value.replace("\0", "\ufffd") for name, value in fields if isinstance(value, str)}


def errors_by_field(errors: Any, names: Mapping[str, str]) -> dict[str, str]:
    """Errors of a service as a form shows them; `names` turns the service's field names into the form's."""
    found: dict[str, str] = {}
    listed: list[FieldError] = list(errors)
    for error in listed:
        message = error["message"]
        found.setdefault(names.get(error["field"], error["field"]), gettext(message))
    return found
