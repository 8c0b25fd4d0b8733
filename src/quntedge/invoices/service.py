"""InvoiceService: our invoices, made from payments; explicit Whop invoices are merged in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update

from quntedge.disputes.events import DisputeMoved
from quntedge.disputes.rules import WON, is_lost
from quntedge.gateway.port import InvoiceSnapshot, InvoiceStatus
from quntedge.invoices import rules
from quntedge.invoices.completing import Completer
from quntedge.invoices.credit_notes import CreditNotes
from quntedge.invoices.drafting import Drafter
from quntedge.invoices.entities import LegalEntities
from quntedge.invoices.events import InvoicePaid
from quntedge.invoices.logo import Logo
from quntedge.invoices.models import Invoice
from quntedge.invoices.numbering import next_numbers, series_for
from quntedge.invoices.parties import Seller
from quntedge.invoices.profiles import BillingProfiles
from quntedge.invoices.writing import line_rows, write_lines
from quntedge.kit.ids import new_id
from quntedge.payments.events import PaymentRecorded
from quntedge.storage.rows import Texts, among, insert_rows, update_rows
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class ObservedInvoice:
    """An explicit Whop invoice as somebody told us about it. `payment_failed`: the event's name said so."""

    snapshot: InvoiceSnapshot
    cause: str
    payment_failed: bool = False
    from_gateway: bool = False


@dataclass(frozen=True, slots=True)
class InvoiceLink:
    """Whose invoice it is."""

    user_id: str
    subscription_id: str | None = None
    plan_id: str | None = None


_LOCKED = select(Invoice.__table__).order_by(Invoice.id).with_for_update()
_OF_PAYMENTS = _LOCKED.where(among(Invoice.whop_payment_id, "payments"))
_OF_EITHER = _LOCKED.where(among(Invoice.whop_invoice_id, "invoices") | among(Invoice.whop_payment_id, "payments"))

FindInvoiceLinks = Callable[[UnitOfWork, Sequence[InvoiceSnapshot]], Awaitable[Mapping[str, InvoiceLink]]]


class InvoiceService:
    """Keeps invoices in step with payments. Numbers are given in the transaction that makes an invoice paid."""

    def __init__(self, vault: Vault, seller: Seller, logo: Logo | None = None) -> None:
        self.profiles = BillingProfiles(vault)
        self._entities = LegalEntities(seller, logo)
        self._drafter = Drafter(self.profiles, seller.country)
        self.completer = Completer(self._drafter, self._entities)
        self.credit_notes = CreditNotes(self.completer)

    async def on_payments_recorded(self, unit: UnitOfWork, facts: Sequence[PaymentRecorded]) -> None:
        """Subscriber: makes or updates the invoice of each payment; the last word about a payment counts."""
        latest = {fact.whop_payment_id: fact for fact in facts}
        billed = {key: f for key, f in latest.items() if rules.needs_invoice(f.status, f.total_minor)}
        if not billed:
            return
        held = {row.whop_payment_id: row for row in await unit.fetch(_OF_PAYMENTS, {"payments": Texts(billed)})}
        now = unit.clock.now()
        rows = [_from_payment(fact, held.get(key), now) for key, fact in billed.items()]
        reasons = {key: fact.billing_reason for key, fact in billed.items()}
        await self._number_and_write(unit, rows, reasons)

    async def void_unpaid(self, unit: UnitOfWork, subscription_ids: Sequence[str]) -> None:
        """Voids what was never paid of subscriptions that have ended: nobody will collect it any more."""
        await unit.session.execute(
            update(Invoice)
            .where(
                Invoice.subscription_id.in_(subscription_ids),
                Invoice.status.in_(("open", "payment_failed", "past_due")),
                Invoice.number.is_(None),
            )
            .values(status="void", updated_at=unit.clock.now())
            .execution_options(synchronize_session=False)
        )

    async def on_dispute_moved(self, unit: UnitOfWork, facts: Sequence[DisputeMoved]) -> None:
        """Subscriber: marks the invoice of a disputed payment. An inquiry moves no money and leaves no mark."""
        moved = {fact.transaction_id: _dispute_status(fact) for fact in facts if not fact.inquiry}
        for transaction_id, status in sorted(moved.items()):
            await unit.session.execute(
                update(Invoice)
                .where(Invoice.transaction_id == transaction_id)
                .values(dispute_status=status, updated_at=unit.clock.now())
                .execution_options(synchronize_session=False)
            )

    async def apply(
        self, unit: UnitOfWork, observed: Sequence[ObservedInvoice], find_links: FindInvoiceLinks
    ) -> list[str]:
        """Applies explicit Whop invoices. One that belongs to a payment is merged into that payment's invoice."""
        if not observed:
            return []
        connection = await unit.connection()
        ids = {item.snapshot.invoice_id for item in observed}
        payments = {item.snapshot.payment_id for item in observed if item.snapshot.payment_id}
        found = await connection.execute(_OF_EITHER, {"invoices": list(ids), "payments": list(payments)})
        held = _Held(found.all())
        unknown = [item.snapshot for item in observed if held.of(item.snapshot) is None]
        links = await find_links(unit, unknown) if unknown else {}
        verdicts: list[str] = []
        rows: dict[str, dict[str, Any]] = {}
        merged: list[str] = []
        for item in observed:
            kept, spare = held.of(item.snapshot), held.spare(item.snapshot)
            verdict, row = _from_gateway(item, kept, links.get(item.snapshot.invoice_id), unit)
            verdicts.append(verdict)
            if row is not None:
                rows[item.snapshot.invoice_id] = row
                if spare is not None:
                    merged.append(spare.id)
        # Two rows turn out to be one invoice; the spare one never had a number. First it goes, then its ids move over.
        await connection.execute(delete(Invoice).where(Invoice.id.in_(merged), Invoice.number.is_(None)))
        await self._number_and_write(unit, list(rows.values()), {})
        return verdicts

    async def _number_and_write(
        self, unit: UnitOfWork, rows: list[dict[str, Any]], reasons: Mapping[str, str | None]
    ) -> None:
        """Gives numbers to what is newly settled, in the order of payment, then writes everything."""
        due = [row for row in rows if row["number"] is None and row["status"] in rules.SETTLED]
        due.sort(key=lambda row: (row["paid_at"], row["id"]))
        drafts = await self._drafter.draft(unit, due)
        entity_id = await self._entities.ensure(unit) if due else None
        series = [series_for(self._entities.seller, rules.INVOICES, row["paid_at"]) for row in due]
        # Everything else is ready: from here until the commit whoever has to number an invoice waits for us.
        for row, number in zip(due, await next_numbers(unit, series), strict=True):
            draft = drafts[row["id"]]
            row["number"] = str(number)
            row |= {"legal_entity_id": entity_id, "billing_profile_id": draft.profile_id, "locale": draft.language}
            unit.record(
                InvoicePaid(
                    invoice_id=row["id"],
                    number=row["number"],
                    user_id=row["user_id"],
                    subscription_id=row["subscription_id"],
                    transaction_id=row["transaction_id"],
                    plan_id=row["plan_id"],
                    currency=row["currency"],
                    total_minor=row["total_minor"],
                    billing_reason=reasons.get(row["whop_payment_id"]),
                    paid_at=row["paid_at"],
                )
            )
        created: list[dict[str, Any]] = []
        updated: list[dict[str, Any]] = []
        for row in rows:
            (created if row.pop("is_new") else updated).append(row)
        connection = await unit.driver_connection()
        await insert_rows(connection, Invoice.__table__, created)
        await update_rows(connection, Invoice.__table__, updated)
        await write_lines(connection, [line for row in due for line in line_rows(row["id"], drafts[row["id"]].lines)])
        await self.credit_notes.catch_up(unit, [row["transaction_id"] for row in due if row["refunded_minor"]])


def _dispute_status(fact: DisputeMoved) -> str:
    if is_lost(fact.status):
        return "lost"
    return "won" if fact.status == WON else "open"


class _Held:
    """Stored invoices, found by Whop's invoice id or by the payment they belong to."""

    def __init__(self, rows: Sequence[Row[Any]]) -> None:
        self._by_invoice = {row.whop_invoice_id: row for row in rows if row.whop_invoice_id}
        self._by_payment = {row.whop_payment_id: row for row in rows if row.whop_payment_id}

    def of(self, snapshot: InvoiceSnapshot) -> Row[Any] | None:
        """The stored invoice this snapshot is about: of two, the numbered one, else the one of the payment."""
        explicit, paid = self._both(snapshot)
        if explicit is None or paid is None:
            return explicit or paid
        return explicit if explicit.number is not None and paid.number is None else paid

    def spare(self, snapshot: InvoiceSnapshot) -> Row[Any] | None:
        """The other one, when the explicit invoice and that of its payment were made apart."""
        explicit, paid = self._both(snapshot)
        if explicit is None or paid is None or explicit.id == paid.id:
            return None
        return paid if self.of(snapshot) is explicit else explicit

    def _both(self, snapshot: InvoiceSnapshot) -> tuple[Row[Any] | None, Row[Any] | None]:
        paid = self._by_payment.get(snapshot.payment_id) if snapshot.payment_id is not None else None
        return self._by_invoice.get(snapshot.invoice_id), paid


_COLUMNS = tuple(column.name for column in Invoice.__table__.columns)


def _blank(user_id: str, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    return row | {
        "is_new": True,
        "id": new_id("inv", now),
        "user_id": user_id,
        "refunded_minor": 0,
        "credited_minor": 0,
        "attempts_failed": 0,
        "created_at": now,
        "updated_at": now,
    }


def _copy(held: Row[Any], now: datetime) -> dict[str, Any]:
    return {name: getattr(held, name) for name in _COLUMNS} | {"is_new": False, "updated_at": now}


def _from_payment(fact: PaymentRecorded, held: Row[Any] | None, now: datetime) -> dict[str, Any]:
    row = _copy(held, now) if held is not None else _blank(fact.user_id, now)
    status = rules.status_from_payment(fact.status)
    if held is not None:
        status = rules.merged_status(held.status, status)
    settled = status in rules.SETTLED
    if row["number"] is None:
        # What an explicit invoice was taken to be about was found out by its customer; the payment knows.
        known = {"subscription_id": fact.subscription_id, "plan_id": fact.plan_id}
        row |= {name: value for name, value in known.items() if value is not None}
    row |= {
        "subscription_id": row["subscription_id"] or fact.subscription_id,
        "transaction_id": row["transaction_id"] or fact.transaction_id,
        "plan_id": row["plan_id"] or fact.plan_id,
        "whop_payment_id": fact.whop_payment_id,
        "status": status,
        "refunded_minor": fact.refunded_minor,
        "attempts_failed": fact.attempts_failed,
    }
    if row["number"] is not None:
        return row  # what it says is said for good
    return row | {
        "currency": fact.currency,
        "subtotal_minor": fact.subtotal_minor,
        "tax_minor": fact.tax_minor,
        "total_minor": fact.total_minor,
        "issued_at": row["issued_at"] or fact.occurred_at,
        "paid_at": (fact.paid_at or row["paid_at"] or fact.occurred_at) if settled else row["paid_at"],
    }


def _from_gateway(
    item: ObservedInvoice, held: Row[Any] | None, link: InvoiceLink | None, unit: UnitOfWork
) -> tuple[str, dict[str, Any] | None]:
    snapshot, now = item.snapshot, unit.clock.now()
    if snapshot.status is InvoiceStatus.UNKNOWN or (not item.from_gateway and snapshot.updated_at is None):
        return "reread", None
    if held is None and link is None:
        return "reread", None
    if held is not None and _is_older(snapshot, held):
        return "stale", None
    row = _copy(held, now) if held is not None else _blank(link.user_id if link else "", now)
    incoming = rules.status_from_gateway(snapshot.status.value, payment_failed=item.payment_failed)
    status = rules.merged_status(held.status, incoming) if held is not None else incoming
    total = snapshot.total
    if held is None and total is None:
        return "reread", None
    if status in rules.SETTLED and row["transaction_id"] is None and snapshot.payment_id and not item.from_gateway:
        # It gets its number for good, and its tax is told by the payment it names alone: that is to be known first.
        return "reread", None
    issued_at = snapshot.created_at or now
    row |= {
        "whop_invoice_id": snapshot.invoice_id,
        "whop_payment_id": row["whop_payment_id"] or snapshot.payment_id,
        "subscription_id": row["subscription_id"] or (link.subscription_id if link else None),
        "plan_id": row["plan_id"] or (link.plan_id if link else None),
        "status": status,
        "currency": row["currency"] or (total.currency if total else None),
        "total_minor": row["total_minor"] if row["total_minor"] is not None else (total.amount_minor if total else 0),
        "due_at": snapshot.due_at,
        "issued_at": row["issued_at"] or issued_at,
        "paid_at": row["paid_at"] or (snapshot.updated_at or now if status in rules.SETTLED else None),
        "gateway_updated_at": snapshot.updated_at,
    }
    return "applied", row


def _is_older(snapshot: InvoiceSnapshot, held: Row[Any]) -> bool:
    if snapshot.updated_at is None or held.gateway_updated_at is None:
        return False
    return bool(snapshot.updated_at < held.gateway_updated_at)
