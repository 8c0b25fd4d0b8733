"""Between rows, snapshots and the values the dispute rules work on."""

from dataclasses import asdict, fields

from quntedge.disputes.models import Dispute
from quntedge.disputes.rules import TO_ANSWER, DisputeState, withdrawn
from quntedge.gateway.disputed import DisputeSnapshot

_NAMES = tuple(field.name for field in fields(DisputeState))


def state_of_row(row: Dispute) -> DisputeState:
    """A stored dispute as the rules see it."""
    return DisputeState(**{name: getattr(row, name) for name in _NAMES})


def set_state(row: Dispute, state: DisputeState) -> None:
    """Makes a row say what the state says."""
    for name, value in asdict(state).items():
        setattr(row, name, value)


def state_of_snapshot(snapshot: DisputeSnapshot, held: DisputeState | None) -> DisputeState:
    """What a snapshot says, in our words."""
    status, amount, fee = snapshot.status.value, snapshot.amount, snapshot.fee
    charged = fee if fee is not None and fee.amount_minor > 0 else None
    return DisputeState(
        status=status,
        raw_status=snapshot.raw_status,
        inquiry=snapshot.inquiry,
        amount_minor=amount.amount_minor,
        currency=amount.currency,
        withdrawn_minor=withdrawn(status, snapshot.inquiry, amount.amount_minor, held),
        fee_minor=charged.amount_minor if charged is not None else 0,
        fee_currency=charged.currency if charged is not None else None,
        reason=snapshot.reason,
        reason_code=snapshot.reason_code,
        evidence_due_at=snapshot.evidence_due_at,
        evidence_submitted_at=snapshot.evidence_submitted_at,
        editable=status in TO_ANSWER if snapshot.editable is None else snapshot.editable,
        locked_reason=snapshot.locked_reason,
        acceptable=bool(snapshot.acceptable),
        gateway_updated_at=snapshot.updated_at,
    )
