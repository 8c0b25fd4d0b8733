"""A plain renewal costs nothing where it cannot concern anybody: the tables that the whole product touches for it.

PostgreSQL counts for each transaction which tables were scanned and written; nothing can hide from that.
"""

import contextlib
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.wiring import build
from tests.subscriptions.states import PERIOD_END

_TOUCHED = text(
    "SELECT relname FROM pg_stat_xact_user_tables"
    " WHERE coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del > 0"
)
RENEWAL = SubscriptionChanged(
    subscription_id="sub_1",
    user_id="usr_1",
    plan_id="pln_1",
    kind="subscription.renewed",
    status="active",
    started=False,
    ended=False,
    trial=False,
    checkout_id=None,
    membership_id="mem_1",
    period_end=PERIOD_END,
    grace_until=None,
    cause="msg_1",
    changed=frozenset({"period_start", "period_end"}),
)


async def touched(unit: UnitOfWork) -> set[str]:
    """The tables that this transaction has read or written so far."""
    return set((await unit.session.scalars(_TOUCHED)).all())


UNCONCERNED: tuple[set[str], ...] = ({"period_start", "period_end"}, {"period_end"}, {"renewal_price_minor"})
CONCERNED: tuple[tuple[dict[str, Any], set[str]], ...] = (
    ({"kind": "subscription.past_due", "status": "past_due", "changed": {"status", "grace_until"}}, {"dunning_case"}),
    ({"kind": "subscription.paused", "status": "paused", "changed": {"status", "paused_at"}}, {"subscription"}),
    ({"kind": "subscription.resumed", "changed": {"status", "paused_at"}}, {"pause"}),
    ({"kind": "subscription.updated", "changed": {"membership_id"}}, {"plan_change"}),
    ({"kind": "subscription.cancellation_scheduled", "changed": {"cancel_at_period_end"}}, {"trial"}),
    ({"changed": None}, {"dunning_case", "plan_change"}),
)


async def test_a_plain_renewal_touches_no_table(settings: Settings, database_url: str) -> None:
    runtime = build(settings, database_url)
    for changed in UNCONCERNED:
        async with runtime.units() as unit:
            assert await touched(unit) == set()
            unit.record(*(replace(RENEWAL, subscription_id=f"sub_{n}", changed=frozenset(changed)) for n in range(500)))
            await unit.dispatch()
            assert await touched(unit) == set(), changed
    await runtime.close()


async def test_what_concerns_a_feature_reaches_it(settings: Settings, database_url: str) -> None:
    """The gates are not merely shut."""
    runtime = build(settings, database_url)
    for change, tables in CONCERNED:
        changed = change["changed"]
        async with runtime.units() as unit:
            unit.record(replace(RENEWAL, **(change | {"changed": None if changed is None else frozenset(changed)})))
            # There is no such subscription: whoever looks for it says so, after having looked.
            with contextlib.suppress(LookupError):
                await unit.dispatch()
            assert tables <= await touched(unit), change
    await runtime.close()


def test_what_a_fact_touches() -> None:
    assert RENEWAL.touches("period_end", "status")
    assert not RENEWAL.touches("status", "membership_id")
    assert replace(RENEWAL, changed=None).touches("status"), "whoever does not know must look"
