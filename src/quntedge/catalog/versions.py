"""The versions of a plan's terms: when new terms make a new version, and what the gateway then has to do. Pure.

A price once sold is never changed: whoever bought it keeps it. The terms of a plan are its prices, its period and its
trial; all currencies of a version share period and trial. A currency more or less is no new version, because nobody's
terms change by it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from quntedge.kit.money import Money


@dataclass(frozen=True, slots=True)
class Terms:
    """One version in one currency.

    `retired`: not offered any more. `gateway_archived`: the gateway has taken it off sale, for good as far as we care.
    """

    version: int
    price: Money
    period_days: int | None
    trial_days: int
    whop_plan_id: str | None = None
    retired: bool = False
    gateway_archived: bool = False

    @property
    def currency(self) -> str:
        """The currency of the price."""
        return self.price.currency


@dataclass(frozen=True, slots=True)
class PriceRef:
    """Names one plan at the gateway by what it is to us."""

    plan_code: str
    version: int
    currency: str

    def __str__(self) -> str:
        """As people read it: "monthly version 2 in EUR"."""
        return f"{self.plan_code} version {self.version} in {self.currency.upper()}"


@dataclass(frozen=True, slots=True)
class GatewayStep:
    """Something to do at the gateway."""

    action: Literal["create", "archive"]
    ref: PriceRef
    price: Money

    def describe(self) -> str:
        """The step in one line, for people."""
        price = f"{self.price.to_major_text()} {self.price.currency.upper()}"
        return f"{self.action} at Whop: {self.ref.plan_code} version {self.ref.version}, {price}"


def current_version(history: Iterable[Terms]) -> int:
    """The number of the newest version; 0 where there is none yet."""
    return max((terms.version for terms in history), default=0)


def revised(
    history: Sequence[Terms], prices: Mapping[str, Money], period_days: int | None, trial_days: int
) -> tuple[Terms, ...]:
    """The history after these terms have been wished for: unchanged, with a new version, or with currencies more or
    less. What is in it never disappears and never gets other terms; it is only retired."""
    newest = current_version(history)
    if newest == 0 or _are_new(history, prices, period_days, trial_days):
        fresh = (Terms(newest + 1, price, period_days, trial_days) for price in prices.values())
        return (*(replace(terms, retired=True) for terms in history), *fresh)
    kept = [
        replace(terms, retired=True) if terms.version == newest and terms.currency not in prices else terms
        for terms in history
    ]
    there = {terms.currency for terms in history if terms.version == newest}
    added = (
        Terms(newest, price, period_days, trial_days) for currency, price in prices.items() if currency not in there
    )
    return (*kept, *added)


def _are_new(history: Sequence[Terms], prices: Mapping[str, Money], period_days: int | None, trial_days: int) -> bool:
    newest = current_version(history)
    for terms in history:
        if terms.version != newest:
            continue
        wanted = prices.get(terms.currency)
        if (terms.period_days, terms.trial_days) != (period_days, trial_days):
            return True
        # What was taken off sale at the gateway does not come back; selling it again takes a plan of its own there.
        if wanted is not None and (wanted != terms.price or terms.retired or terms.gateway_archived):
            return True
    return False


def gateway_steps(plan_code: str, history: Iterable[Terms], *, for_sale: bool) -> list[GatewayStep]:
    """What the gateway lacks, and what it still sells that we do not. `for_sale` is False for archived and free plans.

    What is made comes first: between the two steps there are two ways to buy, never none.
    """
    create, archive = [], []
    for terms in history:
        ref = PriceRef(plan_code, terms.version, terms.currency)
        offered = for_sale and not terms.retired
        if offered and terms.whop_plan_id is None:
            create.append(GatewayStep("create", ref, terms.price))
        elif not offered and terms.whop_plan_id is not None and not terms.gateway_archived:
            archive.append(GatewayStep("archive", ref, terms.price))
    return create + archive
