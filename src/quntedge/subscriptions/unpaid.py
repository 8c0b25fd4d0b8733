"""What the gateway does with memberships that stay unpaid: asked regularly, because the seller changes it there."""

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from quntedge.gateway.acts import AccountActs
from quntedge.gateway.errors import GatewayError
from quntedge.kit.logging import get_logger
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.subscriptions.models import GatewayAccount

log = get_logger(__name__)


class UnpaidWatch:
    """Keeps what the gateway has said, for those who promise customers time to pay."""

    def __init__(self, units: UnitOfWorkFactory, gateway: AccountActs, account_id: str) -> None:
        self._units = units
        self._gateway = gateway
        self._account_id = account_id

    async def check(self) -> int:
        """Asks the gateway and writes down what is new; 1 if something is. Where it does not answer, what it said
        last is believed."""
        try:
            behavior = await self._gateway.failure_behavior()
        except GatewayError as error:
            log.warning("gateway_account.not_asked", code=error.code)
            return 0
        async with self._units() as unit:
            held = await unit.session.scalar(
                select(GatewayAccount.unpaid).where(GatewayAccount.account_id == self._account_id)
            )
            if held == behavior:
                return 0
            # What another account said, from before this one was configured, holds no more.
            await unit.session.execute(delete(GatewayAccount).where(GatewayAccount.account_id != self._account_id))
            values = {"unpaid": behavior.value, "read_at": unit.clock.now()}
            await unit.session.execute(
                insert(GatewayAccount)
                .values(account_id=self._account_id, **values)
                .on_conflict_do_update(index_elements=["account_id"], set_=values)
            )
            await unit.commit()
        log.info("gateway_account.changed", unpaid=behavior.value, before=held)
        return 1


CANCELS = select(func.coalesce(func.bool_or(GatewayAccount.unpaid == "cancel"), False)).scalar_subquery()
"""Whether the gateway cancels what stays unpaid. As long as nobody has asked, plans are taken at their word."""
