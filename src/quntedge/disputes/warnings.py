"""WarningService: keeps dispute alerts and complaints in step with Whop. Both only tell; money moves by refunds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from quntedge.disputes.alarms import Alarm, raise_alarms
from quntedge.disputes.events import AlertSeen
from quntedge.disputes.models import DisputeAlert, ResolutionCase
from quntedge.disputes.service import DisputedPayment
from quntedge.gateway.disputed import AlertKind, CaseSnapshot, CaseStatus, DisputeAlertSnapshot
from quntedge.kit.ids import new_id
from quntedge.storage.unit_of_work import UnitOfWork

ALERT_PREFIX = "dpa"
CASE_PREFIX = "rcc"

_ALERT_FACTS = (
    "user_id",
    "transaction_id",
    "kind",
    "raw_kind",
    "amount_minor",
    "currency",
    "auto_refunded",
    "fee_charged",
    "fee_minor",
    "fee_currency",
    "gateway_updated_at",
    "updated_at",
)
_CASE_FACTS = (
    "status",
    "raw_status",
    "amount_minor",
    "currency",
    "reason",
    "outcome",
    "refund",
    "escalated",
    "response_due_at",
    "gateway_updated_at",
    "updated_at",
)
_ADVICE = {
    AlertKind.FRAUD_WARNING: "The card's bank reports fraud; refunding now usually avoids a dispute.",
    AlertKind.DISPUTE_ALERT: "The buyer is about to dispute this payment; refunding now avoids it.",
    AlertKind.UNKNOWN: "Whop warns of something this release does not know; look at it in Whop's dashboard.",
}


class WarningService:
    """Stores alerts and complaints, and raises an alarm for those that wait for us."""

    async def apply_alerts(
        self, unit: UnitOfWork, snapshots: Sequence[DisputeAlertSnapshot], payments: Mapping[str, DisputedPayment]
    ) -> None:
        """Stores alerts by Whop's id; an older snapshot changes nothing. One about no payment of ours is kept too."""
        now = unit.clock.now()
        for snapshot in snapshots:
            payment = payments.get(snapshot.payment_id or "")
            new = insert(DisputeAlert).values(
                id=new_id(ALERT_PREFIX, now),
                whop_alert_id=snapshot.alert_id,
                user_id=payment.user_id if payment else None,
                transaction_id=payment.transaction_id if payment else None,
                kind=snapshot.kind.value,
                raw_kind=snapshot.raw_kind,
                amount_minor=snapshot.amount.amount_minor,
                currency=snapshot.amount.currency,
                auto_refunded=bool(snapshot.auto_refunded),
                fee_charged=snapshot.fee_charged,
                fee_minor=snapshot.fee.amount_minor if snapshot.fee else 0,
                fee_currency=snapshot.fee.currency if snapshot.fee else None,
                occurred_at=snapshot.reported_at or snapshot.created_at or now,
                gateway_updated_at=snapshot.updated_at,
                created_at=now,
                updated_at=now,
            )
            await unit.session.execute(
                new.on_conflict_do_update(
                    index_elements=[DisputeAlert.whop_alert_id],
                    set_={name: new.excluded[name] for name in _ALERT_FACTS},
                    where=_not_older(DisputeAlert.gateway_updated_at, new.excluded.gateway_updated_at),
                )
            )
        rows = await _alerts(unit, [snapshot.alert_id for snapshot in snapshots])
        unit.record(*(_seen(row) for row in rows if row.transaction_id is not None))
        await raise_alarms(unit, _waiting(rows))

    async def apply_cases(
        self, unit: UnitOfWork, snapshots: Sequence[CaseSnapshot], payments: Mapping[str, DisputedPayment]
    ) -> None:
        """Stores complaints by Whop's id; an older snapshot changes nothing. The caller knows every payment."""
        now = unit.clock.now()
        for snapshot in snapshots:
            payment = payments[snapshot.payment_id or ""]
            new = insert(ResolutionCase).values(
                id=new_id(CASE_PREFIX, now),
                whop_case_id=snapshot.case_id,
                user_id=payment.user_id,
                transaction_id=payment.transaction_id,
                status=snapshot.status.value,
                raw_status=snapshot.raw_status,
                amount_minor=snapshot.amount.amount_minor if snapshot.amount else None,
                currency=snapshot.amount.currency if snapshot.amount else None,
                reason=snapshot.reason,
                outcome=snapshot.outcome,
                refund=snapshot.refund,
                escalated=snapshot.escalated,
                response_due_at=snapshot.response_due_at,
                opened_at=snapshot.created_at or now,
                gateway_updated_at=snapshot.updated_at,
                created_at=now,
                updated_at=now,
            )
            await unit.session.execute(
                new.on_conflict_do_update(
                    index_elements=[ResolutionCase.whop_case_id],
                    set_={name: new.excluded[name] for name in _CASE_FACTS},
                    where=_not_older(ResolutionCase.gateway_updated_at, new.excluded.gateway_updated_at),
                )
            )
        await raise_alarms(unit, await _waiting_cases(unit, [snapshot.case_id for snapshot in snapshots]))


def _not_older(held: Any, incoming: Any) -> Any:
    return held.is_(None) | (incoming >= held)


async def _alerts(unit: UnitOfWork, alert_ids: Sequence[str]) -> Sequence[DisputeAlert]:
    """These alerts as they stand now."""
    rows = await unit.session.scalars(
        select(DisputeAlert)
        .where(DisputeAlert.whop_alert_id.in_(alert_ids))
        .order_by(DisputeAlert.id)
        .execution_options(populate_existing=True)
    )
    return rows.all()


def _seen(row: DisputeAlert) -> AlertSeen:
    return AlertSeen(
        alert_id=row.id,
        transaction_id=row.transaction_id or "",
        user_id=row.user_id or "",
        fee_minor=row.fee_minor,
        fee_currency=row.fee_currency if row.fee_minor else None,
        occurred_at=row.occurred_at,
        cause=row.whop_alert_id,
    )


def _waiting(rows: Sequence[DisputeAlert]) -> list[Alarm]:
    """Those of these alerts after which somebody should act: nothing was refunded by itself."""
    return [
        Alarm(
            "alert",
            row.id,
            row.id,
            _ADVICE[AlertKind(row.kind)],
            row.user_id,
            row.transaction_id,
            row.amount_minor,
            row.currency,
        )
        for row in rows
        if row.kind != AlertKind.RAPID_RESOLUTION and not row.auto_refunded
    ]


async def _waiting_cases(unit: UnitOfWork, case_ids: Sequence[str]) -> list[Alarm]:
    rows = await unit.session.scalars(
        select(ResolutionCase)
        .where(
            ResolutionCase.whop_case_id.in_(case_ids),
            ResolutionCase.status.in_((CaseStatus.AWAITING_SELLER, CaseStatus.UNKNOWN)),
        )
        .execution_options(populate_existing=True)
    )
    return [
        Alarm(
            "complaint",
            f"{row.id}:{_stamp(row.response_due_at)}",
            row.id,
            "A complaint in Whop's resolution center waits for an answer; give it in Whop's dashboard.",
            row.user_id,
            row.transaction_id,
            row.amount_minor,
            row.currency,
        )
        for row in rows
    ]


def _stamp(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y%m%dT%H%M%S}"
