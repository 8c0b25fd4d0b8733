"""What we have the gateway do to memberships, payments, cards and promo codes that exist already.

Small protocols, so that each feature names exactly what it needs; `gateway.whop` does all of them. Every write is sent
once. After `GatewayOutcomeUnknown` the caller looks before it sends again: the gateway forgets idempotency keys after a
day, and has none at all for changes of existing objects (those may be repeated).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from quntedge.gateway.disputed import AttachedDocument, DisputeSnapshot, EvidenceFileActs, EvidenceTexts
from quntedge.gateway.port import GatewayCheckout, MembershipSnapshot, PaymentSnapshot
from quntedge.kit.money import Money


class FailureBehavior(StrEnum):
    """What the gateway does with a membership whose renewal it could not collect in about five days."""

    CANCEL = "cancel"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StoredMethod:
    """A means of payment a member has saved, as far as it may be shown. `fingerprint` is equal for equal cards."""

    method_id: str
    kind: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    """Four digits."""
    expired: bool = False
    fingerprint: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """A charge of a saved method with nobody present. On a plan that renews it begins a new membership.

    `promo_code` is taken off the first charge. `metadata` comes back on the payment, not surely on the membership.
    """

    member_id: str
    method_id: str
    plan_id: str
    promo_code: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    quote_id: str | None = None
    """A price quoted before; it leaves out the plan's trial."""
    country: str | None = None
    """Where the buyer is, as the price was quoted for."""


@dataclass(frozen=True, slots=True)
class PercentOff:
    """A share of every charge it applies to, in hundredths of a percent; the charges are in this currency."""

    basis_points: int
    currency: str


@dataclass(frozen=True, slots=True)
class PromoRequest:
    """A promo code that takes something off the first charge, or the first `periods` ones; it has `uses` in all.

    Without `periods` it lowers all charges, without `uses` it is never used up.
    """

    code: str
    amount_off: Money | PercentOff
    plan_ids: Sequence[str]
    uses: int | None = 1
    expires_at: datetime | None = None
    periods: int | None = 1


@dataclass(frozen=True, slots=True)
class GatewayPromo:
    """A promo code at the gateway. Archived ones cannot be used any more."""

    promo_id: str
    code: str | None
    archived: bool
    uses: int = 0


class MembershipActs(Protocol):
    """Changes of memberships. The answer is the membership afterwards, where the gateway tells it.

    Raises the port's errors: `GatewayRejected` when its state does not allow this, `GatewayNotFound`.
    """

    async def membership(self, membership_id: str) -> MembershipSnapshot:
        """As it is now."""
        ...

    async def memberships_of(self, member_id: str) -> list[MembershipSnapshot]:
        """All memberships of a member, ended ones included."""
        ...

    async def cancel_membership(
        self, membership_id: str, *, at_period_end: bool, reason: str | None = None, idempotency_key: str
    ) -> MembershipSnapshot:
        """Ends it now, or lets it run out. Nothing is refunded."""
        ...

    async def keep_membership(self, membership_id: str) -> MembershipSnapshot:
        """Withdraws a cancellation at the period's end."""
        ...

    async def pause_membership(
        self, membership_id: str, *, until: datetime | None, idempotency_key: str
    ) -> MembershipSnapshot:
        """Collects nothing until then, or until it is resumed. The answer does not tell that it is paused."""
        ...

    async def resume_membership(self, membership_id: str, *, idempotency_key: str) -> MembershipSnapshot:
        """Collects again."""
        ...

    async def is_paused(self, membership_id: str, member_id: str) -> bool:
        """Whether collection is paused; a membership itself does not tell."""
        ...

    async def extend_membership(self, membership_id: str, *, days: int, idempotency_key: str) -> MembershipSnapshot:
        """Gives `days` (1 to 1,095) for nothing at the end of the period or trial."""
        ...

    async def apply_promo(self, membership_id: str, code: str, *, idempotency_key: str) -> MembershipSnapshot:
        """From the next charge on. Refused unless active or trialing and without a promotion."""
        ...

    async def use_method(self, membership_id: str, method_id: str) -> MembershipSnapshot:
        """Charges this method from now on; an open unpaid charge is tried with it at once."""
        ...


class PaymentActs(Protocol):
    """Charges, retries and refunds. All of them settle later: what is answered is only the beginning."""

    async def payment(self, payment_id: str) -> PaymentSnapshot:
        """As it is now."""
        ...

    async def payments_of(self, membership_id: str) -> list[PaymentSnapshot]:
        """All payments of a membership, newest first; a list may leave out what a single read tells."""
        ...

    async def payments_of_member(self, member_id: str, *, created_after: datetime) -> list[PaymentSnapshot]:
        """A member's payments since then, newest first, with or without a membership."""
        ...

    async def charge(self, request: ChargeRequest, *, idempotency_key: str) -> PaymentSnapshot:
        """Charges a saved method. That it is answered does not mean that it is paid."""
        ...

    async def quote_price(
        self, plan_id: str, *, promo_code: str | None, country: str | None, idempotency_key: str
    ) -> str:
        """Has the price of a plan fixed for a while, for one charge; the quote's id. A trial does not apply to it.

        `country` is where the buyer is, two letters: needed where taxes are collected.
        """
        ...

    async def void_payment(self, payment_id: str, *, idempotency_key: str) -> PaymentSnapshot:
        """Gives up a first payment that nobody has paid. Raises `GatewayRejected` when it cannot be given up."""
        ...

    async def retry_payment(self, payment_id: str, *, idempotency_key: str) -> PaymentSnapshot:
        """Tries an open payment again. Raises `GatewayRejected` when the gateway does not allow that now."""
        ...

    async def refund_payment(
        self, payment_id: str, *, amount: Money | None, metadata: Mapping[str, str], idempotency_key: str
    ) -> PaymentSnapshot:
        """Gives back `amount`, or all that is left. The refund itself is found with `refunds_of`."""
        ...


class MethodActs(Protocol):
    """Saved means of payment."""

    async def methods_of(self, member_id: str) -> list[StoredMethod]:
        """What a member has saved, newest first."""
        ...

    async def delete_method(self, method_id: str, *, member_id: str) -> None:
        """Forgets it; missing is as good. Raises `GatewayRejected` while a running membership is paid with it."""
        ...


class SetupActs(Protocol):
    """Saving a means of payment without buying."""

    async def start_card_setup(
        self, redirect_url: str, *, metadata: Mapping[str, str], idempotency_key: str
    ) -> GatewayCheckout:
        """Opens a hosted page on which a buyer saves a card; the buyer comes back to `redirect_url`."""
        ...


class PromoActs(Protocol):
    """Promo codes, as a means to charge less once."""

    async def promos(self, *, plan_id: str | None = None) -> list[GatewayPromo]:
        """Our promo codes, archived ones included."""
        ...

    async def promo(self, promo_id: str) -> GatewayPromo:
        """One of them as it is now, with how often it was used. Raises `GatewayNotFound`."""
        ...

    async def create_promo(self, request: PromoRequest, *, idempotency_key: str) -> GatewayPromo:
        """Makes one. Raises `GatewayRejected` when the code exists."""
        ...

    async def archive_promo(self, promo_id: str) -> None:
        """Makes it unusable. Missing is as good as archived."""
        ...


class DisputeActs(EvidenceFileActs, Protocol):
    """Answering disputes. Sending evidence and conceding are final."""

    async def dispute(self, dispute_id: str) -> DisputeSnapshot:
        """As it is now."""
        ...

    async def fill_evidence(
        self, dispute_id: str, evidence: EvidenceTexts, documents: Sequence[AttachedDocument] = ()
    ) -> DisputeSnapshot:
        """Fills in the texts that are given, and attaches these files, where there are any, in the place of all that
        hung there. Nothing is sent to the bank yet, and it may be repeated."""
        ...

    async def submit_evidence(self, dispute_id: str, *, idempotency_key: str) -> DisputeSnapshot:
        """Sends the evidence to the bank. Raises `GatewayRejected` when that is not possible (any more)."""
        ...

    async def accept_dispute(self, dispute_id: str, *, idempotency_key: str) -> DisputeSnapshot:
        """Concedes. Raises `GatewayRejected` when that is not possible (any more)."""
        ...


class AccountActs(Protocol):
    """Settings of our account and catalogue at the gateway."""

    async def failure_behavior(self) -> FailureBehavior:
        """What happens to memberships whose renewal fails for good."""
        ...

    async def archive_plan(self, plan_id: str) -> None:
        """Takes a plan off sale; who has it keeps it. Missing is as good as archived."""
        ...
