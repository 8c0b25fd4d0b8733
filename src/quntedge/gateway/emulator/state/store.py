"""All objects of one emulator, in memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from quntedge.gateway.emulator.state.file_records import StoredFile
from quntedge.gateway.emulator.state.finance_records import Adjustment, ExchangeRate, Payout
from quntedge.gateway.emulator.state.money_records import Dispute, DisputeAlert, Quote, SetupIntent
from quntedge.gateway.emulator.state.people_records import (
    ApiKey,
    Application,
    Grant,
    RefreshToken,
    SignInCode,
    Transfer,
)
from quntedge.gateway.emulator.state.records import (
    Checkout,
    Delivery,
    Endpoint,
    Invoice,
    KeptAnswer,
    Member,
    Membership,
    Message,
    Method,
    Payment,
    Person,
    Plan,
    Product,
    Promo,
    Record,
    Refund,
)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(low + high for high in _ALPHABET for low in _ALPHABET)
_TICK = timedelta(microseconds=1)

R = TypeVar("R", bound=Record)


@dataclass(slots=True)
class Tables:
    """Everything that a snapshot keeps. Each table maps id to record, in order of creation."""

    ids_made: int = 0
    products: dict[str, Product] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    checkouts: dict[str, Checkout] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)
    memberships: dict[str, Membership] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    invoices: dict[str, Invoice] = field(default_factory=dict)
    promos: dict[str, Promo] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    dispute_alerts: dict[str, DisputeAlert] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    file_processing_seconds: int = 0
    """How long a file takes to become ready once its bytes have landed."""
    setup_intents: dict[str, SetupIntent] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    payouts: dict[str, Payout] = field(default_factory=dict)
    adjustments: dict[str, Adjustment] = field(default_factory=dict)
    exchange_rates: dict[str, ExchangeRate] = field(default_factory=dict)
    tax_rates: dict[str, int] = field(default_factory=dict)
    """Basis points by lower-case country; other countries pay no tax."""
    tax_behavior: str = "exclusive"
    """How plans are taxed that do not say it themselves."""
    transfers: dict[str, Transfer] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    sign_in_codes: dict[str, SignInCode] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    answers: dict[str, KeptAnswer] = field(default_factory=dict)
    """By Idempotency-Key, oldest first."""
    preferences: dict[str, Any] = field(default_factory=dict)


class Store:
    """The tables with the few indexes that keep every look-up short, and the making of ids."""

    def __init__(self, seed: int, tables: Tables | None = None) -> None:
        self._seed = seed
        self.changes = 0
        """Grows with every change. Whoever changes a record marks it, or counts here and nothing else is known."""
        self.marked = 0
        """How many of the changes named their record."""
        self.dirty: dict[tuple[type, str], None] | None = None
        """Type and id of the records marked since somebody took them, in that order; None while nobody keeps them."""
        self.load(tables or Tables())

    def load(self, tables: Tables) -> None:
        """Replaces everything by `tables`."""
        self.tables = tables
        self.changes += 1
        self._person_by_email = {person.email: person.id for person in tables.people.values()}
        self._member_by_user = {member.user_id: member.id for member in tables.members.values()}
        self._payments_of: dict[str, list[str]] = {}
        self._refunds_of: dict[str, list[str]] = {}
        # By member. Tuples, since most have one: a million lists would take twice the room.
        self._methods_by: dict[str, tuple[str, ...]] = {}
        self._memberships_by: dict[str, tuple[str, ...]] = {}
        self._payments_by: dict[str, list[str]] = {}
        for method in tables.methods.values():
            self._methods_by[method.member_id] = (*self._methods_by.get(method.member_id, ()), method.id)
        for membership in tables.memberships.values():
            self._index_membership(membership)
        for payment in tables.payments.values():
            self._payments_by.setdefault(payment.member_id, []).append(payment.id)
        for payment in tables.payments.values():
            self.index_payment(payment)
        for refund in tables.refunds.values():
            self._refunds_of.setdefault(refund.payment_id, []).append(refund.id)

    def new_id(self, prefix: str) -> str:
        """The next id, e.g. `mem_…`: fourteen characters that depend on the seed and on how many ids there were."""
        number = int.from_bytes(self.random_bytes(12))
        pieces = []
        for _ in range(7):
            number, pair = divmod(number, len(_PAIRS))
            pieces.append(_PAIRS[pair])
        return f"{prefix}_{''.join(pieces)}"

    def random_bytes(self, length: int) -> bytes:
        """The next bytes of the seeded stream (at most 32)."""
        self.tables.ids_made += 1
        return hashlib.sha256(f"{self._seed}:{self.tables.ids_made}".encode()).digest()[:length]

    def touch(self, record: Record, at: datetime) -> None:
        """Marks a change. `updated_at` strictly increases even when several changes share an instant."""
        record.updated_at = max(at, record.updated_at + _TICK)
        self.mark(record)

    def mark(self, record: Record) -> None:
        """Says that a record changed, so that it is kept. `updated_at` stays: buyers and sellers did not change it."""
        self.mark_as(type(record), record.id)

    def mark_as(self, kind: type, key: str) -> None:
        """As `mark`, for what has no id of its own: kept answers."""
        self.changes += 1
        self.marked += 1
        if self.dirty is not None:
            self.dirty[kind, key] = None

    def add(self, table: dict[str, R], record: R) -> R:
        """Keeps a record in a table without further indexes."""
        table[record.id] = record
        self.mark(record)
        return record

    def remove(self, table: dict[str, R], record_id: str) -> R | None:
        """Takes a record out of a table; returns it, or None when it was not there."""
        record = table.pop(record_id, None)
        if record is not None:
            self.mark(record)
        return record

    def add_person(self, person: Person) -> Person:
        """Keeps a person, findable by address."""
        self._person_by_email[person.email] = person.id
        return self.add(self.tables.people, person)

    def rename_person(self, person: Person, email: str) -> None:
        """Gives a person another address, under which it is found from now on."""
        self._person_by_email.pop(person.email, None)
        person.email = email
        self._person_by_email[email] = person.id

    def add_member(self, member: Member) -> Member:
        """Keeps a member, findable by user."""
        self._member_by_user[member.user_id] = member.id
        return self.add(self.tables.members, member)

    def add_method(self, method: Method) -> Method:
        """Keeps a card, findable by member."""
        self._methods_by[method.member_id] = (*self._methods_by.get(method.member_id, ()), method.id)
        return self.add(self.tables.methods, method)

    def add_membership(self, membership: Membership) -> Membership:
        """Keeps a membership, findable by member."""
        self._index_membership(membership)
        return self.add(self.tables.memberships, membership)

    def add_payment(self, payment: Payment) -> Payment:
        """Keeps a payment, findable by member and membership."""
        self.add(self.tables.payments, payment)
        self._payments_by.setdefault(payment.member_id, []).append(payment.id)
        self.index_payment(payment)
        return payment

    def add_refund(self, refund: Refund) -> Refund:
        """Keeps a refund, findable by payment."""
        self._refunds_of.setdefault(refund.payment_id, []).append(refund.id)
        return self.add(self.tables.refunds, refund)

    def index_payment(self, payment: Payment) -> None:
        """To be called again when a payment learns which membership it is for."""
        if payment.membership_id is not None:
            self._payments_of.setdefault(payment.membership_id, []).append(payment.id)

    def person_by_email(self, email: str) -> Person | None:
        """By the folded address; None when unknown."""
        found = self._person_by_email.get(email)
        return self.tables.people[found] if found else None

    def member_of(self, user_id: str) -> Member | None:
        """The member a user is; None when it is none."""
        found = self._member_by_user.get(user_id)
        return self.tables.members[found] if found else None

    def payments_of(self, membership_id: str) -> Iterator[Payment]:
        """Payments of a membership, newest first."""
        for payment_id in reversed(self._payments_of.get(membership_id, ())):
            yield self.tables.payments[payment_id]

    def refunds_of(self, payment_id: str) -> list[Refund]:
        """Refunds of a payment, oldest first."""
        return [self.tables.refunds[refund_id] for refund_id in self._refunds_of.get(payment_id, ())]

    def _index_membership(self, membership: Membership) -> None:
        owned = self._memberships_by.get(membership.member_id, ())
        self._memberships_by[membership.member_id] = (*owned, membership.id)

    def move_membership(self, membership: Membership, member: Member) -> None:
        """Finds a membership under another member from now on. To be called while it still names the old one."""
        left = (found for found in self._memberships_by[membership.member_id] if found != membership.id)
        self._memberships_by[membership.member_id] = tuple(left)
        owned = (*self._memberships_by.get(member.id, ()), membership.id)
        self._memberships_by[member.id] = tuple(
            sorted(owned, key=lambda found: self.tables.memberships[found].created_at)
        )

    def methods_of(self, member_id: str) -> list[Method]:
        """The stored cards of a member; deleted ones are passed over."""
        methods = self.tables.methods
        return [methods[found] for found in self._methods_by.get(member_id, ()) if found in methods]

    def memberships_of(self, member_id: str) -> list[Membership]:
        """Memberships of a member, oldest first."""
        return [self.tables.memberships[found] for found in self._memberships_by.get(member_id, ())]

    def payments_by(self, member_id: str) -> list[Payment]:
        """Payments of a member, oldest first."""
        return [self.tables.payments[found] for found in self._payments_by.get(member_id, ())]

    def open_payment(self, membership_id: str) -> Payment | None:
        """The unpaid payment of a membership that is still being collected."""
        return next((p for p in self.payments_of(membership_id) if p.status == "open"), None)
