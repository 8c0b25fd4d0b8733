"""What newly numbered invoices say: lines, language, parties. All of a batch at once, with as few queries as can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select, text

from quntedge.invoices.lines import Amounts, Line, invoice_lines, paid_period, parts_of
from quntedge.invoices.profiles import BillingProfiles
from quntedge.invoices.words import labels, language_of, words
from quntedge.kit.money import Money
from quntedge.plan_changes.lines import Line as ChangeLine
from quntedge.plan_changes.lines import LineKind, line_text
from quntedge.plan_changes.models import PlanChange
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork

# Everything by primary key: once for each invoice, whatever the size of the tables.
_CONTEXT = text(
    """
    SELECT w.invoice_id, u.locale, b.id AS profile_id, t.tax_behavior, t.whop_payment_id, t.whop_membership_id,
           p.name AS plan_name, s.period_start, s.period_end, c.period_days
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
        connection = await unit.connection()
        found = {row.invoice_id: row for row in await connection.execute(_CONTEXT, _arrays(rows))}
        without = {row["user_id"] for row in rows if found[row["id"]].profile_id is None}
        made = await self._profiles.ensure(unit, without)
        amounts = {row["id"]: _amounts(row, found[row["id"]]) for row in rows}
        changes = await _changes(unit, [found[key] for key, value in amounts.items() if _is_reduced(value)])
        drafts = {}
        for row in rows:
            context = found[row["id"]]
            language = language_of(context.locale)
            drafts[row["id"]] = Draft(
                lines=self._lines(row, context, amounts[row["id"]], changes.get(row["id"]), language),
                language=language,
                profile_id=context.profile_id or made[row["user_id"]],
            )
        return drafts

    def _lines(
        self, row: Mapping[str, Any], context: Row[Any], amounts: Amounts, change: PlanChange | None, language: str
    ) -> tuple[Line, ...]:
        plan_id, period = row["plan_id"], _NO_PERIOD
        if plan_id is not None:
            period = paid_period(
                row["paid_at"] or row["issued_at"], context.period_start, context.period_end, context.period_days
            )
        deduction = None if change is None else _unused_time(change, language)
        return invoice_lines(
            amounts,
            labels(language, context.plan_name, deduction, self._country),
            plan_id=plan_id,
            period=period,
            prorated=change is not None,
        )


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


def _amounts(row: Mapping[str, Any], context: Row[Any]) -> Amounts:
    currency = row["currency"]

    def money(minor: int | None) -> Money | None:
        return None if minor is None else Money(minor, currency)

    return Amounts(
        total=Money(row["total_minor"], currency),
        subtotal=money(row["subtotal_minor"]),
        tax=money(row["tax_minor"]),
        tax_behavior=context.tax_behavior,
    )


def _is_reduced(amounts: Amounts) -> bool:
    deduction = parts_of(amounts).deduction
    return deduction < Money.zero(deduction.currency)


async def _changes(unit: UnitOfWork, reduced: Sequence[Row[Any]]) -> dict[str, PlanChange]:
    """The changes of plan that payments with something taken off were made for, by invoice id."""
    payments = {row.whop_payment_id for row in reduced if row.whop_payment_id}
    memberships = {row.whop_membership_id for row in reduced if row.whop_membership_id}
    if not payments and not memberships:
        return {}
    found = await unit.session.scalars(
        select(PlanChange)
        .where(
            or_(PlanChange.whop_payment_id.in_(payments), PlanChange.new_membership_id.in_(memberships)),
            PlanChange.credit_minor > 0,
        )
        .order_by(PlanChange.created_at)
    )
    by_payment: dict[str, PlanChange] = {}
    by_membership: dict[str, PlanChange] = {}
    for change in found:
        if change.whop_payment_id is not None:
            by_payment[change.whop_payment_id] = change
        elif change.new_membership_id is not None:
            # The charge is known by its membership before it is known by its payment; a later one is a renewal.
            by_membership.setdefault(change.new_membership_id, change)
    changes = {
        row.invoice_id: by_payment.get(row.whop_payment_id or "") or by_membership.get(row.whop_membership_id or "")
        for row in reduced
    }
    return {invoice_id: change for invoice_id, change in changes.items() if change is not None}


def _unused_time(change: PlanChange, language: str) -> str:
    """What a change took off, as its customer was told."""
    for members in change.lines:
        line = ChangeLine.from_json(members)
        if line.kind is LineKind.UNUSED_TIME:
            return line_text(line, language)
    return words(language)["proration"]
