"""What Whop's books say: payments, refunds, movements and payouts by time, and the fees of a payment.

Whop's time filters do not agree on whether their bounds belong to the range, and it lists by creation only. So a little
more is asked for than is wanted, and what lies outside is passed over here.
"""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from quntedge.gateway.errors import GatewayInvalidAnswer
from quntedge.gateway.finance import FinanceActs, Movement, PaymentFee, PayoutSnapshot
from quntedge.gateway.port import PaymentSnapshot, RefundSnapshot
from quntedge.gateway.whop.calls import MAX_CRAWL_PAGES, PAGE_SIZE, Calls, PageCall
from quntedge.gateway.whop.shapes_finance import movement, payment_fee, payout
from quntedge.gateway.whop.shapes_payment import payment_snapshot
from quntedge.gateway.whop.shapes_refund import refund_snapshot

T = TypeVar("T")
_MARGIN: Final = timedelta(seconds=1)


class FinanceCalls(Calls, FinanceActs):
    """Reads of the account's money. They need the permissions to read payments, balances and payouts."""

    async def fees_of(self, payment_id: str) -> list[PaymentFee]:
        """What a payment has cost; Whop answers all of it at once."""
        document = await self._exchange.read(
            "payments.list_fees",
            lambda sdk, options: sdk.payments.list_fees(payment_id, request_options=options),
        )
        data = document.get("data") if isinstance(document, dict) else None
        if not isinstance(data, list):
            raise GatewayInvalidAnswer("Whop's answer to payments.list_fees has no list of fees.")
        return [self._understood("payments.list_fees", payment_fee, item) for item in data]

    def payments_between(self, since: datetime, until: datetime) -> AsyncIterator[list[PaymentSnapshot]]:
        """Pages of the payments created in this time, newest first."""
        return self._within(
            "payments.list",
            lambda sdk, options, after: sdk.payments.list(
                account_id=self._settings.account_id,
                created_after=since - _MARGIN,
                created_before=until + _MARGIN,
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            payment_snapshot,
            lambda item: item.created_at is None or since <= item.created_at < until,
        )

    def refunds_between(self, since: datetime, until: datetime) -> AsyncIterator[list[RefundSnapshot]]:
        """Pages of the refunds asked for in this time, newest first."""
        return self._within(
            "refunds.list",
            lambda sdk, options, after: sdk.refunds.list(
                account_id=self._settings.account_id,
                created_after=since - _MARGIN,
                created_before=until + _MARGIN,
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            refund_snapshot,
            lambda item: item.created_at is None or since <= item.created_at < until,
        )

    def movements_between(self, since: datetime, until: datetime) -> AsyncIterator[list[Movement]]:
        """Pages of the movements posted in this time. Without `include_resource`, which only adds names."""
        return self._within(
            "financial_activity.list",
            lambda sdk, options, after: sdk.financial_activity.list(
                account_id=self._settings.account_id,
                include_resource=False,
                posted_after=since - _MARGIN,
                posted_before=until + _MARGIN,
                limit=PAGE_SIZE,
                cursor=after,
                request_options=options,
            ),
            movement,
            lambda item: since <= item.posted_at < until,
        )

    async def movements_of(self, payment_id: str) -> list[Movement]:
        """All movements because of a payment: Whop names the payment on those of its refunds and disputes as well."""
        found: list[Movement] = []
        pages = self._each_page(
            "financial_activity.list",
            lambda sdk, options, after: sdk.financial_activity.list(
                account_id=self._settings.account_id,
                include_resource=False,
                payment_id=payment_id,
                limit=PAGE_SIZE,
                cursor=after,
                request_options=options,
            ),
            MAX_CRAWL_PAGES,
        )
        async for page in pages:
            found += [self._understood("financial_activity.list", movement, item) for item in page]
        return found

    def payouts_between(self, since: datetime, until: datetime) -> AsyncIterator[list[PayoutSnapshot]]:
        """Pages of the payouts made in this time, newest first."""
        return self._within(
            "payouts.list",
            lambda sdk, options, after: sdk.payouts.list(
                account_id=self._settings.account_id,
                created_after=since - _MARGIN,
                created_before=until + _MARGIN,
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            payout,
            lambda item: since <= item.created_at < until,
        )

    async def _within(
        self, operation: str, call: PageCall, parse: Callable[[object], T], wanted: Callable[[T], bool]
    ) -> AsyncIterator[list[T]]:
        async for page in self._each_page(operation, call, MAX_CRAWL_PAGES):
            understood = [self._understood(operation, parse, item) for item in page]
            yield [item for item in understood if wanted(item)]
