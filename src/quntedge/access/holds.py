"""Keeping access from a subscription, and giving it back: works in the caller's unit of work and never commits."""

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from quntedge.access.models import AccessHold
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.subscriptions.service import ACCESS_CHANNEL

DISPUTED = "payment_disputed"


async def hold(unit: UnitOfWork, subscription_id: str, user_id: str, cause: str) -> None:
    """From now on the subscription opens nothing, until this cause is released. Repeating it changes nothing."""
    new = insert(AccessHold).values(
        subscription_id=subscription_id, cause=cause, user_id=user_id, reason=DISPUTED, held_at=unit.clock.now()
    )
    await unit.session.execute(
        new.on_conflict_do_update(
            index_elements=[AccessHold.subscription_id, AccessHold.cause],
            set_={"held_at": new.excluded.held_at, "released_at": None},
            where=AccessHold.released_at.is_not(None),
        )
    )
    unit.notify(ACCESS_CHANNEL, user_id)


async def release(unit: UnitOfWork, subscription_id: str, user_id: str, cause: str) -> None:
    """This cause keeps nobody from access any more; another one may. Releasing what is not held changes nothing."""
    freed = await unit.session.execute(
        update(AccessHold)
        .where(
            AccessHold.subscription_id == subscription_id,
            AccessHold.cause == cause,
            AccessHold.released_at.is_(None),
        )
        .values(released_at=unit.clock.now())
        .returning(AccessHold.cause)
        .execution_options(synchronize_session=False)
    )
    if freed.all():
        unit.notify(ACCESS_CHANNEL, user_id)
