"""Promo codes, done by Whop. They cannot be edited there: archive one and make another."""

from typing import Final

from quntedge.gateway.acts import GatewayPromo, PercentOff, PromoActs, PromoRequest
from quntedge.gateway.whop.calls import PAGE_SIZE, Calls
from quntedge.gateway.whop.money import request_fraction, request_number
from quntedge.gateway.whop.shapes_promo import promo_from

_FILTERS: Final = ("active", "expired")
"""Together they are all codes: `expired` is Whop's word for the inactive and archived ones. In this order a code that
is archived between the two reads is met twice instead of never."""


class PromoCalls(Calls, PromoActs):
    """Promo codes of our account."""

    async def promos(self, *, plan_id: str | None = None) -> list[GatewayPromo]:
        """Our promo codes, archived ones included; of one plan only those that are limited to it."""
        found: dict[str, GatewayPromo] = {}
        for status in _FILTERS:
            found |= {promo.promo_id: promo for promo in await self._promos(status, plan_id)}
        return list(found.values())

    async def promo(self, promo_id: str) -> GatewayPromo:
        """One of them as it is now. Raises `GatewayNotFound`."""
        return await self._read(
            "promo_codes.retrieve",
            lambda sdk, options: sdk.promo_codes.retrieve(promo_id, request_options=options),
            promo_from,
        )

    async def create_promo(self, request: PromoRequest, *, idempotency_key: str) -> GatewayPromo:
        """Makes one. Raises `GatewayRejected` when the code exists."""
        off = request.amount_off
        body: dict[str, object] = {
            "account_id": self._settings.account_id,
            "code": request.code,
            "promo_type": "percentage" if isinstance(off, PercentOff) else "flat_amount",
            "amount_off": request_fraction(off.basis_points) if isinstance(off, PercentOff) else request_number(off),
            "base_currency": off.currency,
            # Counted in billing intervals, whatever its name says; 0 is for ever.
            "promo_duration_months": request.periods or 0,
            "new_users_only": False,
            "plan_ids": list(request.plan_ids),
            "unlimited_stock": request.uses is None,
        }
        if request.uses is not None:
            body["stock"] = request.uses
        if request.expires_at is not None:
            body["expires_at"] = request.expires_at.isoformat()
        return await self._write(
            "promo_codes.create",
            lambda sdk, options: sdk.promo_codes.create(**body, request_options=options),
            promo_from,
            idempotency_key,
        )

    async def archive_promo(self, promo_id: str) -> None:
        """Makes it unusable. Missing is as good as archived."""
        await self._remove(
            "promo_codes.delete", lambda sdk, options: sdk.promo_codes.delete(promo_id, request_options=options)
        )

    async def _promos(self, status: str, plan_id: str | None) -> list[GatewayPromo]:
        return await self._all(
            "promo_codes.list",
            lambda sdk, options, after: sdk.promo_codes.list(
                account_id=self._settings.account_id,
                status=status,
                plan_ids=None if plan_id is None else [plan_id],
                first=PAGE_SIZE,
                after=after,
                request_options=options,
            ),
            promo_from,
        )
