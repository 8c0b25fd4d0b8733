"""What newly numbered invoices say: lines, language, parties. All of a batch at once, with as few queries as can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from quntedge.invoices.agreed import Agreed, Lowered, agreed
from quntedge.invoices.lines import Line, invoice_lines, paid_period
from quntedge.invoices.profiles import BillingProfiles
from quntedge.invoices.words import language_of, tax_word
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import INVOICE_DIFFERENCES
from quntedge.kit.money import Money
from quntedge.pricing.labels import line_text
from quntedge.pricing.rules import Label, LineKind, Price, sum_of
from quntedge.pricing.rules import Line as PriceLine
from quntedge.pricing.told import Told, differs, price_told, told
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork

log = get_logger(__name__)

# Everything by primary key: once for each invoice, whatever the size of the tables.
_CONTEXT = text(
    """
    SELECT w.invoice_id, u.locale, b.id AS profile_id, t.tax_behavior, t.whop_payment_id, t.whop_membership_id,
           t.whop_promo_code_id, p.name AS plan_name, s.period_start, s.period_end, c.period_days
      FROM unnest(CAST(:invoices AS text[]), CAST(:users AS text[]), CAST(:transactions AS text[]),
                  CAST(:subscriptions AS text[]), CAST(:plans AS text[]), CAST(:currencies AS text[]))
           AS w (invoice_id, user_id, transaction_id, subscription_id, plan_id, currency)
      JOIN app_user AS u ON u.id = w.user_id
      LEFT JOIN billing_profile AS b ON b.user_id = w.user_id AND b.current
      LEFT JOIN payment_transaction AS t ON t.id = w.transaction_id
      LEFT JOIN plan AS p ON p.id = w.plan_id
      LEFT JOIN subscription AS s ON s.id = w.subscription_id AND s.plan_id = w.plan_id
      LEFT JOIN plan_price AS c ON c.plan_id = w.plan_id AND c.version = s.plan_version AND c.currency = w.currency
    """
)


@dataclass(frozen=True, slots=True)
class Draft:
    """What an invoice is to say."""

    lines: tuple[Line, ...]
    language: str
    profile_id: str


class Drafter:
    """Writes invoices, short of their numbers."""

    def __init__(self, profiles: BillingProfiles, seller_country: str | None) -> None:
        self._profiles = profiles
        self._country = seller_country

    async def draft(self, unit: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> dict[str, Draft]:
        """What these invoices (rows by column name) say, by invoice id."""
        if not rows:
            return {}
        found = {row.invoice_id: row for row in await unit.fetch(_CONTEXT, _arrays(rows))}
        without = {row["user_id"] for row in rows if found[row["id"]].profile_id is None}
        made = await self._profiles.ensure(unit, without)
        charges = {row["id"]: _told(row, found[row["id"]]) for row in rows}
        lowered = [_lowered(row, found[row["id"]], charges[row["id"]]) for row in rows if charges[row["id"]].lowered]
        known = await agreed(unit, lowered)
        drafts = {}
        for row in rows:
            context = found[row["id"]]
            language = language_of(context.locale)
            drafts[row["id"]] = Draft(
                lines=self._lines(row, context, charges[row["id"]], known.get(row["id"]), language),
                language=language,
                profile_id=context.profile_id or made[row["user_id"]],
            )
        return drafts

    def _lines(
        self, row: Mapping[str, Any], context: Row[Any], charge: Told, known: Agreed | None, language: str
    ) -> tuple[Line, ...]:
        plan_id, period = row["plan_id"], _NO_PERIOD
        if plan_id is not None:
            period = paid_period(
                row["paid_at"] or row["issued_at"], context.period_start, context.period_end, context.period_days
            )
        if known is not None:
            _note_difference(row, charge, known)
        price = price_told(charge, _PLAN if plan_id else _PAYMENT, () if known is None else known.lines)
        texts = _texts(price, context.plan_name, known, language)
        return invoice_lines(price, texts, tax_word(language, self._country), plan_id=plan_id, period=period)


_NOTHING = Money.zero("usd")
"""Not read: what an item costs is told by the gateway."""
_PLAN = PriceLine(LineKind.PLAN, Label.PLAN, _NOTHING)
_PAYMENT = PriceLine(LineKind.ADJUSTMENT, Label.PAYMENT, _NOTHING)


def _texts(price: Price, plan_name: str | None, known: Agreed | None, language: str) -> list[str]:
    """What the lines of a price say but for its tax: what is sold, then what came off as it was agreed."""
    first, *rest = (line for line in price.lines if line.kind is not LineKind.TAX)
    texts = [plan_name or line_text(replace(first, label=Label.PAYMENT), language)]
    # Of agreed lines all are there, or the first one stands for all of them.
    said = () if known is None else known.texts[: len(rest)]
    return [*texts, *said, *(line_text(line, language) for line in rest[len(said) :])]


_NO_PERIOD: tuple[datetime | None, datetime | None] = (None, None)


def _arrays(rows: Sequence[Mapping[str, Any]]) -> dict[str, Texts]:
    names = {
        "invoices": "id",
        "users": "user_id",
        "transactions": "transaction_id",
        "subscriptions": "subscription_id",
        "plans": "plan_id",
        "currencies": "currency",
    }
    return {parameter: Texts(row[column] for row in rows) for parameter, column in names.items()}


def _told(row: Mapping[str, Any], context: Row[Any]) -> Told:
    return told(
        row["total_minor"],
        row["currency"],
        subtotal=row["subtotal_minor"],
        tax=row["tax_minor"],
        tax_behavior=context.tax_behavior,
    )


def _lowered(row: Mapping[str, Any], context: Row[Any], charge: Told) -> Lowered:
    return Lowered(
        row["id"],
        charge,
        language_of(context.locale),
        context.whop_payment_id,
        context.whop_membership_id,
        context.whop_promo_code_id,
    )


def _note_difference(row: Mapping[str, Any], charge: Told, known: Agreed) -> None:
    """The gateway's amount stands on the invoice; that it is not the agreed one is for people to look at."""
    if differs(charge, known.lines):
        INVOICE_DIFFERENCES.labels(known.by).inc()
        log.warning(
            "invoice.other_amount_than_agreed",
            invoice_id=row["id"],
            payment_id=row["whop_payment_id"],
            by=known.by,
            agreed_minor=sum_of(known.lines, row["currency"]).amount_minor,
            told_minor=charge.change.amount_minor,
        )
