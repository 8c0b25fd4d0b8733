"""What all calls to Whop have in common: one document, all items of a list, or a list page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from whop_sdk import AsyncWhop
from whop_sdk.core.request_options import RequestOptions

from quntedge.gateway.errors import GatewayInvalidAnswer, GatewayNotFound
from quntedge.gateway.port import UnusableEvent
from quntedge.gateway.whop.config import WhopSettings
from quntedge.gateway.whop.errors import from_unusable
from quntedge.gateway.whop.exchange import Call, Exchange
from quntedge.gateway.whop.fields import Fields

PAGE_SIZE: Final = 100
MAX_PAGES: Final = 200
"""More than this is taken for a list that never ends."""

MAX_CRAWL_PAGES: Final = 50_000
"""The same for lists that grow with the number of customers and are taken page by page."""

T = TypeVar("T")
PageCall = Callable[[AsyncWhop, RequestOptions, str | None], Awaitable[object]]


class Calls:
    """The part of the gateway that each group of calls is built on. It has no state but where Whop is."""

    def __init__(self, settings: WhopSettings, exchange: Exchange) -> None:
        self._settings = settings
        self._exchange = exchange

    async def _read(self, operation: str, call: Call, parse: Callable[[object], T]) -> T:
        return self._understood(operation, parse, await self._exchange.read(operation, call))

    async def _write(self, operation: str, call: Call, parse: Callable[[object], T], idempotency_key: str | None) -> T:
        """A write that is answered with an object; without a key only what may be repeated (see `Exchange.write`)."""
        document = await self._exchange.write(operation, call, idempotency_key=idempotency_key)
        return self._understood(operation, parse, document)

    async def _remove(self, operation: str, call: Call) -> None:
        """A write after which something is gone or out of use. Missing is as good, and repeating does no harm."""
        try:
            await self._exchange.write(operation, call, idempotency_key=None)
        except GatewayNotFound:
            return

    async def _all(self, operation: str, call: PageCall, parse: Callable[[object], T]) -> list[T]:
        """All items of a list, understood."""
        return [self._understood(operation, parse, item) for item in await self._pages(operation, call)]

    async def _pages(self, operation: str, call: PageCall) -> list[object]:
        """All items of a list."""
        return [item async for page in self._each_page(operation, call, MAX_PAGES) for item in page]

    async def _each_page(self, operation: str, call: PageCall, most: int) -> AsyncIterator[list[object]]:
        """The pages of a list. Only `has_next_page` tells the last page: Whop fills its `end_cursor` as well."""
        after: str | None = None

        def next_page(sdk: AsyncWhop, options: RequestOptions) -> Awaitable[object]:
            return call(sdk, options, after)

        for _ in range(most):
            document = await self._exchange.read(operation, next_page)
            page, following = self._understood(operation, _page_from, document)
            yield page
            if following is None:
                return
            if following == after:
                break
            after = following
        raise GatewayInvalidAnswer(f"Whop's answer to {operation} never comes to an end.")

    @staticmethod
    def _understood(operation: str, parse: Callable[[object], T], document: object) -> T:
        try:
            return parse(document)
        except UnusableEvent as error:
            raise from_unusable(error, operation) from error


def _page_from(document: object) -> tuple[list[object], str | None]:
    """The items of one page and the cursor of the next page, None on the last."""
    fields = Fields(document, "page")
    data = fields.raw.get("data")
    if not isinstance(data, list):
        raise UnusableEvent("bad_field", "page.data must be a list")
    info = fields.child("page_info")
    if info is None or not info.flag("has_next_page"):
        return data, None
    cursor = info.text("end_cursor")
    if cursor is None:
        raise UnusableEvent("bad_field", "page.page_info.end_cursor is missing although there is a next page")
    return data, cursor
