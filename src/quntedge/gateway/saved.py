"""Means of payment that were saved without buying, and links to receipts, as the gateway describes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class SetupSnapshot:
    """An attempt to save a means of payment. `method_id` is there once it has succeeded.

    Nothing is concluded from it but that the member's methods are worth another look.
    """

    setup_id: str
    raw_status: str
    member_id: str | None = None
    method_id: str | None = None
    checkout_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    shape: Literal["native", "legacy"] = "native"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiptLink:
    """Where the gateway's receipt of a payment can be fetched until `expires_at`, by anybody who has the address."""

    url: str
    expires_at: datetime | None


class ReceiptActs(Protocol):
    """The gateway's own receipts."""

    async def receipt(self, payment_id: str) -> ReceiptLink:
        """A fresh link to the receipt of a payment. Such links do not last: they are asked for when needed."""
        ...
