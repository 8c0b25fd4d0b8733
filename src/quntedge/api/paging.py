"""The paging parameters of every list."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query
from pydantic import WithJsonSchema

from quntedge.kit.paging import parse_limit

# Read as text so that a bad limit gets the documented 400 instead of the framework's own complaint.
_Limit = Annotated[str, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})]


@dataclass(frozen=True, slots=True)
class Paging:
    """Where to go on, and how many rows to give."""

    cursor: str | None
    limit: int


async def _paging(
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Annotated[_Limit | None, Query(description="Rows on a page, 1 to 100.")] = None,
) -> Paging:
    return Paging(cursor, parse_limit(limit))


PagingParams = Annotated[Paging, Depends(_paging)]
