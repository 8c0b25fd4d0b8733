"""What a plan allows and promises besides its price: changes, retries, offers to stay, pauses. Pure.

These rules belong to the plan and hold for all its versions at once, because they say how we treat a customer, not what
the customer bought. They are kept as one document in the plan's row; a member that is missing there has its default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from quntedge.kit.money import Money

Proration = Literal["credit", "refund", "extension", "none"]
"""What becomes of paid time that a change leaves unused: it is taken off the next charge, given back, given as days of
the new plan, or lost."""
Moment = Literal["now", "period_end"]
PauseAccess = Literal["keep", "period", "none"]
"""What a pause leaves: all access, access to the end of the paid period, or none."""
OfferKind = Literal["discount", "pause"]
DisputeAction = Literal["keep", "pause_access", "cancel"]
"""What a disputed payment does to its subscription: nothing, access ends until it is settled, or everything ends."""

RefundAccess = Literal["keep", "end_of_period", "revoke"]
"""What giving back the whole payment for the running period does: nothing, no further renewal, or an end at once."""

PRORATIONS: tuple[str, ...] = get_args(Proration)
MOMENTS: tuple[str, ...] = get_args(Moment)
PAUSE_ACCESS: tuple[str, ...] = get_args(PauseAccess)
OFFER_KINDS: tuple[str, ...] = get_args(OfferKind)
REFUND_ACCESS: tuple[str, ...] = get_args(RefundAccess)
DISPUTE_ACTIONS: tuple[str, ...] = get_args(DisputeAction)


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """How a subscriber leaves this plan for another one. `targets` are plan codes; None allows every plan on sale."""

    proration: Proration = "credit"
    upgrade: Moment = "now"
    downgrade: Moment = "period_end"
    targets: tuple[str, ...] | None = None

    def allows(self, target_code: str) -> bool:
        """Whether subscribers of this plan may change to the plan with this code."""
        return self.targets is None or target_code in self.targets


@dataclass(frozen=True, slots=True)
class DunningRules:
    """How often, after how many days and at which hours a failed payment is tried again.

    `backoff_days` are the waits: before the first attempt, before the second, and so on; further attempts wait as long
    as the last one. `window` are the hours of the customer's day, from the first to before the last.
    """

    max_attempts: int = 3
    backoff_days: tuple[int, ...] = (1, 3, 9)
    window: tuple[int, int] = (9, 18)


@dataclass(frozen=True, slots=True)
class SaveOffer:
    """What somebody who is about to cancel is offered, once: a discount for some periods, or a pause for some days.

    A discount has `periods` and either `percent_bp` (hundredths of a percent) or `amount`; a pause has `days`.
    """

    kind: OfferKind
    percent_bp: int | None = None
    amount: Money | None = None
    periods: int | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class PauseRules:
    """What a pause does to access, and how long one may last. None sets no limit, and allows one without an end."""

    access: PauseAccess = "period"
    max_days: int | None = None


@dataclass(frozen=True, slots=True)
class DisputeRules:
    """What happens to a subscription when its buyer's bank disputes a payment (`open`), and when that is lost."""

    open: DisputeAction = "keep"
    lost: DisputeAction = "cancel"


@dataclass(frozen=True, slots=True)
class PlanRules:
    """All rules of a plan."""

    change: ChangeRules = ChangeRules()
    dunning: DunningRules = DunningRules()
    save_offer: SaveOffer | None = None
    pause: PauseRules = PauseRules()
    dispute: DisputeRules = DisputeRules()
    refund_access: RefundAccess = "keep"

    def to_json(self) -> dict[str, Any]:
        """The document kept with the plan. What a pause leaves is not in it: it has a column of its own."""
        change, offer = self.change, self.save_offer
        return {
            "change": {
                "proration": change.proration,
                "upgrade": change.upgrade,
                "downgrade": change.downgrade,
                "targets": None if change.targets is None else list(change.targets),
            },
            "dunning": {
                "max_attempts": self.dunning.max_attempts,
                "backoff_days": list(self.dunning.backoff_days),
                "window": list(self.dunning.window),
            },
            "save_offer": None
            if offer is None
            else {
                "kind": offer.kind,
                "percent_bp": offer.percent_bp,
                "amount": None if offer.amount is None else _amount_members(offer.amount),
                "periods": offer.periods,
                "days": offer.days,
            },
            "pause": {"max_days": self.pause.max_days},
            "dispute": {"open": self.dispute.open, "lost": self.dispute.lost},
            "refund": {"access": self.refund_access},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], pause_access: str = "period") -> "PlanRules":
        """The rules that `to_json` made this document of. Members that it lacks have their defaults."""
        change, dunning = document.get("change", {}), document.get("dunning", {})
        return cls(
            change=ChangeRules(**change | {"targets": _codes(change.get("targets"))}),
            dunning=DunningRules(**{name: _tuple_of(value) for name, value in dunning.items()}),
            save_offer=_offer(document.get("save_offer")),
            pause=PauseRules(access=cast(PauseAccess, pause_access), **document.get("pause", {})),
            dispute=DisputeRules(**document.get("dispute", {})),
            refund_access=cast(RefundAccess, document.get("refund", {}).get("access", "keep")),
        )


def _offer(members: Mapping[str, Any] | None) -> SaveOffer | None:
    if members is None:
        return None
    amount = members.get("amount")
    held = None if amount is None else Money(amount["amount_minor"], amount["currency"])
    return SaveOffer(**{**members, "amount": held})


def _amount_members(amount: Money) -> dict[str, int | str]:
    return {"amount_minor": amount.amount_minor, "currency": amount.currency}


def _codes(listed: list[str] | None) -> tuple[str, ...] | None:
    return None if listed is None else tuple(listed)


def _tuple_of(value: int | list[int]) -> Any:
    return tuple(value) if isinstance(value, list) else value
