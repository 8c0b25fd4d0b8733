"""Who may buy what, how long a purchase may take, and what a failed payment means to the buyer. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from quntedge.kit.errors import Conflict, Gone, NotFound, Unavailable

INTENT_LIFETIME = timedelta(hours=24)
DOUBLE_CLICK = timedelta(seconds=60)

UNDECIDED = ("created", "open", "unknown")
"""States in which a purchase can still go either way."""


class PlanNotFound(NotFound):
    """No plan with this code is for sale."""

    code = "plan_not_found"
    title = "There is no such plan"


class PlanIsFree(Conflict):
    """The free plan is everybody's and cannot be bought."""

    code = "plan_is_free"
    title = "This plan is free"


class CurrencyNotOffered(Conflict):
    """The plan is for sale, but not in this currency. `currencies` in the problem lists those it is sold in."""

    code = "currency_not_offered"
    title = "This plan is not sold in this currency"


class PlanUnavailable(Unavailable):
    """The plan is for sale, but the gateway does not know it yet."""

    code = "plan_unavailable"
    title = "This plan cannot be bought at the moment"


class AlreadySubscribed(Conflict):
    """The customer has a live subscription; a second one would charge them twice."""

    code = "already_subscribed"
    title = "You have a subscription already"


class CheckoutNotFound(NotFound):
    """No checkout of this customer has this id."""

    code = "checkout_not_found"
    title = "There is no such checkout"


class CheckoutInProgress(Conflict):
    """The same purchase is being opened at this moment by another request. `checkout_id` in the problem names it."""

    code = "checkout_in_progress"
    title = "This purchase is being opened already"


class CheckoutExpired(Gone):
    """The checkout was not paid in time, or another purchase has taken its place."""

    code = "checkout_expired"
    title = "This checkout has expired"


class CheckoutUnavailable(Unavailable):
    """The gateway did not answer clearly. Repeating the request with the same Idempotency-Key is safe."""

    code = "checkout_unavailable"
    title = "The checkout could not be opened"


@dataclass(frozen=True, slots=True)
class Offer:
    """What matters about a plan to somebody who wants to buy it, in `currency` (None: in whichever is usual)."""

    code: str
    name: str
    free: bool
    archived: bool
    known_to_gateway: bool
    currencies: tuple[str, ...] = ()
    currency: str | None = None


def check_purchase(plan_code: str, offer: Offer | None, live_plan_name: str | None) -> None:
    """Refuses what may not be bought. `live_plan_name` is the plan of the buyer's live subscription, if any.

    Raises `PlanNotFound`, `PlanIsFree`, `CurrencyNotOffered`, `AlreadySubscribed` or `PlanUnavailable`.
    """
    if offer is None or offer.archived:
        raise PlanNotFound("There is no such plan for sale. GET /api/subscription/plans lists those that are.")
    if offer.free:
        raise PlanIsFree(f"{offer.name} costs nothing: you have it without buying it.")
    if offer.currency is not None and offer.currency not in offer.currencies:
        known = ", ".join(offer.currencies)
        raise CurrencyNotOffered(
            f"{offer.name} is not sold in {offer.currency!r}. It is sold in: {known}.",
            extra={"currencies": list(offer.currencies)},
        )
    if live_plan_name is not None:
        raise AlreadySubscribed(
            f"You have the {live_plan_name} subscription already. It has to end before you can buy another one, so "
            "that you are never charged twice."
        )
    if not offer.known_to_gateway:
        raise PlanUnavailable(f"{offer.name} is not set up at the payment provider yet. Please try again later.")


def shown_state(state: str, expires_at: datetime, now: datetime) -> str:
    """The state to tell: what was left unpaid for too long has expired even before somebody has tidied up."""
    return "expired" if state in UNDECIDED and expires_at <= now else state


_FAILURES = {
    "en": {
        "soft": "Your bank did not accept the payment this time. Try again, or use another card.",
        "customer_must_act": "Your bank wants you to confirm the payment. Try again and follow its instructions.",
        "needs_another_method": "This card cannot be used for this payment. Try another card.",
        "hard": "Your bank declined the payment. Use another card, or ask your bank.",
        "gateway_rejected": "The payment provider refused to open this purchase. Nothing was charged.",
        "": "The payment did not succeed. Nothing was charged; try again, or use another card.",
    },
    "fr": {
        "soft": "Votre banque n’a pas accepté le paiement cette fois-ci. Réessayez ou utilisez une autre carte.",
        "customer_must_act": "Votre banque demande une confirmation. Réessayez et suivez ses instructions.",
        "needs_another_method": "Cette carte ne convient pas pour ce paiement. Essayez une autre carte.",
        "hard": "Votre banque a refusé le paiement. Utilisez une autre carte ou contactez votre banque.",
        "gateway_rejected": "Le prestataire de paiement a refusé d’ouvrir cet achat. Rien n’a été débité.",
        "": "Le paiement n’a pas abouti. Rien n’a été débité ; réessayez ou utilisez une autre carte.",
    },
}


def failure_text(failure: str, locale: str = "en") -> str:
    """What to tell the buyer about a failure, which is kept as a stable word so that every language can tell it."""
    texts = _FAILURES.get(locale, _FAILURES["en"])
    return texts.get(failure, texts[""])
