"""Access snapshots for many callers at once: requests that arrive together share one trip to the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.access.rules import AccessSnapshot, Decision, FeatureTable, SubscriptionFacts, decide, decide_all
from quntedge.access.tables import FeatureRow, FeatureTables
from quntedge.kit.clock import Clock
from quntedge.storage.batching import MicroBatcher
from quntedge.subscriptions.models import LIVE

# One statement, so one trip and one moment for everything: what a user has, what plans bring, which keys are good.
#
# Of a user comes the subscription that speaks for them: a live one, else one whose paid time still runs, else the
# newest. The three kinds of rows share their columns, each using some; `kind` says which they are.
_EVERYTHING = """
SELECT 'user' AS kind, u.id, s.id, s.plan_id, s.status, s.cancel_at_period_end,
       s.period_end, s.trial_end, s.grace_until, s.ended_at, NULL::text[], NULL::bytea, 0,
       s.pause_access_until, NULL::text[],
       EXISTS (SELECT FROM access_hold h WHERE h.subscription_id = s.id AND h.released_at IS NULL)
  FROM app_user u
  LEFT JOIN LATERAL (
       SELECT * FROM subscription c WHERE c.user_id = u.id
        ORDER BY c.status = ANY(%(live)s) DESC,
                 c.ended_at > %(now)s DESC NULLS LAST, c.created_at DESC, c.id DESC
        LIMIT 1) s ON true
 WHERE u.id = ANY(%(users)s)
UNION ALL
SELECT 'feature', f.code, NULL, max(p.id) FILTER (WHERE p.kind = 'free' AND p.archived_at IS NULL), f.kind, NULL,
       NULL, NULL, NULL, NULL, array_agg(p.id) FILTER (WHERE p.id IS NOT NULL), NULL, f.position,
       NULL, array_agg(pf.value) FILTER (WHERE p.id IS NOT NULL AND f.kind <> 'boolean'), false
  FROM feature f
  LEFT JOIN plan_feature pf ON pf.feature_code = f.code
  LEFT JOIN plan p ON p.id = pf.plan_id
 GROUP BY f.code
UNION ALL
SELECT 'key', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, scopes, token_digest, 0, NULL, NULL, false
  FROM api_key
 WHERE token_digest = ANY(%(digests)s) AND revoked_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Some users, and the digest of the service key that asks about them (None when a customer asks)."""

    user_ids: tuple[str, ...]
    key_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Snapshots in the order asked. `scopes` is None when the key is not one of ours or was revoked."""

    snapshots: tuple[AccessSnapshot, ...]
    scopes: frozenset[str] | None


class AccessService:
    """Decides about access from what the database says at this moment; nothing is remembered between two batches."""

    def __init__(self, engine: AsyncEngine, clock: Clock, *, lanes: int = 1, max_batch: int = 200) -> None:
        self._engine = engine
        self._clock = clock
        self._tables = FeatureTables()
        self._batcher: MicroBatcher[Question, Answer] = MicroBatcher(self._load, max_batch=max_batch, lanes=lanes)

    @property
    def clock(self) -> Clock:
        """The clock by which decisions are made."""
        return self._clock

    async def ask(self, question: Question) -> Answer:
        """Looks up the key and the users together, in the same batch as everybody else who asks right now."""
        return await self._batcher.submit(question)

    async def snapshots(self, user_ids: Sequence[str]) -> tuple[AccessSnapshot, ...]:
        """The snapshots of these users, in the order asked. A cache would sit exactly here."""
        return (await self.ask(Question(tuple(user_ids)))).snapshots

    async def decide(self, user_id: str, feature: str) -> Decision:
        """May this user use this feature now? Raises `UnknownFeature`."""
        (snapshot,) = await self.snapshots((user_id,))
        return decide(snapshot, feature, self._clock.now())

    async def decide_all(self, user_id: str) -> dict[str, Decision]:
        """The decisions about every feature of the catalogue."""
        (snapshot,) = await self.snapshots((user_id,))
        return decide_all(snapshot, self._clock.now())

    async def _load(self, questions: Sequence[Question]) -> list[Answer]:
        users = {user_id for question in questions for user_id in question.user_ids}
        digests = {question.key_digest for question in questions if question.key_digest is not None}
        rows = await self._read(users, digests)
        table = rows.table
        snapshots = {
            user_id: AccessSnapshot(user_id, user_id in rows.users, rows.users.get(user_id), table) for user_id in users
        }
        return [
            Answer(
                tuple(snapshots[user_id] for user_id in question.user_ids),
                None if question.key_digest is None else rows.scopes.get(question.key_digest),
            )
            for question in questions
        ]

    async def _read(self, users: Iterable[str], digests: Iterable[bytes]) -> "_Rows":
        async with self._engine.connect() as connection:
            # A single reading statement needs no transaction around it.
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            raw = (await connection.get_raw_connection()).driver_connection
            if not isinstance(raw, AsyncConnection):
                raise TypeError("the engine does not run on psycopg")
            asked = {"users": list(users), "digests": list(digests), "now": self._clock.now(), "live": list(LIVE)}
            # Below the toolkit on purpose: this is the one statement that runs thousands of times a second.
            cursor = await raw.execute(_EVERYTHING, asked)
            return self._sorted_out(await cursor.fetchall())

    def _sorted_out(self, rows: Sequence[tuple[Any, ...]]) -> "_Rows":
        users: dict[str, SubscriptionFacts | None] = {}
        scopes: dict[bytes, frozenset[str]] = {}
        features: list[FeatureRow] = []
        for row in rows:
            match row[0]:
                case "user":
                    users[row[1]] = None if row[2] is None else SubscriptionFacts(*row[2:10], *row[13:14], *row[15:16])
                case "feature":
                    features.append((row[12], row[1], row[4], row[3], row[10] or (), row[14]))
                case _:
                    scopes[bytes(row[11])] = frozenset(row[10])
        return _Rows(users, self._tables.of(features), scopes)


@dataclass(frozen=True, slots=True)
class _Rows:
    users: Mapping[str, SubscriptionFacts | None]
    table: FeatureTable
    scopes: Mapping[bytes, frozenset[str]]
