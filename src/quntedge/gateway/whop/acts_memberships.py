"""Changes of memberships, done by Whop.

What changes an existing object with PATCH has no idempotency key at Whop, and needs none: it says how things shall be.
"""

from datetime import datetime

from quntedge.gateway.acts import MembershipActs
from quntedge.gateway.port import MembershipSnapshot
from quntedge.gateway.whop.calls import PAGE_SIZE, Calls
from quntedge.gateway.whop.fields import Fields
from quntedge.gateway.whop.shapes_membership import membership_snapshot


class MembershipCalls(Calls, MembershipActs):
    """Memberships one by one. A membership set to cancel keeps its status and only has its flag set."""

    async def membership(self, membership_id: str) -> MembershipSnapshot:
        """The membership as it is now."""
        return await self._read(
            "memberships.retrieve",
            lambda sdk, options: sdk.memberships.retrieve(membership_id, request_options=options),
            membership_snapshot,
        )

    async def memberships_of(self, member_id: str) -> list[MembershipSnapshot]:
        """All memberships of a member, newest first, ended ones included: no status is asked for."""
        return await self._all(
            "memberships.list",
            lambda sdk, options, after: sdk.memberships.list(
                account_id=self._settings.account_id,
                member_id=member_id,
                order="created_at",
                direction="desc",
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            membership_snapshot,
        )

    async def cancel_membership(
        self, membership_id: str, *, at_period_end: bool, reason: str | None = None, idempotency_key: str
    ) -> MembershipSnapshot:
        """Ends it now, or lets it run out; a second time at the period's end changes nothing. Nothing is refunded.

        Raises `GatewayRejected` when it has ended, or has no period at whose end it could be canceled.
        """
        # Left out, the flag means "now": access would be lost at once.
        body: dict[str, object] = {"cancel_at_period_end": at_period_end}
        if reason is not None:
            body["reason"] = reason
        return await self._write(
            "memberships.cancel",
            lambda sdk, options: sdk.memberships.cancel(membership_id, **body, request_options=options),
            membership_snapshot,
            idempotency_key,
        )

    async def keep_membership(self, membership_id: str) -> MembershipSnapshot:
        """Withdraws a cancellation at the period's end. Raises `GatewayRejected` when it has ended already."""
        return await self._write(
            "memberships.update",
            lambda sdk, options: sdk.memberships.update(
                membership_id, cancel_at_period_end=False, request_options=options
            ),
            membership_snapshot,
            None,
        )

    async def pause_membership(
        self, membership_id: str, *, until: datetime | None, idempotency_key: str
    ) -> MembershipSnapshot:
        """Collects nothing until then (aware, in the future), or until it is resumed; the buyer keeps access.

        Raises `GatewayRejected` unless it is running and not paused.
        """
        body: dict[str, object] = {} if until is None else {"until": until.isoformat()}
        return await self._write(
            "memberships.pause",
            lambda sdk, options: sdk.memberships.pause(membership_id, **body, request_options=options),
            membership_snapshot,
            idempotency_key,
        )

    async def resume_membership(self, membership_id: str, *, idempotency_key: str) -> MembershipSnapshot:
        """Collects again. Raises `GatewayRejected` when it is not paused."""
        return await self._write(
            "memberships.resume",
            lambda sdk, options: sdk.memberships.resume(membership_id, request_options=options),
            membership_snapshot,
            idempotency_key,
        )

    async def is_paused(self, membership_id: str, member_id: str) -> bool:
        """Whether collection is paused: only Whop's filter tells, so the member's paused memberships are listed."""
        paused = await self._all(
            "memberships.list",
            lambda sdk, options, after: sdk.memberships.list(
                account_id=self._settings.account_id,
                member_id=member_id,
                status="paused",
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            lambda document: Fields(document, "membership").required_id(),
        )
        return membership_id in paused

    async def extend_membership(self, membership_id: str, *, days: int, idempotency_key: str) -> MembershipSnapshot:
        """Gives `days` (1 to 1,095) for nothing at the end of the period, trial or fixed expiry.

        Raises `GatewayRejected` for other numbers and for what has ended.
        """
        return await self._write(
            "memberships.extend",
            lambda sdk, options: sdk.memberships.extend(membership_id, days=days, request_options=options),
            membership_snapshot,
            idempotency_key,
        )

    async def apply_promo(self, membership_id: str, code: str, *, idempotency_key: str) -> MembershipSnapshot:
        """From the next charge on. Raises `GatewayRejected` unless active or trialing and without a promotion."""
        return await self._write(
            "memberships.apply_promo_code",
            lambda sdk, options: sdk.memberships.apply_promo_code(
                membership_id, promo_code=code, request_options=options
            ),
            membership_snapshot,
            idempotency_key,
        )

    async def use_method(self, membership_id: str, method_id: str) -> MembershipSnapshot:
        """Charges this method from now on; an open past-due payment is tried with it at once, repeated or not.

        Raises `GatewayNotFound` for a method of somebody else, `GatewayRejected` when the membership has ended.
        """
        return await self._write(
            "memberships.update",
            lambda sdk, options: sdk.memberships.update(
                membership_id, payment_method_id=method_id, request_options=options
            ),
            membership_snapshot,
            None,
        )
