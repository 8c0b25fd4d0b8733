"""Errors and the problem documents made of them."""

import json

import pytest

from quntedge.kit.errors import (
    Conflict,
    Forbidden,
    Gone,
    InvalidRequest,
    Malformed,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    QuntedgeError,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    error_types,
    problem,
)


def test_a_problem_has_the_members_of_rfc_9457_and_a_code() -> None:
    error = NotFound("There is no plan 'gold'; GET /api/subscription/plans lists them.", extra={"plan": "gold"})
    assert problem(error, instance="/api/payment/checkout") == {
        "type": "/docs/errors#not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no plan 'gold'; GET /api/subscription/plans lists them.",
        "code": "not_found",
        "instance": "/api/payment/checkout",
        "plan": "gold",
    }
    assert "instance" not in problem(error)
    assert str(error) == error.detail


def test_statuses() -> None:
    statuses: dict[type[QuntedgeError], int] = {
        InvalidRequest: 400,
        Unauthenticated: 401,
        Forbidden: 403,
        NotFound: 404,
        MethodNotAllowed: 405,
        Conflict: 409,
        Gone: 410,
        PayloadTooLarge: 413,
        UnsupportedMedia: 415,
        Malformed: 422,
        RateLimited: 429,
        Unavailable: 503,
    }
    assert {kind: kind.status for kind in statuses} == statuses
    assert {kind for kind in error_types() if kind.__module__ == "quntedge.kit.errors"} == {QuntedgeError, *statuses}
    assert len({kind.code for kind in statuses}) == len(statuses)


def test_without_a_detail_the_title_speaks() -> None:
    assert problem(Forbidden())["detail"] == Forbidden.title


def test_field_errors_are_listed() -> None:
    error = Malformed("Two fields are wrong.", errors=[{"field": "plan.amount", "message": "write it like 29.00"}])
    document = problem(error)
    assert document["errors"] == [{"field": "plan.amount", "message": "write it like 29.00"}]
    assert json.loads(json.dumps(document)) == document
    assert "errors" not in problem(Malformed("The body is not JSON."))


def test_headers_that_http_demands() -> None:
    limited = RateLimited("Wait a little.", retry_after_seconds=0)
    assert limited.headers() == {"Retry-After": "1"}
    assert problem(limited)["retry_after_seconds"] == 1
    assert MethodNotAllowed(allowed=["GET", "POST"]).headers() == {"Allow": "GET, POST"}
    assert Unavailable(retry_after_seconds=30).headers() == {"Retry-After": "30"}
    assert Unavailable().headers() == {}
    assert Unauthenticated().headers() == {"WWW-Authenticate": "Bearer"}
    assert NotFound().headers() == {}


def test_extra_members_cannot_forge_the_contract() -> None:
    with pytest.raises(ValueError, match="status"):
        NotFound("x", extra={"status": 200})


def test_a_class_with_a_bad_code_or_status_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="snake_case"):
        type("Odd", (Conflict,), {"code": "Not-Snake"})
    with pytest.raises(TypeError, match="status"):
        type("Fine", (Conflict,), {"code": "fine", "status": 200})
