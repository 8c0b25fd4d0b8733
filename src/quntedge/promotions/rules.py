"""What a promotion is, who may use it, and how a typed code is read. Pure."""

import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quntedge.kit.errors import FieldError
from quntedge.kit.money import Money
from quntedge.pricing.rules import WHOLE_BP, Discount
from quntedge.promotions.errors import (
    InvalidPromotion,
    PromotionCodeMalformed,
    PromotionExpired,
    PromotionFirstPurchaseOnly,
    PromotionNotForCurrency,
    PromotionNotForPlan,
    PromotionNotStarted,
    PromotionUsedByCustomer,
    PromotionUsedUp,
)

HOLD = timedelta(hours=2)
"""How long a checkout may hold a use of a promotion. Others may be waiting for the last one."""
MOST_USES = 1_000_000_000
MOST_PERIODS = 120
MOST_CODES_AT_ONCE = 10_000
MOST_OFF_MINOR = 100_000_000_00
"""Far above any price, in minor units: what is more is a slip of the keyboard, or units mixed up."""
LONGEST_NAME = 60
_LONGEST_TYPED = 200
_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{2,39}")
_SLUG = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RESERVED = frozenset({"report", "sync"})
"""Words that follow /api/admin/promotions/ already."""
# Without characters that are read as one another.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_CHARACTERS = 10


def normal_code(typed: str) -> str:
    """The one form of a code, whatever way it was typed: upper case, plain letters and digits, no blanks.

    Full-width letters and digits, blanks (also inside) and invisible characters come from keyboards and copying, not
    from intent, so they make no difference. Raises `PromotionCodeMalformed` for what cannot be a code.
    """
    plain = unicodedata.normalize("NFKC", typed[:_LONGEST_TYPED])
    kept = "".join(c for c in plain if not c.isspace() and unicodedata.category(c) not in ("Cf", "Cc"))
    code = kept.upper() if kept.isascii() and len(typed) <= _LONGEST_TYPED else ""
    if not _CODE.fullmatch(code):
        raise PromotionCodeMalformed(
            "A promotion code has 3 to 40 letters, digits, hyphens and underscores. Check what you typed."
        )
    return code


def random_code(prefix: str) -> str:
    """A code that nobody guesses: 30¹⁰ possibilities behind the prefix."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
    return f"{prefix}-{tail}" if prefix else tail


@dataclass(frozen=True, slots=True)
class PromotionSpec:
    """A promotion as somebody wants it. Exactly one of `percent_bp` and `amounts` (by currency) says what comes off.

    `periods` is the number of charges it lowers, None all of them; `plans` are codes of plans, None every plan.
    """

    code: str
    name: str
    percent_bp: int | None = None
    amounts: Mapping[str, Money] = field(default_factory=dict)
    periods: int | None = 1
    plans: tuple[str, ...] | None = None
    first_purchase_only: bool = False
    max_uses: int | None = None
    max_per_customer: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    at_whop: bool = False


def check_spec(spec: PromotionSpec) -> None:
    """Raises `InvalidPromotion` with everything that is wrong with a promotion."""
    found = list(_problems(spec))
    if found:
        raise InvalidPromotion(found[0]["message"] if len(found) == 1 else "", errors=found)


def _problems(spec: PromotionSpec) -> Iterator[FieldError]:
    if spec.code in _RESERVED:
        yield _error("code", "This name means something else; choose another one.")
    if not _SLUG.fullmatch(spec.code):
        yield _error("code", "Use 1 to 40 lower-case letters, digits and _, letter first.")
    if not spec.name.strip() or len(spec.name) > LONGEST_NAME or not spec.name.isprintable():
        yield _error("name", f"Write 1 to {LONGEST_NAME} printable characters.")
    if spec.percent_bp is None and not spec.amounts:
        yield _error("percent_bp", "Give either a percentage or amounts.")
    if spec.percent_bp is not None and spec.amounts:
        yield _error("percent_bp", "Give either a percentage or amounts, not both.")
    if spec.percent_bp is not None and not 1 <= spec.percent_bp <= WHOLE_BP:
        yield _error("percent_bp", "A percentage is 1 to 10,000 basis points: 0.01 % to 100 %.")
    if any(amount.amount_minor <= 0 or amount.currency != code for code, amount in spec.amounts.items()):
        yield _error("amounts", "Every amount is more than zero, in the currency it stands under.")
    if any(amount.amount_minor > MOST_OFF_MINOR for amount in spec.amounts.values()):
        yield _error("amounts", f"An amount is at most {MOST_OFF_MINOR:,} minor units.")
    if spec.periods is not None and not 1 <= spec.periods <= MOST_PERIODS:
        yield _error("periods", f"It lowers 1 to {MOST_PERIODS} charges; leave it out for all of them.")
    if spec.plans is not None and not spec.plans:
        yield _error("plans", "Name a plan, or leave it out for every plan.")
    for name, limit in (("max_uses", spec.max_uses), ("max_per_customer", spec.max_per_customer)):
        if limit is not None and not 1 <= limit <= MOST_USES:
            yield _error(name, f"A limit is 1 to {MOST_USES:,}; leave it out for none.")
    if spec.starts_at is not None and spec.ends_at is not None and spec.starts_at >= spec.ends_at:
        yield _error("ends_at", "The end lies after the start.")
    if spec.at_whop:
        yield from _problems_at_whop(spec)


def _problems_at_whop(spec: PromotionSpec) -> Iterator[FieldError]:
    """At the gateway nobody asks us, so nothing can be promised there that only we could keep."""
    if spec.max_uses is not None or spec.max_per_customer is not None or spec.first_purchase_only:
        yield _error("at_whop", "A promotion with limits cannot be offered at Whop: only our checkout keeps them.")
    if len(spec.amounts) > 1:
        yield _error("at_whop", "At Whop a code has one currency; give one amount, or a percentage.")
    if spec.starts_at is not None:
        yield _error("at_whop", "At Whop a code begins when it is made; leave the start out.")


def _error(name: str, message: str) -> FieldError:
    return {"field": name, "message": message}


@dataclass(frozen=True, slots=True)
class Terms:
    """A promotion as it stands. `plans` are ids and codes of plans; None is every plan."""

    id: str
    code: str
    name: str
    version: int
    percent_bp: int | None
    amounts: Mapping[str, Money]
    periods: int | None
    plans: Mapping[str, str] | None
    first_purchase_only: bool
    max_uses: int | None
    max_per_customer: int | None
    uses: int
    starts_at: datetime | None
    ends_at: datetime | None
    archived: bool


@dataclass(frozen=True, slots=True)
class CodeState:
    """A code as it stands."""

    id: str
    code: str
    max_uses: int | None
    uses: int
    archived: bool


@dataclass(frozen=True, slots=True)
class Purchase:
    """What somebody wants to buy with a code."""

    plan_id: str
    plan_name: str
    price: Money


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who wants to buy: whether they have had a subscription before, and how often they used the promotion."""

    bought_before: bool
    uses: int


def check(terms: Terms, code: CodeState, purchase: Purchase, buyer: Buyer | None, now: datetime) -> Discount:
    """What a code takes off a purchase. Without a buyer (a guest) nothing about them is checked.

    Raises `PromotionExpired`, `PromotionNotStarted`, `PromotionNotForPlan`, `PromotionNotForCurrency`,
    `PromotionUsedUp`, `PromotionFirstPurchaseOnly` or `PromotionUsedByCustomer`.
    """
    _check_window(terms, code, now)
    discount = _discount(terms, code, purchase)
    if _is_full(terms.uses, terms.max_uses) or _is_full(code.uses, code.max_uses):
        raise PromotionUsedUp(
            "All uses of this code are taken. One that somebody else holds comes back if they do not pay within "
            "two hours; try again then."
        )
    if buyer is not None:
        _check_buyer(terms, buyer)
    return discount


def _check_window(terms: Terms, code: CodeState, now: datetime) -> None:
    if terms.archived or code.archived or (terms.ends_at is not None and terms.ends_at <= now):
        raise PromotionExpired("This code is not valid any more.")
    if terms.starts_at is not None and now < terms.starts_at:
        raise PromotionNotStarted(
            f"This code is valid from {terms.starts_at:%Y-%m-%d %H:%M} UTC.",
            extra={"starts_at": terms.starts_at.isoformat()},
        )


def _discount(terms: Terms, code: CodeState, purchase: Purchase) -> Discount:
    if terms.plans is not None and purchase.plan_id not in terms.plans:
        raise PromotionNotForPlan(
            f"This code is not for {purchase.plan_name}.", extra={"plans": sorted(terms.plans.values())}
        )
    currency = purchase.price.currency
    amount = terms.amounts.get(currency)
    if terms.percent_bp is None and amount is None:
        raise PromotionNotForCurrency(
            f"This code takes nothing off prices in {currency.upper()}.", extra={"currencies": sorted(terms.amounts)}
        )
    discount = Discount(code.code, terms.percent_bp, amount, terms.periods)
    if not discount.off(purchase.price):
        raise PromotionNotForPlan(f"This code takes nothing off the price of {purchase.plan_name}.")
    return discount


def _check_buyer(terms: Terms, buyer: Buyer) -> None:
    if terms.first_purchase_only and buyer.bought_before:
        raise PromotionFirstPurchaseOnly("This code is for new customers, and you have bought before.")
    # A first purchase is made once: who holds a use in another checkout could pay both.
    if _is_full(buyer.uses, 1 if terms.first_purchase_only else terms.max_per_customer):
        raise PromotionUsedByCustomer("You have used this promotion as often as one customer may.")


def _is_full(uses: int, limit: int | None) -> bool:
    return limit is not None and uses >= limit
