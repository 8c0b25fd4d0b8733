"""The unit of work of a request: committed after the handler and before the answer."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from quntedge.edge.services import services_of
from quntedge.storage.unit_of_work import UnitOfWork


async def unit_of_work(request: Request) -> AsyncIterator[UnitOfWork]:
    """Opens a unit of work, commits it when the handler returned, rolls it back when it raised."""
    async with services_of(request).units() as unit:
        yield unit
        await unit.commit()


# scope="function": the code after the yield runs before the answer is sent. With the framework's default scope it would
# run afterwards, and a commit that fails would already have been answered with 200.
Unit = Annotated[UnitOfWork, Depends(unit_of_work, scope="function")]
