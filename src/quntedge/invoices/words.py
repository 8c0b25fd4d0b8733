"""The words of invoices and credit notes, English and French."""

from collections.abc import Mapping
from types import MappingProxyType

from quntedge.invoices.vat import EUROPEAN

LANGUAGES = ("en", "fr")
# Where the tax on what is sold is a value added tax by name.
_VAT_COUNTRIES = EUROPEAN | {"GB", "NO", "CH"}

_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "invoice": "Invoice",
            "credit_note": "Credit note",
            "cancellation": "Cancellation of a credit note",
            "number": "Number",
            "issued": "Date",
            "paid": "Paid",
            "payment": "Payment reference",
            "from": "From",
            "to": "To",
            "vat_id": "VAT number {number}",
            "description": "Description",
            "amount": "Amount",
            "net": "Total without tax",
            "total": "Total",
            "total_credit": "Total credited",
            "total_cancelled": "Credit cancelled",
            "paid_in_full": "Paid in full on {date}. Nothing is due.",
            "corrects": "This credit note corrects invoice {number} of {date}.",
            "cancels": "The refund did not go through. This document cancels credit note {credit_number}: invoice "
            "{number} of {date} stands again by this amount, which has been paid.",
            "reverse_charge": "Reverse charge: VAT is to be accounted for by the recipient.",
            "untaxed": "No tax is charged.",
            "page": "Page {page} of {pages}",
            "tax": "Tax",
            "vat": "VAT",
            "customer": "Customer {id}",
            "refund": "Refund for invoice {number}",
            "refund_failed": "Refund for invoice {number} that failed",
            "subject_invoice": "Invoice {number}",
            "subject_credit_note": "Credit note {number}",
        },
        "fr": {
            "invoice": "Facture",
            "credit_note": "Avoir",
            "cancellation": "Annulation d’un avoir",
            "number": "Numéro",
            "issued": "Date",
            "paid": "Payée le",
            "payment": "Référence du paiement",
            "from": "Vendeur",
            "to": "Client",
            "vat_id": "N° de TVA {number}",
            "description": "Désignation",
            "amount": "Montant",
            "net": "Total hors taxe",
            "total": "Total",
            "total_credit": "Total de l’avoir",
            "total_cancelled": "Avoir annulé",
            "paid_in_full": "Payée intégralement le {date}. Aucun montant n’est dû.",
            "corrects": "Cet avoir corrige la facture {number} du {date}.",
            "cancels": "Le remboursement n’a pas abouti. Ce document annule l’avoir {credit_number} : la facture "
            "{number} du {date} vaut de nouveau pour ce montant, qui a déjà été payé.",
            "reverse_charge": "Autoliquidation : la TVA est due par le preneur.",
            "untaxed": "Aucune taxe n’est facturée.",
            "page": "Page {page} sur {pages}",
            "tax": "Taxe",
            "vat": "TVA",
            "customer": "Client {id}",
            "refund": "Remboursement de la facture {number}",
            "refund_failed": "Remboursement non abouti de la facture {number}",
            "subject_invoice": "Facture {number}",
            "subject_credit_note": "Avoir {number}",
        },
    }
)


def language_of(locale: str | None) -> str:
    """The language documents are written in for somebody with this locale."""
    wanted = (locale or "").replace("-", "_").partition("_")[0].lower()
    return wanted if wanted in LANGUAGES else "en"


def words(language: str) -> Mapping[str, str]:
    """The words of a language, one of `LANGUAGES`."""
    return _WORDS[language]


def tax_word(language: str, seller_country: str | None) -> str:
    """What tax is called where the seller is."""
    return _WORDS[language]["vat" if seller_country in _VAT_COUNTRIES else "tax"]
