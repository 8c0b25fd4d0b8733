"""How often somebody tries to sign in, counted by all web processes together.

The limits of one process (`edge.limits`) keep its work small. They are no limit to guessing where several processes
serve: each would allow its share. Guesses are therefore counted in the database as well, where a sign-in goes anyway.
"""

import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import case, delete, literal
from sqlalchemy.dialects.postgresql import insert

from quntedge.accounts.models import AttemptWindow
from quntedge.kit.errors import RateLimited
from quntedge.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `amount` attempts of `who` in any `seconds`; `rule` names what is counted."""

    rule: str
    who: str
    amount: int
    seconds: int


class SignInAttempts:
    """A sliding window for each quota: this window's attempts and the part of the last one's that still overlaps."""

    def __init__(self, secret_key: str) -> None:
        """Whoever tries is known by a keyed digest: neither addresses nor e-mail addresses are stored."""
        self._key = hmac.digest(secret_key.encode(), b"quntedge/attempts", "sha256")

    async def count(self, unit: UnitOfWork, quotas: Sequence[Quota]) -> None:
        """Counts one attempt against each quota. Raises `RateLimited` when one is used up.

        The caller commits at once, whatever comes of the attempt; rolled back, it would not have been counted.
        """
        now = unit.clock.now()
        # In one order, so that two attempts never wait for each other.
        for quota in sorted(quotas, key=lambda quota: quota.rule):
            if not await self._hit(unit, quota, now):
                raise RateLimited(
                    "Too many requests in a short time. Wait a moment, then try again.",
                    retry_after_seconds=quota.seconds - int(now.timestamp()) % quota.seconds,
                )

    async def purge(self, unit: UnitOfWork) -> int:
        """Deletes counters that limit nothing any more and says how many there were."""
        gone = await unit.session.execute(
            delete(AttemptWindow).where(AttemptWindow.ends_at <= unit.clock.now()).returning(AttemptWindow.rule)
        )
        return len(gone.all())

    async def _hit(self, unit: UnitOfWork, quota: Quota, now: datetime) -> bool:
        """Whether there was room. One statement decides and counts, so that two attempts cannot both be the last."""
        position = now.timestamp() / quota.seconds
        number = math.floor(position)
        digest = hmac.digest(self._key, f"{quota.rule}|{quota.who}".encode("utf-8", "surrogatepass"), "sha256")
        ends_at = datetime.fromtimestamp((number + 2) * quota.seconds, UTC)
        held = AttemptWindow
        current = case((held.number == number, held.current), else_=0)
        previous = case((held.number == number, held.previous), (held.number == number - 1, held.current), else_=0)
        counted = await unit.session.execute(
            insert(AttemptWindow)
            .values(rule=quota.rule, digest=digest, number=number, current=1, previous=0, ends_at=ends_at)
            .on_conflict_do_update(
                index_elements=[held.rule, held.digest],
                set_={"number": number, "current": current + 1, "previous": previous, "ends_at": ends_at},
                where=current + previous * literal(1 - (position - number)) + 1 <= quota.amount,
            )
            .returning(held.rule)
        )
        return counted.one_or_none() is not None
