"""What a withdrawal is owed: one refund that waits for staff, and is owed until it has gone back."""

from quntedge.kit.money import Money
from tests.refunds.world import KIM, LOU, Payer, World


async def owed(world: World, payer: Payer) -> list[tuple[str, str | None, int | None]]:
    """The requests of a customer with the refunds that were made of them, in order."""
    rows = await world.rows(
        "SELECT q.state, r.status, r.amount_minor FROM refund_request q"
        " LEFT JOIN refund r ON r.refund_request_id = q.id WHERE q.user_id = :id ORDER BY r.id",
        id=payer.user_id,
    )
    return [(row["state"], row["status"], row["amount_minor"]) for row in rows]


async def waiting(world: World, payer: Payer) -> str:
    """The refund of a customer that waits for staff."""
    (row,) = await world.rows("SELECT id FROM refund WHERE user_id = :id AND status = 'requested'", id=payer.user_id)
    return str(row["id"])


async def test_it_waits_for_staff_however_small_and_is_done_when_the_money_is_back(world: World) -> None:
    payer = await world.buy()
    await world.withdraw(payer)
    assert await owed(world, payer) == [("requested", "requested", 7500)]
    assert await world.made(payer) == []
    row = await world.refund(await waiting(world, payer))
    assert (row.requested_by, row.approval_required, row.reason) == (f"customer:{payer.user_id}", True, "withdrawal")
    assert (await world.desk.approve(row.id, actor=LOU)).status == "pending"
    assert await owed(world, payer) == [("approved", "pending", 7500)]
    await world.settles(payer)
    assert await owed(world, payer) == [("done", "succeeded", 7500)]
    assert await world.payment(payer) == ("refunded", 7500, False)


async def test_what_staff_refuse_is_not_asked_for_again(world: World) -> None:
    payer = await world.buy()
    await world.withdraw(payer)
    await world.desk.reject(await waiting(world, payer), actor=LOU, note="Used it for the company.")
    await world.hear(payer.membership_id)
    assert await owed(world, payer) == [("refused", "rejected", 7500)]


async def test_what_fails_is_owed_again(world: World) -> None:
    payer = await world.buy()
    await world.withdraw(payer)
    await world.emulator.next_refund(payer.payment_id, "failed", failure_reason="bank_declined")
    await world.desk.approve(await waiting(world, payer), actor=LOU)
    await world.settles(payer)
    assert await owed(world, payer) == [("requested", "failed", 7500), ("requested", "requested", 7500)]
    await world.desk.approve(await waiting(world, payer), actor=LOU)
    await world.settles(payer)
    assert [state for state, _, _ in await owed(world, payer)] == ["done", "done"]


async def test_nothing_is_given_back_twice(world: World) -> None:
    """Staff were faster: of what is on its way already, nothing more is owed."""
    payer = await world.buy()
    await world.ask(payer, Money(5000, "usd"), actor=KIM)
    await world.withdraw(payer)
    assert await owed(world, payer) == [("requested", "requested", 2500)]
    assert await world.held(payer) == 7500


async def test_what_is_wholly_on_its_way_is_asked_for_only_if_that_fails(world: World) -> None:
    payer = await world.buy()
    await world.emulator.next_refund(payer.payment_id, "failed", failure_reason="bank_declined")
    await world.ask(payer, actor=KIM)
    await world.withdraw(payer)
    assert await owed(world, payer) == [("requested", None, None)]
    await world.settles(payer)
    assert await owed(world, payer) == [("requested", "requested", 7500)]
