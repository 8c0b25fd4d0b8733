"""What the `type` of a problem document points at: every error this installation can answer with."""

from inspect import cleandoc

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from quntedge.edge.callers import visitor
from quntedge.kit.errors import error_types
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False, dependencies=[Depends(visitor)])


@router.get("/docs/errors")
async def errors(request: Request) -> Response:
    """All errors by code, each with its anchor."""
    known = {kind.code: kind for kind in error_types() if kind.__module__.startswith("quntedge.")}
    rows = [
        {"code": code, "status": kind.status, "title": kind.title, "meaning": _meaning(kind)}
        for code, kind in sorted(known.items())
    ]
    return await pages_of(request).page(request, "errors_reference.html", {"errors": rows})


def _meaning(kind: type[Exception]) -> str:
    """The first paragraph of the class's documentation."""
    return cleandoc(kind.__doc__ or "").partition("\n\n")[0]
