"""Why a bank disputes a payment, in words for staff."""

from collections.abc import Mapping

_FRENCH: Mapping[str, str] = {
    "fraudulent": "fraude",
    "unrecognized": "paiement non reconnu",
    "declined_authorization": "autorisation refusée",
    "product_not_received": "produit non reçu",
    "product_unacceptable": "produit non conforme",
    "subscription_canceled": "abonnement résilié",
    "credit_not_processed": "remboursement non effectué",
    "duplicate": "paiement en double",
    "processing_error": "erreur de traitement",
    "documentation_request": "demande de justificatifs",
    "bank_cannot_process": "traitement impossible par la banque",
    "other": "autre motif",
}


def reason_words(reason: str | None, language: str) -> str | None:
    """The reason in this language; Whop's own word where a release does not know it, None where there is none."""
    if not reason:
        return None
    plain = "".join(character for character in reason if character.isalnum() or character == "_").replace("_", " ")
    return _FRENCH.get(reason, plain) if language == "fr" else plain
