"""The table of mails as a queue: claim with a lease, settle, give back."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from quntedge.notifications.rules import LEASE, MAX_ATTEMPTS, next_attempt
from quntedge.storage.unit_of_work import UnitOfWork

# A mail whose lease ran out eight times took the process with it eight times: it is given up, not tried for ever.
_CLAIM = text(
    """
    WITH due AS (
        SELECT id FROM notification
         WHERE state IN ('queued', 'sending') AND due_at <= :now AND id <> ALL(CAST(:held AS text[]))
         ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE notification AS n
       SET state = CASE WHEN n.attempts >= :max_attempts THEN 'failed' ELSE 'sending' END,
           error = CASE WHEN n.attempts >= :max_attempts THEN coalesce(n.error, 'gave up: no attempt ended') END,
           attempts = least(n.attempts + 1, :max_attempts),
           due_at = :lease_until
      FROM due WHERE n.id = due.id
    RETURNING n.id, n.user_id, n.kind, n.params, n.attempts, n.state, n.created_at
    """
)
_SENT = text("UPDATE notification SET state = 'sent', sent_at = :now, error = NULL WHERE id = :id AND state <> 'sent'")
# Only the sender whose attempt this is may say that it failed: after an expired lease another one may hold the mail.
_SETTLE = text(
    "UPDATE notification SET state = :state, due_at = :due_at, error = :error"
    " WHERE id = :id AND state = 'sending' AND attempts = :attempts"
)
_RELEASE = text(
    "UPDATE notification SET state = 'queued', due_at = :now, attempts = attempts - 1"
    " WHERE id = :id AND state = 'sending' AND attempts = :attempts"
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A mail that is ours to send until the lease ends. `attempts` counts this attempt."""

    id: str
    user_id: str | None
    """None in mails to staff."""
    kind: str
    params: dict[str, Any]
    attempts: int
    created_at: datetime


async def claim(unit: UnitOfWork, *, limit: int, held: Collection[str]) -> list[Claimed]:
    """Takes up to `limit` due mails that no other sender holds. Commit at once: the lease is what protects them.

    `held` are mails this process is sending already. A lease ends by our clock, and a clock that jumps ahead (demo,
    tests) would otherwise let a sender take a mail from itself.
    """
    now = unit.clock.now()
    connection = await unit.connection()
    rows = await connection.execute(
        _CLAIM,
        {"now": now, "held": list(held), "limit": limit, "max_attempts": MAX_ATTEMPTS, "lease_until": now + LEASE},
    )
    claimed = [
        Claimed(row.id, row.user_id, row.kind, row.params, row.attempts, row.created_at)
        for row in rows
        if row.state == "sending"
    ]
    return sorted(claimed, key=lambda mail: mail.id)


async def settle_sent(unit: UnitOfWork, mail: Claimed) -> None:
    """The mail server took it. True whoever holds the mail by now, so nothing is compared."""
    await (await unit.connection()).execute(_SENT, {"id": mail.id, "now": unit.clock.now()})


async def settle_later(unit: UnitOfWork, mail: Claimed, error: str) -> None:
    """It did not work this time: queued again with back-off, or failed after the last attempt."""
    now = unit.clock.now()
    again = next_attempt(mail.attempts, now)
    await _settle(unit, mail, "queued" if again else "failed", again or now, error)


async def settle_never(unit: UnitOfWork, mail: Claimed, error: str) -> None:
    """The mail server will never take it."""
    await _settle(unit, mail, "failed", unit.clock.now(), error)


async def settle_skipped(unit: UnitOfWork, mail: Claimed, why: str) -> None:
    """There is nobody to write to, or what the mail says is not true any more."""
    await _settle(unit, mail, "skipped", unit.clock.now(), why)


async def release(unit: UnitOfWork, mail: Claimed) -> None:
    """Gives back a mail that was not tried; the attempt does not count."""
    await (await unit.connection()).execute(
        _RELEASE, {"id": mail.id, "attempts": mail.attempts, "now": unit.clock.now()}
    )


async def _settle(unit: UnitOfWork, mail: Claimed, state: str, due_at: datetime, error: str) -> None:
    await (await unit.connection()).execute(
        _SETTLE, {"id": mail.id, "attempts": mail.attempts, "state": state, "due_at": due_at, "error": error[:500]}
    )
