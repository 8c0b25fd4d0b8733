"""Mails to staff: to every address in the settings, once for each cause.

An address is personal data, and of nobody who has a data key here. So none is stored: a row knows its address by the
keyed blind index, and the sender finds the address among the settings. Who is no longer there gets nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.disputes.events import DisputeDeadlineNear, DisputeMoved
from quntedge.disputes.models import Dispute
from quntedge.disputes.rules import TO_ANSWER, is_open
from quntedge.kit.ids import new_id
from quntedge.kit.money import Money
from quntedge.notifications.letters import Letter
from quntedge.notifications.outbox import Claimed
from quntedge.notifications.rules import Kind
from quntedge.notifications.service import SEND_DUE
from quntedge.storage.events import EventBus
from quntedge.storage.jobs import JobQueue
from quntedge.storage.rows import Texts
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import Vault

STAFF_KINDS = frozenset(kind for kind in Kind if kind.value.startswith("staff_"))

_INSERT = text(
    """
    INSERT INTO notification (id, cause_key, user_id, kind, params, state, attempts, due_at, created_at)
    SELECT id, cause_key, NULL, kind, params, 'queued', 0, :now, :now
      FROM unnest(CAST(:ids AS text[]), CAST(:keys AS text[]), CAST(:kinds AS text[]), CAST(:params AS jsonb[]))
        AS due (id, cause_key, kind, params)
    ON CONFLICT (cause_key) DO NOTHING
    RETURNING id
    """
)


@dataclass(frozen=True, slots=True)
class StaffCause:
    """News for everybody on the staff. `key` is unique for ever; parameters hold no personal data."""

    key: str
    kind: Kind
    params: Mapping[str, Any]


def of_dispute_moved(fact: DisputeMoved) -> StaffCause | None:
    """Once when it opens, once more when an inquiry becomes a chargeback, and once when it is lost."""
    params = {"dispute_id": fact.dispute_id}
    if fact.lost:
        return StaffCause(f"{Kind.STAFF_DISPUTE_LOST}:{fact.dispute_id}", Kind.STAFF_DISPUTE_LOST, params)
    escalated = not fact.inquiry and (fact.before_status or "").startswith("warning_")
    if not is_open(fact.status) or not (fact.opened or escalated):
        return None
    stage = "inquiry" if fact.inquiry else "chargeback"
    return StaffCause(f"{Kind.STAFF_DISPUTE_OPENED}:{fact.dispute_id}:{stage}", Kind.STAFF_DISPUTE_OPENED, params)


def of_deadline_near(fact: DisputeDeadlineNear) -> StaffCause:
    """Once for each deadline and number of days that are left."""
    due = fact.evidence_due_at.isoformat()
    key = f"{Kind.STAFF_DISPUTE_DUE}:{fact.dispute_id}:{due}:{fact.days_left}"
    params = {"dispute_id": fact.dispute_id, "due_at": due, "days_left": fact.days_left}
    return StaffCause(key, Kind.STAFF_DISPUTE_DUE, params)


class StaffMails:
    """Queues what staff is told, in the transaction of the news, and writes it when it is sent."""

    def __init__(self, jobs: JobQueue, vault: Vault, addresses: Sequence[str], locale: str) -> None:
        """`locale` is the language that staff reads."""
        self._jobs = jobs
        self._locale = locale
        self._addresses = {vault.email_index(address).hex(): address for address in addresses}

    def listen(self, bus: EventBus) -> None:
        """Subscribes to everything that staff is told of."""
        bus.subscribe(DisputeMoved, self.on_disputes_moved)
        bus.subscribe(DisputeDeadlineNear, self.on_deadlines_near)

    async def on_disputes_moved(self, unit: UnitOfWork, facts: Sequence[DisputeMoved]) -> None:
        """Queues mails about disputes that opened or were lost."""
        await self.queue(unit, map(of_dispute_moved, facts))

    async def on_deadlines_near(self, unit: UnitOfWork, facts: Sequence[DisputeDeadlineNear]) -> None:
        """Queues mails about deadlines."""
        await self.queue(unit, map(of_deadline_near, facts))

    async def queue(self, unit: UnitOfWork, owed: Iterable[StaffCause | None]) -> int:
        """Queues a mail for each new cause and address; how many there were."""
        rows = sorted(
            (f"{cause.key}:{index}", cause.kind.value, json.dumps({**cause.params, "recipient": index}))
            for cause in owed
            if cause is not None
            for index in self._addresses
        )
        if not rows:
            return 0
        now = unit.clock.now()
        await unit.session.flush()
        inserted = await (await unit.connection()).execute(
            _INSERT,
            {
                "now": now,
                "ids": Texts(new_id("ntf", now) for _ in rows),
                "keys": Texts(key for key, _, _ in rows),
                "kinds": Texts(kind for _, kind, _ in rows),
                "params": Texts(params for _, _, params in rows),
            },
        )
        count = len(inserted.all())
        if count:
            await self._jobs.defer(unit, SEND_DUE)
        return count

    async def compose(self, session: AsyncSession, mail: Claimed) -> Letter:
        """The mail as its dispute is now. `to` is None for an address that the settings do not name any more."""
        dispute = await session.get_one(Dispute, mail.params["dispute_id"])
        return Letter(
            id=mail.id,
            kind=mail.kind,
            to=self._addresses.get(mail.params["recipient"]),
            name=None,
            locale=self._locale,
            plan_name=None,
            amount=Money(dispute.amount_minor, dispute.currency),
            period_end=None,
            grace_until=None,
            invoice_number=None,
            decline_class=None,
            moot=_moot(mail, dispute),
            dispute_id=dispute.id,
            dispute_at_whop=dispute.whop_dispute_id,
            dispute_reason=dispute.reason,
            dispute_due=dispute.evidence_due_at,
            days_left=mail.params.get("days_left"),
            inquiry=dispute.inquiry,
        )


def _moot(mail: Claimed, dispute: Dispute) -> str | None:
    """A mail can wait for hours. Nobody is reminded of what was done, or of a deadline that was moved."""
    if mail.kind != Kind.STAFF_DISPUTE_DUE:
        return None
    if dispute.status not in TO_ANSWER or dispute.evidence_submitted_at is not None:
        return "the dispute waits for no evidence any more"
    if dispute.evidence_due_at != datetime.fromisoformat(mail.params["due_at"]):
        return "the deadline is another one now"
    return None
