"""Saved means of payment, kept by Whop. What they hold of a card is all we ever see of it."""

from quntedge.gateway.acts import MethodActs, StoredMethod
from quntedge.gateway.whop.calls import PAGE_SIZE, Calls
from quntedge.gateway.whop.shapes_method import stored_method


class MethodCalls(Calls, MethodActs):
    """Saved means of payment. They belong to the member, not to a membership."""

    async def methods_of(self, member_id: str) -> list[StoredMethod]:
        """What a member has saved, newest first, expired cards included."""
        return await self._all(
            "payment_methods.list",
            lambda sdk, options, after: sdk.payment_methods.list(
                member_id=member_id, direction="desc", first=PAGE_SIZE, after=after, request_options=options
            ),
            stored_method,
        )

    async def delete_method(self, method_id: str, *, member_id: str) -> None:
        """Forgets it; missing is as good. Raises `GatewayRejected` while a running membership is paid with it."""
        await self._remove(
            "payment_methods.delete",
            lambda sdk, options: sdk.payment_methods.delete_payment_method(
                method_id, member_id=member_id, request_options=options
            ),
        )
