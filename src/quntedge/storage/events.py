"""Facts that travel upward: recorded on a unit of work, handled inside its transaction.

A subscriber gets all facts of its type at once, so that a batch of five hundred webhook events costs one statement
where a row-by-row handler would cost five hundred. No subscriber's exception is swallowed: it fails the transaction.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from quntedge.storage.unit_of_work import UnitOfWork

Fact = TypeVar("Fact")
Handler = Callable[["UnitOfWork", Sequence[Any]], Awaitable[None]]


class EventBus:
    """Who wants to hear of what. Filled once, in `wiring`, and read-only afterwards."""

    def __init__(self) -> None:
        self._handlers: dict[type, list[Handler]] = defaultdict(list)

    def subscribe(
        self, fact_type: type[Fact], handler: Callable[["UnitOfWork", Sequence[Fact]], Awaitable[None]]
    ) -> None:
        """Calls `handler` with all facts of exactly this type before the transaction commits."""
        self._handlers[fact_type].append(handler)

    async def dispatch(self, unit: "UnitOfWork", facts: Sequence[object]) -> None:
        """Hands the facts to their subscribers, grouped by type, in the order the types first occurred."""
        grouped: dict[type, list[object]] = defaultdict(list)
        for fact in facts:
            grouped[type(fact)].append(fact)
        for fact_type, same in grouped.items():
            for handler in self._handlers.get(fact_type, ()):
                await handler(unit, same)
