"""A body that does not fit is answered field by field, with what each must be."""

from datetime import datetime
from typing import Annotated, Literal

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from quntedge.api.models import In
from quntedge.edge.malformed import explained
from quntedge.kit.errors import Malformed


class _Line(In):
    amount: int = Field(ge=1, le=1000)
    note: str | None = Field(None, max_length=5)


class _Body(In):
    lines: list[_Line] = Field(max_length=3)
    either: int | Literal["all"] = "all"
    when: datetime | None = None
    code: Annotated[str, Field(pattern="^[a-z]+$")] = "x"
    named: dict[str, int] | None = None
    agreed: bool = False


def _errors(body: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        _Body.model_validate(body)
    found = [{**error, "loc": ("body", *error["loc"])} for error in refused.value.errors()]
    problem = explained(RequestValidationError(found))
    assert isinstance(problem, Malformed)
    return {error["field"]: error["message"] for error in problem.extra["errors"]}


LINE = {"amount": 1}


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"lines": [LINE, LINE, {"amount": "x"}]}, "lines[2].amount", "this must be a whole number"),
        ({"lines": [{"amount": 0}]}, "lines[0].amount", "this must be 1 or more"),
        ({"lines": [{"amount": 1001}]}, "lines[0].amount", "this may be 1000 at most"),
        ({"lines": [{"amount": 1.5}]}, "lines[0].amount", "this must be a whole number"),
        ({"lines": [{"amount": 1, "note": "too long"}]}, "lines[0].note", "this may have 5 characters at most"),
        ({"lines": [{"amount": 1, "note": "a\0"}]}, "lines[0].note", "leave out the character U+0000"),
        ({"lines": [{}]}, "lines[0].amount", "this is required"),
        ({"lines": [LINE | {"amont": 1}]}, "lines[0].amont", "there is no such field"),
        ({"lines": [LINE | {"<b>-x": 1}]}, "lines[0].<b>-x", "there is no such field"),
        ({"lines": [LINE] * 4}, "lines", "this may have 3 items at most"),
        ({"lines": {}}, "lines", "this must be a list"),
        ({"lines": [], "either": "some"}, "either", "this must be 'all'"),
        ({"lines": [], "when": "soon"}, "when", "this must be a time, as 2026-10-01T12:00:00Z"),
        ({"lines": [], "when": "0001-01-01T00:00:00+23:59"}, "when", "give a time between the years 1970 and 2999"),
        ({"lines": [], "when": "9999-12-31T23:59:59-23:59"}, "when", "give a time between the years 1970 and 2999"),
        ({"lines": [], "code": "A1"}, "code", "this must have the form ^[a-z]+$"),
        ({"lines": [], "named": {"int": "x"}}, "named", "this must be a whole number"),
        ({"lines": [], "agreed": "perhaps"}, "agreed", "this must be true or false"),
    ],
)
def test_each_field_is_named_by_its_path(body: object, field: str, message: str) -> None:
    errors = _errors(body)
    assert set(errors) == {field}
    assert message in errors[field]


def test_the_sentence_names_the_first_and_counts_the_rest() -> None:
    with pytest.raises(ValidationError) as refused:
        _Body.model_validate(dict.fromkeys("abcde", 1))
    detail = explained(RequestValidationError(refused.value.errors())).detail
    assert detail.startswith("lines: this is required; a: there is no such field; ")
    assert detail.endswith("; and 3 more")
