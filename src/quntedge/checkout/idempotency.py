"""Idempotency-Key: the same request sent twice is done once and answered twice.

A key belongs to its caller. The first request with it inserts the record, by primary key, and holds a lease; a request
that finds the lease running is told to wait, one that finds it over resumes the work with the same resource id.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from quntedge.checkout.models import IdempotencyRecord
from quntedge.kit.errors import Conflict, InvalidRequest, Malformed
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory

LEASE = timedelta(seconds=60)
KEPT = timedelta(hours=24)
LONGEST_KEY = 255


class IdempotencyKeyMissing(InvalidRequest):
    """The request creates something that costs money and came without an Idempotency-Key."""

    code = "idempotency_key_missing"
    title = "The Idempotency-Key header is missing"


class IdempotencyKeyInvalid(InvalidRequest):
    """The Idempotency-Key is empty, too long, or holds blanks or other invisible characters."""

    code = "idempotency_key_invalid"
    title = "The Idempotency-Key header is not valid"


class IdempotencyKeyInFlight(Conflict):
    """The first request with this key is still being worked on. `resource_id` names what it is making."""

    code = "idempotency_key_in_flight"
    title = "A request with this Idempotency-Key is still running"


class IdempotencyKeyReused(Malformed):
    """The key was used before for something else."""

    code = "idempotency_key_reused"
    title = "This Idempotency-Key belongs to another request"


@dataclass(frozen=True, slots=True)
class Fresh:
    """The work is ours to do, under this resource id. `resumed` when an earlier request began and did not finish."""

    resource_id: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """The work is done; this was the answer."""

    status: int
    answer: dict[str, Any]


def digest_of(request: Mapping[str, Any]) -> str:
    """A digest of a request's content that does not depend on the order of its members."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def checked_key(key: str | None) -> str:
    """The key, if it is one: 1 to 255 visible ASCII characters. Raises `IdempotencyKeyMissing` or `…Invalid`."""
    if key is None:
        raise IdempotencyKeyMissing(
            "Send an Idempotency-Key header with a new random text (a UUID) for each purchase, and the same one when "
            "you repeat the request."
        )
    if not 1 <= len(key) <= LONGEST_KEY or not all("!" <= character <= "~" for character in key):
        raise IdempotencyKeyInvalid(
            f"An Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters without blanks; a UUID is a good one."
        )
    return key


class IdempotencyService:
    """The remembered answers. `begin` commits on its own; the others are part of the caller's transaction."""

    async def begin(
        self,
        units: UnitOfWorkFactory,
        caller: str,
        key: str | None,
        operation: str,
        request_digest: str,
        resource_id: str,
    ) -> Fresh | Replay:
        """Claims the key for this request, or finds the answer given before.

        `resource_id` is the id the work would be done under; the answer holds the one to use. Raises
        `IdempotencyKeyMissing`, `IdempotencyKeyInvalid`, `IdempotencyKeyInFlight` or `IdempotencyKeyReused`.
        """
        key = checked_key(key)
        async with units() as unit:
            now = unit.clock.now()
            # Records past their time are no answers any more, whether or not somebody has purged them yet.
            await unit.session.execute(_of(caller, key, IdempotencyRecord.created_at <= now - KEPT))
            made = await unit.session.scalar(
                insert(IdempotencyRecord)
                .values(
                    caller=caller,
                    key=key,
                    operation=operation,
                    request_digest=request_digest,
                    resource_id=resource_id,
                    created_at=now,
                    locked_until=now + LEASE,
                )
                .on_conflict_do_nothing()
                .returning(IdempotencyRecord.resource_id)
            )
            result: Fresh | Replay
            if made is not None:
                result = Fresh(made, resumed=False)
            else:
                result = await self._known(unit, caller, key, operation, request_digest, now)
            await unit.commit()
            return result

    async def finish(self, unit: UnitOfWork, caller: str, key: str, status: int, answer: Mapping[str, Any]) -> None:
        """Remembers the answer, unless one is remembered already: the first answer stays the answer."""
        await unit.session.execute(
            update(IdempotencyRecord)
            .where(IdempotencyRecord.caller == caller, IdempotencyRecord.key == key, IdempotencyRecord.status.is_(None))
            .values(status=status, answer=dict(answer))
        )

    async def release(self, unit: UnitOfWork, caller: str, key: str) -> None:
        """Gives up the lease but keeps the resource id: the next request with this key resumes at once."""
        await unit.session.execute(
            update(IdempotencyRecord)
            .where(IdempotencyRecord.caller == caller, IdempotencyRecord.key == key, IdempotencyRecord.status.is_(None))
            .values(locked_until=unit.clock.now())
        )

    async def abandon(self, unit: UnitOfWork, caller: str, key: str) -> None:
        """Forgets an unfinished key: nothing was done under it, and the next request with it starts afresh."""
        await unit.session.execute(_of(caller, key, IdempotencyRecord.status.is_(None)))

    async def purge(self, unit: UnitOfWork, now: datetime) -> int:
        """Deletes the records past their 24 hours and says how many there were."""
        gone = await unit.session.execute(
            delete(IdempotencyRecord).where(IdempotencyRecord.created_at <= now - KEPT).returning(IdempotencyRecord.key)
        )
        return len(gone.all())

    async def _known(
        self, unit: UnitOfWork, caller: str, key: str, operation: str, request_digest: str, now: datetime
    ) -> Fresh | Replay:
        record = await unit.session.scalar(
            select(IdempotencyRecord)
            .where(IdempotencyRecord.caller == caller, IdempotencyRecord.key == key)
            .with_for_update()
        )
        if record is None:
            # It was abandoned between our insert and our look: that request has just ended, ours may be sent again.
            raise IdempotencyKeyInFlight("Another request with this Idempotency-Key has just ended; send yours again.")
        if record.operation != operation or record.request_digest != request_digest:
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used for another request. Use a new key for a new request, and the same "
                "body when you repeat one."
            )
        if record.status is not None:
            return Replay(record.status, record.answer or {})
        if record.locked_until > now:
            raise IdempotencyKeyInFlight(
                "The first request with this Idempotency-Key is still running. Repeat it in a few seconds.",
                extra={"resource_id": record.resource_id},
            )
        record.locked_until = now + LEASE
        return Fresh(record.resource_id, resumed=True)


def _of(caller: str, key: str, condition: Any) -> Any:
    return delete(IdempotencyRecord).where(IdempotencyRecord.caller == caller, IdempotencyRecord.key == key, condition)
