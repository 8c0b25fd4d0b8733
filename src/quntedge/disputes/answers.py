"""DisputeAnswers: evidence sent and disputes conceded, because a person said so, as processes that survive a crash.

Evidence takes its files along: they are brought to the gateway first (`uploads`), attached with the texts, then sent.

Both are final at the gateway, so neither is ever sent blindly a second time: whoever finds one begun looks first.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from quntedge.audit.writing import audit_done
from quntedge.disputes import papers
from quntedge.disputes.alarms import Alarm, raise_alarms
from quntedge.disputes.errors import (
    DisputeBeingAnswered,
    DisputeLocked,
    DisputeNotAcceptable,
    DisputeNotFound,
    DisputeResponseRefused,
)
from quntedge.disputes.evidence import stamp
from quntedge.disputes.models import Dispute, DisputeResponse
from quntedge.disputes.papers import Paper
from quntedge.disputes.rules import TO_ANSWER, is_lost
from quntedge.disputes.service import DisputedPayment, DisputeService, ObservedDispute
from quntedge.disputes.uploads import EvidenceUploads
from quntedge.gateway.acts import DisputeActs
from quntedge.gateway.disputed import DisputeSnapshot, EvidenceTexts
from quntedge.gateway.errors import GatewayError
from quntedge.kit.ids import new_id
from quntedge.kit.logging import get_logger
from quntedge.processes.runner import ProcessRunner
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault

log = get_logger(__name__)

PREFIX = "dre"
EVIDENCE, ACCEPT = "evidence", "accept"
_KINDS = {EVIDENCE: "dispute_evidence", ACCEPT: "dispute_accept"}


@dataclass(frozen=True, slots=True)
class ResponseView:
    """An answer as it stands. `requested`: the gateway has not said clearly yet; a worker goes on with it."""

    id: str
    dispute_id: str
    kind: str
    state: str
    actor: str
    requested_at: datetime
    ended_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, row: DisputeResponse) -> "ResponseView":
        """The view of a row at hand."""
        return cls(row.id, row.dispute_id, row.kind, row.state, row.actor, row.requested_at, row.ended_at, row.error)


def new_response_id(at: datetime) -> str:
    """An id for an answer that is about to be given: the key under which repeating it is harmless."""
    return new_id(PREFIX, at)


class DisputeAnswers:
    """Answers disputes. Opens and commits its own units of work: it calls the gateway."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        processes: ProcessRunner,
        gateway: DisputeActs,
        disputes: DisputeService,
        vault: Vault,
    ) -> None:
        """Makes both kinds of process known to the runner."""
        self._units = units
        self._processes = processes
        self._gateway = gateway
        self._disputes = disputes
        self._vault = vault
        self._uploads = EvidenceUploads(units, gateway, vault, done="fill")
        processes.add(
            Definition.of(
                _KINDS[EVIDENCE],
                *self._uploads.steps(),
                Step("fill", self._filled, call=self._fill),
                Step("submit", self._submitted, call=self._submit, look=self._look_submitted, refused=_look_again),
                Step("check", self._submitted, call=self._read),
                given_up=self._given_up,
            )
        )
        processes.add(
            Definition.of(
                _KINDS[ACCEPT],
                Step("accept", self._accepted, call=self._accept, look=self._look_accepted, refused=_look_again),
                Step("check", self._accepted, call=self._read),
                given_up=self._given_up,
            )
        )

    async def submit(
        self, dispute_id: str, texts: EvidenceTexts, files: Sequence[Paper] = (), *, key: str, actor: str
    ) -> ResponseView:
        """Sends evidence to the bank, for good: these texts, and these files. `key` is an id from `new_response_id`;
        the same one goes on with the same answer.

        Raises `DisputeNotFound`, `DisputeLocked`, `DisputeBeingAnswered`, `DisputeResponseRefused`,
        `EvidenceFileRefused`.
        """
        papers.check(files)
        return await self._answer(dispute_id, EVIDENCE, key, actor, texts, files)

    async def hanging(self, dispute_id: str) -> int:
        """How many files somebody has attached to a dispute in the gateway's dashboard; they stay there, and count.

        0 while the gateway does not say: sending finds out. Raises `DisputeNotFound`.
        """
        async with self._units() as unit:
            row = await unit.session.get(Dispute, dispute_id)
            if row is None:
                raise DisputeNotFound("There is no dispute with this id; ids of disputes begin with dsp_.")
            whop_id = row.whop_dispute_id
        try:
            return len((await self._gateway.dispute(whop_id)).documents)
        except GatewayError as error:
            log.warning("dispute.files_not_counted", dispute_id=dispute_id, code=error.code)
            return 0

    async def accept(self, dispute_id: str, *, key: str, actor: str) -> ResponseView:
        """Concedes a dispute, for good. Raises what `submit` raises, and `DisputeNotAcceptable`."""
        return await self._answer(dispute_id, ACCEPT, key, actor, None)

    async def _answer(
        self,
        dispute_id: str,
        kind: str,
        key: str,
        actor: str,
        texts: EvidenceTexts | None,
        files: Sequence[Paper] = (),
    ) -> ResponseView:
        async with self._units() as unit:
            row = await unit.session.get(DisputeResponse, key)
            if row is None:
                row = await self._prepare(unit, dispute_id, kind, key, actor, texts)
                await self._uploads.plan(unit, row, files)
            process_id = row.process_id
            await unit.commit()
        await self._processes.run(process_id)
        async with self._units() as unit:
            row = await unit.session.get_one(DisputeResponse, key)
            if row.state == "failed":
                raise DisputeResponseRefused(
                    f"The payment provider did not take it ({row.error}). Look at the dispute again; nothing was sent."
                )
            return ResponseView.of(row)

    async def _prepare(
        self, unit: UnitOfWork, dispute_id: str, kind: str, key: str, actor: str, texts: EvidenceTexts | None
    ) -> DisputeResponse:
        dispute = await unit.session.scalar(select(Dispute).where(Dispute.id == dispute_id).with_for_update())
        if dispute is None:
            raise DisputeNotFound("There is no dispute with this id; ids of disputes begin with dsp_.")
        now = unit.clock.now()
        _check(dispute, kind, now)
        under_way = await unit.session.scalar(
            select(DisputeResponse.id).where(
                DisputeResponse.dispute_id == dispute.id, DisputeResponse.state == "requested"
            )
        )
        if under_way is not None:
            raise DisputeBeingAnswered("An answer to this dispute is on its way already. Look again in a minute.")
        process_id = await self._processes.start(
            unit,
            _KINDS[kind],
            dispute.id,
            user_id=dispute.user_id,
            data={"whop_dispute_id": dispute.whop_dispute_id, "response_id": key},
        )
        row = DisputeResponse(
            id=key,
            dispute_id=dispute.id,
            user_id=dispute.user_id,
            kind=kind,
            state="requested",
            actor=actor,
            process_id=process_id,
            requested_at=now,
        )
        if texts is not None:
            cipher = await self._vault.cipher(unit.session, dispute.user_id)
            row.texts = cipher.seal("dispute_response", "texts", key, json.dumps(dict(texts.given())))
        unit.session.add(row)
        act = "dispute.submit" if kind == EVIDENCE else "dispute.accept"
        audit_done(unit, act, "dispute", dispute.id, response=key)
        await unit.session.flush()
        return row

    async def _fill(self, run: Run) -> Answer:
        async with self._units() as unit:
            row = await unit.session.get_one(DisputeResponse, run.data["response_id"])
            if row.texts is None:
                raise ValueError("evidence has texts")
            cipher = await self._vault.cipher(unit.session, row.user_id)
            texts = EvidenceTexts(**json.loads(cipher.open("dispute_response", "texts", row.id, row.texts)))
            own = await self._uploads.uploaded(unit, run)
        # The gateway takes all files at once: whatever somebody attached there by hand goes with ours. Should more
        # of that have come since it was counted, the last ones of ours stay behind: they prove least.
        attached = (await self._gateway.dispute(run.data["whop_dispute_id"])).documents if own else ()
        ours = {document.file_id for document in own}
        by_hand = [document for document in attached if document.file_id not in ours]
        fitting = own[: papers.room_beside(len(by_hand))]
        filled = await self._gateway.fill_evidence(run.data["whop_dispute_id"], texts, [*fitting, *by_hand])
        return Answer({"status": filled.raw_status, "attached": [one.file_id for one in fitting]}, object=filled)

    async def _submit(self, run: Run) -> Answer:
        return _answer(await self._gateway.submit_evidence(run.data["whop_dispute_id"], idempotency_key=run.key))

    async def _accept(self, run: Run) -> Answer:
        return _answer(await self._gateway.accept_dispute(run.data["whop_dispute_id"], idempotency_key=run.key))

    async def _read(self, run: Run) -> Answer:
        return _answer(await self._gateway.dispute(run.data["whop_dispute_id"]))

    async def _look_submitted(self, run: Run) -> Answer | None:
        snapshot = await self._gateway.dispute(run.data["whop_dispute_id"])
        return _answer(snapshot) if snapshot.evidence_submitted_at is not None else None

    async def _look_accepted(self, run: Run) -> Answer | None:
        snapshot = await self._gateway.dispute(run.data["whop_dispute_id"])
        return _answer(snapshot) if is_lost(snapshot.status.value) else None

    async def _filled(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        await self._apply(unit, run, answer.object)
        await self._uploads.attached(unit, run, answer.data["attached"])
        return GoTo("submit")

    async def _submitted(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        snapshot: DisputeSnapshot = answer.object
        return await self._ended(unit, run, snapshot, sent=snapshot.evidence_submitted_at is not None)

    async def _accepted(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        snapshot: DisputeSnapshot = answer.object
        return await self._ended(unit, run, snapshot, sent=is_lost(snapshot.status.value))

    async def _ended(self, unit: UnitOfWork, run: Run, snapshot: DisputeSnapshot, *, sent: bool) -> Next:
        await self._apply(unit, run, snapshot)
        if not sent:
            return GiveUp("not_taken", str(run.data.get("refusal", "The gateway answered, but has not taken it.")))
        row = await unit.session.get_one(DisputeResponse, run.data["response_id"])
        row.state, row.ended_at = "done", unit.clock.now()
        await self._uploads.ended(unit, run, sent=True)
        return Finish()

    async def _apply(self, unit: UnitOfWork, run: Run, snapshot: DisputeSnapshot) -> None:
        row = await unit.session.get_one(Dispute, run.subject_id)
        payment = DisputedPayment(row.transaction_id, row.user_id, row.subscription_id)
        observed = ObservedDispute(snapshot, run.data["response_id"], from_gateway=True)
        await self._disputes.apply(unit, [observed], {snapshot.payment_id or "": payment})

    async def _given_up(self, unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        row = await unit.session.get_one(DisputeResponse, run.data["response_id"])
        row.state, row.ended_at = "failed", unit.clock.now()
        row.error = f"{why.reason}: {why.detail}"[:500]
        await self._uploads.ended(unit, run, sent=False)
        dispute = await unit.session.get_one(Dispute, run.subject_id)
        what = "The evidence" if row.kind == EVIDENCE else "The concession"
        detail = f"{what} was not taken by Whop ({why.reason}); evidence is due {stamp(dispute.evidence_due_at)}."
        await raise_alarms(
            unit,
            [Alarm("response_failed", row.id, dispute.id, detail, dispute.user_id, dispute.transaction_id)],
        )


def _check(dispute: Dispute, kind: str, now: datetime) -> None:
    """Raises when the gateway would refuse for certain."""
    due = dispute.evidence_due_at
    if dispute.status not in TO_ANSWER:
        said = dispute.status.replace("_", " ")
        raise DisputeLocked(f"The dispute is {said}; only one that waits for us can be answered.")
    if due is not None and due <= now:
        raise DisputeLocked(f"The time for evidence was over on {stamp(due)}.")
    if kind == EVIDENCE and not dispute.editable:
        raise DisputeLocked(f"Whop takes no evidence for it any more ({dispute.locked_reason or 'locked'}).")
    if kind == ACCEPT and not dispute.acceptable:
        raise DisputeNotAcceptable(
            "Only a chargeback that still waits for evidence can be conceded; an inquiry moves no money."
        )


async def _look_again(unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
    """Refused, perhaps because it is done already: the gateway is asked, in a step of its own."""
    return GoTo("check", {"refusal": str(error)[:300]})


def _answer(snapshot: DisputeSnapshot) -> Answer:
    return Answer({"status": snapshot.raw_status}, object=snapshot)
