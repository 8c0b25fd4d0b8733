"""Settings of our account and catalogue, done by Whop."""

from quntedge.gateway.acts import AccountActs, FailureBehavior
from quntedge.gateway.whop.calls import Calls
from quntedge.gateway.whop.shapes_account import failure_behavior_from


class AccountCalls(Calls, AccountActs):
    """What is set for the account as a whole, and plans that are sold no longer."""

    async def failure_behavior(self) -> FailureBehavior:
        """What happens to memberships whose renewal fails for good."""
        return await self._read(
            "accounts.preferences.retrieve",
            lambda sdk, options: sdk.accounts.preferences.retrieve(self._settings.account_id, request_options=options),
            failure_behavior_from,
        )

    async def archive_plan(self, plan_id: str) -> None:
        """Takes a plan off sale; who has it keeps it. Missing is as good as archived."""
        await self._remove(
            "variants.update",
            lambda sdk, options: sdk.variants.update(plan_id, visibility="archived", request_options=options),
        )
