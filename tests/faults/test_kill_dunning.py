"""The worker is killed with SIGKILL in the middle of a retry, and of the end of a subscription nobody pays for."""

from datetime import datetime, timedelta
from typing import Any

from tests.faults.fleet import Customer, Death, Fleet, When
from tests.faults.marks import KILLS

pytestmark = KILLS

RETRY, CANCEL = "POST /payments/*/retry", "POST /memberships/*/cancel"
FAILS_LATER = "4000000000000341"
WHENS: tuple[When, ...] = ("before", "after", "late")


async def the_case(customer: Customer) -> dict[str, Any]:
    """The only one, as soon as the news that opens it has been worked on."""
    found: list[dict[str, Any]] = []

    async def is_there() -> bool:
        found[:] = await customer.fleet.rows("SELECT * FROM dunning_case WHERE user_id = :user", user=customer.user_id)
        return bool(found)

    await customer.fleet.until(is_there)
    [row] = found
    return row


async def until(customer: Customer, column: str) -> None:
    """Goes to the time at which this is due, as soon as that is known, and two minutes further."""
    found: list[datetime] = []

    async def is_known() -> bool:
        found[:] = filter(None, [(await the_case(customer))[column]])
        return bool(found)

    await customer.fleet.until(is_known)
    await customer.fleet.advance(to=(found[0] + timedelta(minutes=2)).isoformat())


async def failed_attempts(customer: Customer) -> int:
    """As the gateway counts them, at the payment that is open."""
    tables = customer.fleet.emulator.runtime.world.store.tables
    return max(one.payments_failed for one in tables.payments.values() if one.membership_id == customer.membership_id)


async def test_retries_and_the_end_whoever_dies(fleet: Fleet) -> None:
    """Each of our three retries is one attempt at the gateway, however it was cut off; then the end comes once."""
    async with fleet.customer("quarterly", FAILS_LATER) as kim:
        # Whop has tried in vain, and keeps what stays unpaid: all further tries are ours.
        await fleet.advance(days=95)
        assert ((await the_case(kim))["state"], (await the_case(kim))["attempts_own"]) == ("open", 0)
        by_whop = await failed_attempts(kim)
        for number, when in enumerate(WHENS, start=1):
            await fleet.dying(Death("worker", RETRY, when), lambda: until(kim, "next_attempt_at"))
            await fleet.go_on()
            case = await the_case(kim)
            assert (case["attempts_own"], await failed_attempts(kim)) == (number, by_whop + number)
            assert case["state"] == "open"
        await fleet.dying(Death("worker", CANCEL, "after"), lambda: until(kim, "end_at"))
        await fleet.go_on()
        case = await the_case(kim)
        assert (case["state"], case["closed_by"], case["needs_review"]) == ("exhausted", "us", False)
        assert ((await kim.subscription())["status"], await kim.allowed()) == ("canceled", False)
        assert await kim.at_gateway() == ([], [7500])
        mails = await fleet.rows(
            "SELECT count(*) AS n FROM notification WHERE user_id = :user AND kind = 'ended_unpaid'", user=kim.user_id
        )
        assert mails[0]["n"] == 1


async def test_a_recovery_in_a_retry_that_is_cut_off(fleet: Fleet) -> None:
    """The money came, the answer did not: it is not asked for again, and access is back."""
    async with fleet.customer("quarterly", FAILS_LATER) as kim:
        await fleet.advance(days=95)
        tables = fleet.emulator.runtime.world.store.tables
        member = tables.memberships[kim.membership_id].member_id
        [method] = [one.id for one in tables.methods.values() if one.member_id == member]
        await fleet.emulator.change_card(method, "succeeds")
        await fleet.dying(Death("worker", RETRY, "after"), lambda: until(kim, "next_attempt_at"))
        await fleet.go_on()
        case = await the_case(kim)
        assert (case["state"], case["outcome"] is not None, case["attempts_own"]) == ("recovered", True, 1)
        assert await kim.at_gateway() == (["active"], [7500, 7500])
        assert ((await kim.subscription())["status"], await kim.allowed()) == ("active", True)
