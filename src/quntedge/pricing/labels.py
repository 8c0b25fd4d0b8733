"""How the lines of a price are said, in English and French. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.numbers import format_percent

from quntedge.kit.dates import SHORT, at_home, day
from quntedge.pricing.rules import WHOLE_BP, Label, Line

UTC = ZoneInfo("UTC")

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "plan": "{name}, {start} to {end}",
        "plan_once": "{name}, once and for all",
        "payment": "Payment",
        "surcharge": "Further charges",
        "discount": "Discount",
        "refund": "Refund",
        "trial": "{name}: free trial until {end}",
        "unused_time": "Unused time on {name}, {start} to {end}",
        "promotion": "{name}: {share} off",
        "promotion_amount": "{name}",
        "stay_offer": "Offer to stay: {share} off",
        "stay_offer_amount": "Offer to stay",
        "below_smallest_charge": "Too little to be charged: on us",
        "tax": "Tax ({share})",
    },
    "fr": {
        "plan": "{name}, du {start} au {end}",
        "plan_once": "{name}, une fois pour toutes",
        "payment": "Paiement",
        "surcharge": "Autres frais",
        "discount": "Remise",
        "refund": "Remboursement",
        "trial": "{name}\u00a0: essai gratuit jusqu’au {end}",
        "unused_time": "Temps non utilisé sur {name}, du {start} au {end}",
        "promotion": "{name}\u00a0: {share} de remise",
        "promotion_amount": "{name}",
        "stay_offer": "Offre de fidélité\u00a0: {share} de remise",
        "stay_offer_amount": "Offre de fidélité",
        "below_smallest_charge": "Trop peu pour être débité\u00a0: offert",
        "tax": "Taxe ({share})",
    },
}


def line_text(line: Line, locale: str = "en", zone: ZoneInfo = UTC) -> str:
    """What a line says, without its amount. A locale we do not speak is answered in English; the days are those of
    `zone`."""
    language = "fr" if locale.lower().startswith("fr") else "en"
    key = line.label.value
    if line.label is Label.PLAN and line.period_end is None:
        key = "plan_once"
    if line.label in (Label.PROMOTION, Label.STAY_OFFER) and line.percent_bp is None:
        key += "_amount"
    return _TEXTS[language][key].format(
        name=line.name,
        start=_date(line.period_start, language, zone),
        end=_date(line.period_end, language, zone),
        share=share_text(line.percent_bp, language),
    )


def share_text(basis_points: int | None, language: str = "en") -> str:
    """A share as people write it ("12.5%", "12,5 %"); nothing for none."""
    if basis_points is None:
        return ""
    decimals = 0 if basis_points % 100 == 0 else 1 if basis_points % 10 == 0 else 2
    pattern = "#,##0." + "0" * decimals + "%" if decimals else "#,##0%"
    if language == "fr":
        pattern = pattern.replace("%", "\u202f%")
    # Exact: basis points have two decimals of a percent, and so has the pattern.
    return str(format_percent(Decimal(basis_points) / WHOLE_BP, format=pattern, locale=language))


def _date(moment: datetime | None, language: str, zone: ZoneInfo) -> str:
    return "" if moment is None else day(at_home(moment, zone), language, SHORT)
