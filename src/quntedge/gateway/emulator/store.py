"""All objects of one emulator, in memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from quntedge.gateway.emulator.records import (
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
        self.load(tables or Tables())

    def load(self, tables: Tables) -> None:
        """Replaces everything by `tables`."""
        self.tables = tables
        self.changes = 0
        self._person_by_email = {person.email: person.id for person in tables.people.values()}
        self._member_by_user = {member.user_id: member.id for member in tables.members.values()}
        self._payments_of: dict[str, list[str]] = {}
        self._refunds_of: dict[str, list[str]] = {}
        self._by_member: dict[str, dict[type[Record], list[str]]] = {}
        for table in (tables.methods, tables.memberships, tables.payments):
            for owned in table.values():
                self._index_by_member(owned)
        for payment in tables.payments.values():
            self.index_payment(payment)
        for refund in tables.refunds.values():
            self._refunds_of.setdefault(refund.payment_id, []).append(refund.id)

    def new_id(self, prefix: str) -> str:
        """The next id, e.g. `mem_…`: fourteen characters that depend on the seed and on how many ids there were."""
        number = int.from_bytes(self.random_bytes(12))
        text = ""
        for _ in range(14):
            number, digit = divmod(number, len(_ALPHABET))
            text += _ALPHABET[digit]
        return f"{prefix}_{text}"

    def random_bytes(self, length: int) -> bytes:
        """The next bytes of the seeded stream (at most 32)."""
        self.tables.ids_made += 1
        return hashlib.sha256(f"{self._seed}:{self.tables.ids_made}".encode()).digest()[:length]

    def touch(self, record: Record, at: datetime) -> None:
        """Marks a change. `updated_at` strictly increases even when several changes share an instant."""
        record.updated_at = max(at, record.updated_at + _TICK)
        self.changes += 1

    def add(self, table: dict[str, R], record: R) -> R:
        """Keeps a record in a table without further indexes."""
        table[record.id] = record
        self.changes += 1
        return record

    def add_person(self, person: Person) -> Person:
        """Keeps a person, findable by address."""
        self._person_by_email[person.email] = person.id
        return self.add(self.tables.people, person)

    def add_member(self, member: Member) -> Member:
        """Keeps a member, findable by user."""
        self._member_by_user[member.user_id] = member.id
        return self.add(self.tables.members, member)

    def add_method(self, method: Method) -> Method:
        """Keeps a card, findable by member."""
        self._index_by_member(method)
        return self.add(self.tables.methods, method)

    def add_membership(self, membership: Membership) -> Membership:
        """Keeps a membership, findable by member."""
        self._index_by_member(membership)
        return self.add(self.tables.memberships, membership)

    def add_payment(self, payment: Payment) -> Payment:
        """Keeps a payment, findable by member and membership."""
        self.add(self.tables.payments, payment)
        self._index_by_member(payment)
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

    def _index_by_member(self, record: Method | Membership | Payment) -> None:
        self._by_member.setdefault(record.member_id, {}).setdefault(type(record), []).append(record.id)

    def _ids_of(self, member_id: str, kind: type[Record]) -> list[str]:
        return self._by_member.get(member_id, {}).get(kind, [])

    def methods_of(self, member_id: str) -> list[Method]:
        """The stored cards of a member; deleted ones are passed over."""
        methods = self.tables.methods
        return [methods[found] for found in self._ids_of(member_id, Method) if found in methods]

    def memberships_of(self, member_id: str) -> list[Membership]:
        """Memberships of a member, oldest first."""
        return [self.tables.memberships[found] for found in self._ids_of(member_id, Membership)]

    def payments_by(self, member_id: str) -> list[Payment]:
        """Payments of a member, oldest first."""
        return [self.tables.payments[found] for found in self._ids_of(member_id, Payment)]

    def open_payment(self, membership_id: str) -> Payment | None:
        """The unpaid payment of a membership that is still being collected."""
        return next((p for p in self.payments_of(membership_id) if p.status == "open"), None)
