"""Web and worker are killed with SIGKILL in the middle of a cancellation: it takes place once, and is told once."""

import pytest

from tests.faults.fleet import Customer, Death, Fleet, When
from tests.faults.marks import KILLS

pytestmark = KILLS

CANCEL = "POST /memberships/*/cancel"


async def mails(customer: Customer, kind: str) -> int:
    rows = await customer.fleet.rows(
        "SELECT count(*) AS n FROM notification WHERE user_id = :user AND kind = :kind",
        user=customer.user_id,
        kind=kind,
    )
    return int(rows[0]["n"])


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancellation_at_the_end_of_the_period(fleet: Fleet, when: When) -> None:
    """Web dies with the click, the worker dies with the second try; access goes on until the end."""
    async with fleet.customer("quarterly") as kim:
        await fleet.dying(
            Death("web", CANCEL, when), lambda: kim.post("/api/subscription/cancel", {"when": "period_end"})
        )
        if when == "before":
            await fleet.dying(Death("worker", CANCEL, when), lambda: fleet.advance(seconds=300))
        await fleet.go_on()
        row = await kim.subscription()
        assert (row["status"], row["cancel_at_period_end"], await kim.allowed()) == ("active", True, True)
        # Whoever clicks again, because no answer came, is told that it is done.
        again = await kim.post("/api/subscription/cancel", {"when": "period_end"})
        assert again.status_code in (200, 409), again.text
        assert await mails(kim, "cancellation_scheduled") == 1
        await fleet.advance(days=91)
        assert ((await kim.subscription())["status"], await kim.allowed()) == ("canceled", False)
        assert await kim.at_gateway() == ([], [7500])
        assert await mails(kim, "subscription_ended") == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_cancellation_now(fleet: Fleet, when: When) -> None:
    async with fleet.customer("quarterly") as kim:
        await fleet.dying(Death("web", CANCEL, when), lambda: kim.post("/api/subscription/cancel", {"when": "now"}))
        await fleet.go_on()
        assert ((await kim.subscription())["status"], await kim.at_gateway()) == ("canceled", ([], [7500]))
        assert await mails(kim, "subscription_ended") == 1
