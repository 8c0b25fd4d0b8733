"""EvidenceUploads: the first steps of sending evidence, which bring its files to the gateway, one after the other.

Each file is kept, sealed, before anything is sent, so that whoever goes on after a crash sends the same bytes. What may
have happened is found out before it is done again: an announcement by its idempotency key, under which the gateway
gives the same place again, and the bytes by looking whether they have landed.
"""

import base64
import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import undefer

from quntedge.disputes.models import DisputeDocument, DisputeResponse
from quntedge.disputes.papers import Paper
from quntedge.gateway.disputed import AttachedDocument, EvidenceFileActs, FileStatus, UploadPlace
from quntedge.gateway.errors import GatewayError
from quntedge.kit.ids import new_id
from quntedge.processes.steps import Answer, GiveUp, GoTo, Next, Run, Step, WaitFor
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault

PREFIX = "ddo"

_TABLE = "dispute_document"
_TRIES_UNDER_ONE_KEY = 3
_MOST_RENEWALS = 3
_MOST_WAITS = 12
_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(minutes=5)
_LANDED = frozenset({FileStatus.PROCESSING, FileStatus.READY, FileStatus.FAILED})


class EvidenceUploads:
    """The steps, and what becomes of the files afterwards. `done` is the step that follows when all files are ready."""

    def __init__(self, units: UnitOfWorkFactory, gateway: EvidenceFileActs, vault: Vault, *, done: str) -> None:
        self._units = units
        self._gateway = gateway
        self._vault = vault
        self._done = done

    def steps(self) -> tuple[Step, ...]:
        """Begins with `next_file`, which goes from file to file."""
        return (
            Step("next_file", self._choose),
            Step("announce", self._announced, call=self._announce),
            Step("put", self._put_settled, call=self._put, look=self._look, refused=self._expired),
            Step("ready", self._checked, call=self._check),
        )

    async def plan(self, unit: UnitOfWork, response: DisputeResponse, papers: Sequence[Paper]) -> None:
        """Keeps the files that go with an answer. They have been checked (`papers.check`)."""
        if not papers:
            return
        now = unit.clock.now()
        cipher = await self._vault.cipher(unit.session, response.user_id)
        for position, paper in enumerate(papers):
            row_id = new_id(PREFIX, now)
            content = base64.b85encode(paper.content).decode()
            unit.session.add(
                DisputeDocument(
                    id=row_id,
                    response_id=response.id,
                    dispute_id=response.dispute_id,
                    user_id=response.user_id,
                    position=position,
                    name=paper.name,
                    document_type=paper.document_type,
                    content_type=paper.content_type,
                    size_bytes=len(paper.content),
                    sha256=hashlib.sha256(paper.content).hexdigest(),
                    content=cipher.seal(_TABLE, "content", row_id, content),
                    state="planned",
                    created_at=now,
                )
            )
        await unit.session.flush()

    async def uploaded(self, unit: UnitOfWork, run: Run) -> list[AttachedDocument]:
        """What is to be attached."""
        rows = await _documents(unit, run)
        return [AttachedDocument(row.whop_file_id, row.document_type) for row in rows if row.whop_file_id is not None]

    async def attached(self, unit: UnitOfWork, run: Run, file_ids: Collection[str]) -> None:
        """These hang on the dispute now."""
        for row in await _documents(unit, run):
            if row.whop_file_id in file_ids:
                row.state = "attached"

    async def ended(self, unit: UnitOfWork, run: Run, *, sent: bool) -> None:
        """The answer has reached the bank, or never will. A file for which there was no room has not."""
        for row in await _documents(unit, run):
            row.state = "sent" if sent and row.state == "attached" else "not_sent"
            row.ended_at, row.upload_to = unit.clock.now(), None

    async def _choose(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        rows = await _documents(unit, run)
        waiting = next((row for row in rows if row.state == "planned"), None)
        if waiting is not None:
            return GoTo("announce", {"document_id": waiting.id})
        return GoTo("ready" if rows else self._done)

    async def _announce(self, run: Run) -> Answer:
        async with self._units() as unit:
            row = await unit.session.get_one(DisputeDocument, run.data["document_id"])
            name, size = row.name, row.size_bytes
        # The key gives the same place again. Where the gateway itself does not know what became of it, it keeps the
        # key locked for a day, longer than a deadline may leave; an empty file that hangs nowhere does less harm.
        key = run.key if run.attempt <= _TRIES_UNDER_ONE_KEY else f"{run.key}.{run.attempt}"
        place = await self._gateway.announce_file(name, size, idempotency_key=key)
        return Answer({"file_id": place.file_id}, object=place)

    async def _announced(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        place: UploadPlace = answer.object
        row = await unit.session.get_one(DisputeDocument, run.data["document_id"])
        cipher = await self._vault.cipher(unit.session, row.user_id)
        address = json.dumps({"url": place.url, "headers": dict(place.headers)})
        row.whop_file_id, row.state = place.file_id, "announced"
        row.upload_to = cipher.seal(_TABLE, "upload_to", row.id, address)
        return GoTo("put")

    async def _put(self, run: Run) -> Answer:
        async with self._units() as unit:
            row = await unit.session.get_one(
                DisputeDocument,
                run.data["document_id"],
                options=[undefer(DisputeDocument.content), undefer(DisputeDocument.upload_to)],
            )
            if row.whop_file_id is None or row.upload_to is None:
                raise ValueError("a file is announced before its bytes are put")
            cipher = await self._vault.cipher(unit.session, row.user_id)
            address = json.loads(cipher.open(_TABLE, "upload_to", row.id, row.upload_to))
            content = base64.b85decode(cipher.open(_TABLE, "content", row.id, row.content))
            place = UploadPlace(row.whop_file_id, address["url"], address["headers"])
        await self._gateway.put_file(place, content)
        return Answer({"file_id": place.file_id})

    async def _look(self, run: Run) -> Answer | None:
        """Whether the bytes have landed at an earlier try."""
        async with self._units() as unit:
            row = await unit.session.get_one(DisputeDocument, run.data["document_id"])
            file_id = row.whop_file_id or ""
        landed = await self._gateway.file_status(file_id) in _LANDED
        return Answer({"file_id": file_id}) if landed else None

    async def _put_settled(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        row = await unit.session.get_one(DisputeDocument, run.data["document_id"])
        row.state, row.upload_to = "uploaded", None
        return GoTo("next_file")

    async def _expired(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """The place is not there any more: a new one is asked for, a few times."""
        row = await unit.session.get_one(DisputeDocument, run.data["document_id"])
        if row.renewals >= _MOST_RENEWALS:
            return GiveUp("file_refused", f"{row.name}: {error}")
        row.renewals += 1
        row.state, row.whop_file_id, row.upload_to = "planned", None, None
        return GoTo("announce")

    async def _check(self, run: Run) -> Answer:
        async with self._units() as unit:
            named = [(row.name, row.whop_file_id or "") for row in await _documents(unit, run)]
        found = {name: (await self._gateway.file_status(file_id)).value for name, file_id in named}
        return Answer({"not_ready": {name: status for name, status in found.items() if status != FileStatus.READY}})

    async def _checked(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        not_ready = answer.data["not_ready"]
        if not not_ready:
            return GoTo(self._done)
        named = ", ".join(f"{name} ({status})" for name, status in sorted(not_ready.items()))
        waits = int(run.data.get("waits", 0))
        if FileStatus.FAILED in not_ready.values() or waits >= _MOST_WAITS:
            return GiveUp("file_not_ready", f"Whop cannot use these files: {named}.")
        pause = min(_FIRST_WAIT * 2**waits, _LONGEST_WAIT)
        return WaitFor("ready", unit.clock.now() + pause, {"waits": waits + 1})


async def _documents(unit: UnitOfWork, run: Run) -> Sequence[DisputeDocument]:
    found = await unit.session.scalars(
        select(DisputeDocument)
        .where(DisputeDocument.response_id == run.data["response_id"])
        .order_by(DisputeDocument.position)
    )
    return found.all()
