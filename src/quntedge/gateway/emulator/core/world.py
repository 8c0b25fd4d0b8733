"""What every rule of the emulator works on: the store, the clock, the agenda and the way news leaves."""

from dataclasses import dataclass
from datetime import datetime

from quntedge.gateway.emulator.config import EmulatorConfig
from quntedge.gateway.emulator.core.agenda import Agenda, Happening, Kind
from quntedge.gateway.emulator.core.announcer import Announcer
from quntedge.gateway.emulator.core.clock import MovableClock
from quntedge.gateway.emulator.rules.billing import next_due, trial_notice
from quntedge.gateway.emulator.shapes.buyers import BuyerShapes
from quntedge.gateway.emulator.shapes.sellers import SellerShapes
from quntedge.gateway.emulator.state.records import Membership, Payment, Refund
from quntedge.gateway.emulator.state.store import Store


@dataclass(slots=True)
class World:
    """One emulated account with its time."""

    config: EmulatorConfig
    clock: MovableClock
    store: Store
    agenda: Agenda
    announcer: Announcer
    buyers: BuyerShapes
    sellers: SellerShapes

    def now(self) -> datetime:
        """Emulator time, aware UTC."""
        return self.clock.now()

    @property
    def failure_behavior(self) -> str:
        """`cancel` or `none`: what exhausted retries do to a membership."""
        return str(
            self.store.tables.preferences.get(
                "subscription_failure_behavior", self.config.subscription_failure_behavior
            )
        )

    def schedule(self, membership: Membership) -> None:
        """Puts the membership's next happenings on the agenda. To be called after every change."""
        membership.due_at = next_due(membership)
        if membership.due_at is not None:
            self.agenda.enter(membership.due_at, Kind.MEMBERSHIP, membership.id)
        notice = trial_notice(membership)
        if notice != membership.trial_notice_at and notice is not None:
            self.agenda.enter(notice, Kind.TRIAL_NOTICE, membership.id)
        membership.trial_notice_at = notice

    def schedule_retry(self, payment: Payment, at: datetime | None) -> None:
        """Sets when a payment is tried again; None means never."""
        payment.next_payment_attempt_at = at
        if at is not None:
            self.agenda.enter(at, Kind.PAYMENT_RETRY, payment.id)

    def schedule_collection(self, payment: Payment, at: datetime) -> None:
        """Sets when a charge asked for through the API is made."""
        payment.collects_at = at
        self.agenda.enter(at, Kind.COLLECTION, payment.id)

    def schedule_release(self, payment: Payment, at: datetime) -> None:
        """Sets when a reserved amount is captured by itself, or lapses."""
        payment.released_at = at
        self.agenda.enter(at, Kind.CAPTURE, payment.id)

    def schedule_settlement(self, refund: Refund, at: datetime) -> None:
        """Sets when a pending refund succeeds."""
        refund.settles_at = at
        self.agenda.enter(at, Kind.REFUND, refund.id)

    def is_current(self, happening: Happening) -> bool:
        """Whether the object still means to do what the agenda says."""
        return self._time_of(happening) == happening.at

    def _time_of(self, happening: Happening) -> datetime | None:
        tables, object_id = self.store.tables, happening.object_id
        match happening.kind:
            case Kind.MEMBERSHIP:
                return found.due_at if (found := tables.memberships.get(object_id)) else None
            case Kind.TRIAL_NOTICE:
                return found.trial_notice_at if (found := tables.memberships.get(object_id)) else None
            case Kind.PAYMENT_RETRY:
                return paid.next_payment_attempt_at if (paid := tables.payments.get(object_id)) else None
            case Kind.REFUND:
                return refund.settles_at if (refund := tables.refunds.get(object_id)) else None
            case Kind.COLLECTION:
                return charge.collects_at if (charge := tables.payments.get(object_id)) else None
            case Kind.CAPTURE:
                return held.released_at if (held := tables.payments.get(object_id)) else None
            case Kind.INVOICE:
                return invoice.due_at if (invoice := tables.invoices.get(object_id)) else None
            case Kind.DISPUTE:
                return dispute.due_at if (dispute := tables.disputes.get(object_id)) else None
            case Kind.DELIVERY:
                return message.next_attempt_at if (message := tables.messages.get(object_id)) else None

    def rebuild_agenda(self) -> None:
        """Enters everything that the loaded records still mean to do."""
        self.agenda.clear()
        tables = self.store.tables
        for membership in tables.memberships.values():
            if membership.due_at is not None:
                self.agenda.enter(membership.due_at, Kind.MEMBERSHIP, membership.id)
            if membership.trial_notice_at is not None:
                self.agenda.enter(membership.trial_notice_at, Kind.TRIAL_NOTICE, membership.id)
        for payment in tables.payments.values():
            if payment.next_payment_attempt_at is not None:
                self.agenda.enter(payment.next_payment_attempt_at, Kind.PAYMENT_RETRY, payment.id)
            if payment.collects_at is not None:
                self.agenda.enter(payment.collects_at, Kind.COLLECTION, payment.id)
            if payment.released_at is not None:
                self.agenda.enter(payment.released_at, Kind.CAPTURE, payment.id)
        for refund in tables.refunds.values():
            if refund.settles_at is not None:
                self.agenda.enter(refund.settles_at, Kind.REFUND, refund.id)
        for invoice in tables.invoices.values():
            if invoice.due_at is not None:
                self.agenda.enter(invoice.due_at, Kind.INVOICE, invoice.id)
        for dispute in tables.disputes.values():
            if dispute.due_at is not None:
                self.agenda.enter(dispute.due_at, Kind.DISPUTE, dispute.id)
        for message in tables.messages.values():
            if message.next_attempt_at is not None:
                self.agenda.enter(message.next_attempt_at, Kind.DELIVERY, message.id)
