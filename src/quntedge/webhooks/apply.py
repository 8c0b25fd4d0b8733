"""Hands what is known about Whop's objects to the services that own the tables, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select

from quntedge.accounts.people import WhopIdentity, users_for_whop
from quntedge.checkout.queries import owners as checkout_owners
from quntedge.disputes.service import DisputeService
from quntedge.disputes.warnings import WarningService
from quntedge.gateway.disputed import CaseSnapshot, DisputeAlertSnapshot, DisputeSnapshot
from quntedge.gateway.port import (
    Contested,
    EventKind,
    GatewayEvent,
    InvoiceSnapshot,
    MembershipSnapshot,
    PaymentSnapshot,
    RefundSnapshot,
)
from quntedge.gateway.saved import SetupSnapshot
from quntedge.invoices.service import InvoiceLink, InvoiceService, ObservedInvoice
from quntedge.kit.ids import is_id
from quntedge.methods.events import MethodSaved
from quntedge.methods.service import SETUP_KEY
from quntedge.payments.models import PaymentTransaction
from quntedge.payments.service import ObservedPayment, PaymentLink, PaymentService
from quntedge.plan_changes.claims import claim_memberships, claims_of_payments
from quntedge.refunds.service import ObservedRefund, RefundedPayment, RefundService
from quntedge.storage.rows import Texts, among
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import Vault
from quntedge.subscriptions.models import Subscription, SubscriptionMembership
from quntedge.subscriptions.queries import plan_terms
from quntedge.subscriptions.service import ObservedMembership, Owner, SubscriptionService
from quntedge.trials.events import TrialEndAnnounced
from quntedge.webhooks.contested import ContestedApplier, Sighting
from quntedge.webhooks.errors import ObjectOutOfReach

INTENT_KEY = "intent_id"
"""Name under which our checkout's id travels in Whop's metadata."""

_MEMBERSHIPS = (
    select(
        SubscriptionMembership.whop_membership_id,
        SubscriptionMembership.user_id,
        SubscriptionMembership.subscription_id,
        SubscriptionMembership.plan_id,
        Subscription.checkout_id,
    )
    .join(Subscription, Subscription.id == SubscriptionMembership.subscription_id)
    .where(among(SubscriptionMembership.whop_membership_id))
)
_REFUNDED = select(PaymentTransaction.id, PaymentTransaction.user_id, PaymentTransaction.whop_payment_id).where(
    among(PaymentTransaction.whop_payment_id)
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known for one event: its own snapshot, or the objects read from the gateway because of it."""

    memberships: tuple[MembershipSnapshot, ...] = ()
    payments: tuple[PaymentSnapshot, ...] = ()
    refunds: tuple[RefundSnapshot, ...] = ()
    invoices: tuple[InvoiceSnapshot, ...] = ()
    setups: tuple[SetupSnapshot, ...] = ()
    contested: tuple[Contested, ...] = ()
    from_gateway: bool = False
    payment_failed: bool = False
    """The event's name says that paying an explicit invoice failed, which its object does not."""
    trial_ending: bool = False
    """The event's name says that a trial is about to end, which its object does not."""

    @classmethod
    def of_event(cls, event: GatewayEvent) -> "Evidence":
        """The delivery's own word, for events that may be believed."""
        snapshot = event.snapshot
        if isinstance(snapshot, MembershipSnapshot):
            return cls(memberships=(snapshot,), trial_ending=event.kind is EventKind.MEMBERSHIP_TRIAL_ENDING)
        if isinstance(snapshot, PaymentSnapshot):
            return cls(payments=(snapshot,))
        if isinstance(snapshot, RefundSnapshot):
            return cls(refunds=(snapshot,))
        if isinstance(snapshot, SetupSnapshot):
            return cls(setups=(snapshot,))
        if isinstance(snapshot, DisputeSnapshot | DisputeAlertSnapshot | CaseSnapshot):
            return cls(contested=(snapshot,))
        return cls(invoices=(snapshot,), payment_failed=event.kind is EventKind.INVOICE_PAYMENT_FAILED)


class Applier:
    """Applies evidence in the order memberships, payments, refunds, disputes, invoices, each kind all at once."""

    def __init__(
        self,
        subscriptions: SubscriptionService,
        payments: PaymentService,
        refunds: RefundService,
        invoices: InvoiceService,
        vault: Vault,
    ) -> None:
        self._subscriptions = subscriptions
        self._payments = payments
        self._refunds = refunds
        self._invoices = invoices
        self._contested = ContestedApplier(DisputeService(payments), WarningService())
        self._vault = vault

    async def apply(self, unit: UnitOfWork, items: Sequence[tuple[str, Evidence]]) -> list[str]:
        """Applies (cause, evidence) pairs; answers for each `applied`, `unchanged`, `stale` or `reread`."""
        found: list[list[str]] = [[] for _ in items]
        await self._apply_memberships(unit, items, found)
        await self._apply_payments(unit, items, found)
        await self._apply_refunds(unit, items, found)
        await self._apply_contested(unit, items, found)
        _note_saved_methods(unit, items, found)
        # Invoices are made from payments by a subscriber; explicit ones are merged into what it made.
        await unit.dispatch()
        await self._apply_invoices(unit, items, found)
        return [_summary(verdicts) for verdicts in found]

    async def _apply_memberships(
        self, unit: UnitOfWork, items: Sequence[tuple[str, Evidence]], found: list[list[str]]
    ) -> None:
        observed = [
            (index, ObservedMembership(snapshot, cause, evidence.from_gateway))
            for index, (cause, evidence) in enumerate(items)
            for snapshot in evidence.memberships
        ]
        if not observed:
            return
        verdicts = await self._subscriptions.apply(
            unit, [item for _, item in observed], await plan_terms(unit), self._find_owners
        )
        for (index, _), verdict in zip(observed, verdicts, strict=True):
            found[index].append(verdict.value)
        ending = {
            snapshot.membership_id
            for index, (_, evidence) in enumerate(items)
            if evidence.trial_ending and "reread" not in found[index]
            for snapshot in evidence.memberships
        }
        unit.record(*(TrialEndAnnounced(membership_id) for membership_id in sorted(ending)))

    async def _apply_payments(
        self, unit: UnitOfWork, items: Sequence[tuple[str, Evidence]], found: list[list[str]]
    ) -> None:
        observed = [
            (index, ObservedPayment(snapshot, cause, evidence.from_gateway))
            for index, (cause, evidence) in enumerate(items)
            for snapshot in evidence.payments
        ]
        verdicts = await self._payments.apply(unit, [item for _, item in observed], self._find_payment_links)
        for (index, _), verdict in zip(observed, verdicts, strict=True):
            found[index].append(verdict.value)

    async def _apply_refunds(
        self, unit: UnitOfWork, items: Sequence[tuple[str, Evidence]], found: list[list[str]]
    ) -> None:
        observed = [
            (index, ObservedRefund(snapshot, cause))
            for index, (cause, evidence) in enumerate(items)
            for snapshot in evidence.refunds
        ]
        if not observed:
            return
        payment_ids = {item.snapshot.payment_id for _, item in observed}
        connection = await unit.connection()
        rows = await connection.execute(_REFUNDED, {"values": list(payment_ids)})
        payments = {row.whop_payment_id: RefundedPayment(row.id, row.user_id) for row in rows}
        if payment_ids - payments.keys():
            raise ObjectOutOfReach("A refund belongs to a payment that the gateway does not give us.")
        await self._refunds.apply(unit, [item for _, item in observed], payments)
        for index, _ in observed:
            found[index].append("applied")

    async def _apply_contested(
        self, unit: UnitOfWork, items: Sequence[tuple[str, Evidence]], found: list[list[str]]
    ) -> None:
        observed = [
            (index, Sighting(snapshot, cause, evidence.from_gateway))
            for index, (cause, evidence) in enumerate(items)
            for snapshot in evidence.contested
        ]
        verdicts = await self._contested.apply(unit, [item for _, item in observed])
        for (index, _), verdict in zip(observed, verdicts, strict=True):
            found[index].append(verdict)

    async def _apply_invoices(
        self, unit: UnitOfWork, items: Sequence[tuple[str, Evidence]], found: list[list[str]]
    ) -> None:
        observed = [
            (index, ObservedInvoice(snapshot, cause, evidence.payment_failed, evidence.from_gateway))
            for index, (cause, evidence) in enumerate(items)
            for snapshot in evidence.invoices
        ]
        verdicts = await self._invoices.apply(unit, [item for _, item in observed], self._find_invoice_links)
        for (index, _), verdict in zip(observed, verdicts, strict=True):
            found[index].append(verdict)

    async def _find_owners(self, unit: UnitOfWork, observed: Sequence[ObservedMembership]) -> Mapping[str, Owner]:
        """By the checkout in the metadata; else by who Whop says it is.

        Only Whop's own answer makes a stranger of somebody: deliveries may lack the metadata, and a purchase must not
        end with an account that nobody can sign in to. What cannot be decided is left out, to be read first.
        """
        intents = await checkout_owners(unit, _intents([item.snapshot for item in observed]))
        owners: dict[str, Owner] = {}
        for item in observed:
            intent_id = item.snapshot.metadata.get(INTENT_KEY, "")
            if intent_id in intents:
                owners[item.snapshot.membership_id] = Owner(intents[intent_id].user_id, intent_id)
        owners |= await _owners_by_change(unit, observed, owners)
        strangers = {
            item.snapshot.membership_id: _identity(item.snapshot, item.snapshot.membership_id)
            for item in observed
            if item.from_gateway and item.snapshot.membership_id not in owners
        }
        users = await users_for_whop(unit, self._vault, list(strangers.values()))
        return owners | {key: Owner(users[identity.key]) for key, identity in strangers.items()}

    async def _find_payment_links(
        self, unit: UnitOfWork, observed: Sequence[ObservedPayment]
    ) -> Mapping[str, PaymentLink]:
        """By membership; for payments without one by the checkout in the metadata, else by who Whop says it is.

        What cannot be decided is left out, as with memberships: it, or its membership, has to be read first.
        """
        if not observed:
            return {}
        snapshots = [item.snapshot for item in observed]
        known = await _memberships(unit, {s.membership_id for s in snapshots if s.membership_id})
        intents = await checkout_owners(unit, _intents(snapshots))
        links: dict[str, PaymentLink] = {}
        for snapshot in snapshots:
            intent = intents.get(snapshot.metadata.get(INTENT_KEY, ""))
            intent_id = snapshot.metadata[INTENT_KEY] if intent else None
            if snapshot.membership_id is not None:
                if snapshot.membership_id in known:
                    link = known[snapshot.membership_id]
                    # Nearly always the same: a copy for each renewal would be work for nothing.
                    differs = intent_id is not None and intent_id != link.checkout_id
                    links[snapshot.payment_id] = replace(link, checkout_id=intent_id) if differs else link
            elif intent is not None and snapshot.payment_id not in links:
                links[snapshot.payment_id] = PaymentLink(intent.user_id, None, intent.plan_id, intent_id)
        alone = [s for s in snapshots if s.membership_id is None and s.payment_id not in links]
        for payment_id, claim in (await claims_of_payments(unit.session, alone)).items():
            links[payment_id] = PaymentLink(claim.user_id, None, claim.plan_id)
        strangers = {
            item.snapshot.payment_id: _identity(item.snapshot, item.snapshot.payment_id)
            for item in observed
            if item.from_gateway and item.snapshot.membership_id is None and item.snapshot.payment_id not in links
        }
        users = await users_for_whop(unit, self._vault, list(strangers.values()))
        return links | {key: PaymentLink(users[identity.key]) for key, identity in strangers.items()}

    async def _find_invoice_links(
        self, unit: UnitOfWork, snapshots: Sequence[InvoiceSnapshot]
    ) -> Mapping[str, InvoiceLink]:
        """By membership where an invoice names one; else by the member, and then by the plan it is about.

        An invoice about something that the member has not subscribed to belongs to no subscription. Only one that
        does not say what it is about is taken for one of the newest.
        """
        connection = await unit.connection()
        members = {s.member_id for s in snapshots if s.member_id}
        memberships = {s.membership_id for s in snapshots if s.membership_id}
        rows = await connection.execute(
            select(SubscriptionMembership.__table__)
            .where(
                SubscriptionMembership.whop_member_id.in_(members)
                | SubscriptionMembership.whop_membership_id.in_(memberships)
            )
            .order_by(SubscriptionMembership.first_seen_at)
        )
        by_member: dict[str, InvoiceLink] = {}
        by_plan: dict[tuple[str, str], InvoiceLink] = {}
        by_membership: dict[str, InvoiceLink] = {}
        for row in rows:
            link = InvoiceLink(row.user_id, row.subscription_id, row.plan_id)
            by_membership[row.whop_membership_id] = link
            if row.whop_member_id:
                by_member[row.whop_member_id] = link
                by_plan[row.whop_member_id, row.whop_plan_id] = link
        links: dict[str, InvoiceLink] = {}
        strangers: dict[str, WhopIdentity] = {}
        for snapshot in snapshots:
            member_id = snapshot.member_id or ""
            found = by_membership.get(snapshot.membership_id or "") or by_member.get(member_id)
            if found is not None and snapshot.membership_id not in by_membership and snapshot.plan_id is not None:
                found = by_plan.get((member_id, snapshot.plan_id), InvoiceLink(found.user_id))
            if found is not None:
                links[snapshot.invoice_id] = found
            else:
                strangers[snapshot.invoice_id] = _identity(snapshot, snapshot.invoice_id)
        users = await users_for_whop(unit, self._vault, list(strangers.values()))
        return links | {key: InvoiceLink(users[identity.key]) for key, identity in strangers.items()}


async def _owners_by_change(
    unit: UnitOfWork, observed: Sequence[ObservedMembership], owners: Mapping[str, Owner]
) -> dict[str, Owner]:
    """The owners of memberships that a change of plan has brought about."""
    unknown = [item.snapshot for item in observed if item.snapshot.membership_id not in owners]
    claims = await claim_memberships(unit, unknown)
    return {membership_id: Owner(claim.user_id) for membership_id, claim in claims.items()}


def _note_saved_methods(unit: UnitOfWork, items: Sequence[tuple[str, Evidence]], found: Sequence[list[str]]) -> None:
    """Whoever keeps the saved methods looks at Whop for what is there now."""
    for (cause, evidence), verdicts in zip(items, found, strict=True):
        for setup in evidence.setups:
            if setup.member_id is not None:
                unit.record(MethodSaved(setup.member_id, setup.method_id, setup.metadata.get(SETUP_KEY), cause))
            verdicts.append("applied")


def _summary(verdicts: Sequence[str]) -> str:
    """One word for an event with several objects: the most demanding one."""
    for word in ("reread", "applied", "unchanged", "stale"):
        if word in verdicts:
            return word
    return "unchanged"


def _intents(snapshots: Sequence[MembershipSnapshot] | Sequence[PaymentSnapshot]) -> list[str]:
    named = {snapshot.metadata.get(INTENT_KEY, "") for snapshot in snapshots}
    return [intent for intent in named if is_id(intent, "chk")]


def _identity(snapshot: MembershipSnapshot | PaymentSnapshot | InvoiceSnapshot, fallback: str) -> WhopIdentity:
    """Whop's user where it tells (business buyers have none), else the member, else the object itself."""
    name = None if isinstance(snapshot, InvoiceSnapshot) else snapshot.customer_name
    return WhopIdentity(key=snapshot.user_id or snapshot.member_id or fallback, name=name)


async def _memberships(unit: UnitOfWork, ids: set[str]) -> dict[str, PaymentLink]:
    if not ids:
        return {}
    rows = await unit.fetch(_MEMBERSHIPS, {"values": Texts(ids)})
    return {
        row.whop_membership_id: PaymentLink(row.user_id, row.subscription_id, row.plan_id, row.checkout_id)
        for row in rows
    }
