"""Idempotency-Key for operations that are not purchases: done once, answered as often as they are asked for."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header

from quntedge.checkout.idempotency import IdempotencyService, Replay, digest_of
from quntedge.edge.services import Services
from quntedge.kit.errors import QuntedgeError

OK = 200

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Required. A new random text for each wish, the same one when the request is repeated.",
        examples=["0b9f2c0e-6c0e-4a6e-9d0c-7f1f1f2e3d4c"],
    ),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the work came to. One that is not `final` is not remembered: a repetition goes on with it."""

    answer: Mapping[str, Any]
    final: bool = True


async def once(
    services: Services,
    caller: str,
    key: str | None,
    operation: str,
    request: Mapping[str, Any],
    resource_id: str,
    work: Callable[[str], Awaitable[Outcome]],
) -> Mapping[str, Any]:
    """The answer of `work`, or the one it gave before for the same key.

    `work` gets the id to work under: `resource_id`, or that of an earlier request with this key which did not come to
    an end; working under the same id again must go on with what was begun. Raises the errors of the key and those of
    `work`, which must have changed nothing then.
    """
    keys = IdempotencyService()
    begun = await keys.begin(services.units, caller, key, operation, digest_of(request), resource_id)
    if isinstance(begun, Replay):
        return begun.answer
    checked = str(key)
    try:
        outcome = await work(begun.resource_id)
    except QuntedgeError:
        async with services.units() as unit:
            await keys.abandon(unit, caller, checked)
            await unit.commit()
        raise
    async with services.units() as unit:
        if outcome.final:
            await keys.finish(unit, caller, checked, OK, outcome.answer)
        else:
            await keys.release(unit, caller, checked)
        await unit.commit()
    return outcome.answer
