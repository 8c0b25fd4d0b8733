"""Why a payment was declined, in words for customers. Never the bank's code: it means nothing to them, or too much."""

from collections.abc import Mapping
from types import MappingProxyType

from quntedge.notifications.rules import language
from quntedge.payments.rules import DeclineClass

LANGUAGES = ("en", "fr")

_REASONS: Mapping[str, Mapping[DeclineClass, str]] = MappingProxyType(
    {
        "en": {
            DeclineClass.SOFT: "Your bank declined it for now, for example because of the balance or a limit.",
            DeclineClass.ACT: "Your bank asks you to confirm the payment.",
            DeclineClass.NEW_METHOD: "The payment method is no longer accepted, for example because it has expired.",
            DeclineClass.HARD: "Your bank refused it for good, so another payment method is needed.",
        },
        "fr": {
            DeclineClass.SOFT: "Votre banque l’a refusé pour l’instant, par exemple à cause du solde ou du plafond.",
            DeclineClass.ACT: "Votre banque vous demande de confirmer le paiement.",
            DeclineClass.NEW_METHOD: "Le moyen de paiement n’est plus accepté, par exemple parce qu’il a expiré.",
            DeclineClass.HARD: "Votre banque l’a refusé définitivement : un autre moyen de paiement est nécessaire.",
        },
    }
)


def decline_reason(decline_class: str | None, language: str) -> str | None:
    """The reason as a sentence in this language (one of `LANGUAGES`), or None when the bank's answer does not say."""
    reasons = _REASONS[language]
    return next((words for known, words in reasons.items() if known.value == decline_class), None)


_UNKNOWN: Mapping[str, str] = {
    "en": "Your bank declined it without saying why.",
    "fr": "Votre banque l’a refusé sans dire pourquoi.",
}


def decline_words(decline_class: str | None, locale: str) -> str:
    """The reason as a sentence in the language of this locale, or that the bank has given none."""
    spoken = language(locale, LANGUAGES)
    return decline_reason(decline_class, spoken) or _UNKNOWN[spoken]
