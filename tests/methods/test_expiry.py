"""The card that pays is announced to expire: once, in time, and only to those it matters to."""

from datetime import UTC, datetime, timedelta

from quntedge.notifications.methods import card_of, pays_no_more
from tests.methods.world import MethodWorld

MASTERCARD = "5555555555554444"


async def due(world: MethodWorld) -> datetime | None:
    (row,) = await world.base.rows("SELECT min(warn_at) AS at FROM payment_method")
    found: datetime | None = row["at"]
    return found


async def test_thirty_days_before_the_end_of_the_month_and_once(world: MethodWorld) -> None:
    await world.buy(expiry="11/26")
    assert await due(world) == datetime(2026, 11, 1, tzinfo=UTC)
    await world.base.jump(to=datetime(2026, 10, 31, 23, 0, tzinfo=UTC))
    assert (await world.warn(), await world.warnings()) == (0, [])
    await world.base.jump(hours=1)
    assert await world.warn() == 1
    (view,) = await world.shown()
    assert await world.warnings() == [f"method_expiring:{view.id}:2026-11"]
    assert (view.expires_soon, view.expired) == (True, False)
    await world.look()
    assert (await due(world), await world.warn()) == (None, 0)


async def test_a_card_that_pays_nothing_is_not_announced(world: MethodWorld) -> None:
    await world.buy()
    await world.add(MASTERCARD, expiry="09/26")
    assert await due(world) == datetime(2029, 12, 2, tzinfo=UTC)
    second = next(view.id for view in await world.shown() if not view.is_default)
    await world.methods.service.make_default(world.user_id, second)
    assert await due(world) == datetime(2026, 9, 1, tzinfo=UTC), "chosen in its last month: at once"
    assert await world.warn() == 1
    assert len(await world.warnings()) == 1


async def test_who_leaves_is_left_alone_and_who_stays_is_told(world: MethodWorld) -> None:
    await world.buy(expiry="10/26")
    gateway = world.base.runtime.gateway
    await gateway.cancel_membership(world.base.membership_id, at_period_end=True, idempotency_key="leave")
    await world.base.hear()
    await world.base.jump(to=datetime(2026, 10, 3, tzinfo=UTC))
    assert (await world.warn(), await world.warnings()) == (1, [])
    await world.look()
    assert await due(world) is None
    await gateway.keep_membership(world.base.membership_id)
    await world.base.hear()
    await world.base.jump(hours=25)
    await world.look()
    assert await world.warn() == 1
    assert len(await world.warnings()) == 1


async def test_a_card_that_the_bank_extended_is_announced_for_its_new_month(world: MethodWorld) -> None:
    await world.buy(expiry="10/26")
    await world.base.jump(to=datetime(2026, 10, 3, tzinfo=UTC))
    assert await world.warn() == 1
    store = world.base.emulator.runtime.world.store
    card = store.tables.methods[world.charged_with() or ""]
    card.exp_month = 11
    await world.base.jump(hours=25)
    await world.look()
    assert await due(world) == datetime(2026, 11, 1, tzinfo=UTC)
    await world.base.jump(to=datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=1))
    assert await world.warn() == 1
    assert [key[-7:] for key in await world.warnings()] == ["2026-10", "2026-11"]


async def test_a_mail_that_waited_says_nothing_that_is_not_true_any_more(world: MethodWorld) -> None:
    await world.buy(expiry="10/26")
    await world.base.jump(to=datetime(2026, 10, 3, tzinfo=UTC))
    await world.warn()
    [mail] = await world.base.rows("SELECT params FROM notification WHERE kind = 'method_expiring'")

    async def moot() -> str | None:
        async with world.base.runtime.units() as unit:
            return await pays_no_more(unit.session, mail["params"])

    assert await moot() is None
    assert card_of(mail["params"]) == "Visa •••• 4242"
    await world.add(MASTERCARD)
    other = next(view.id for view in await world.shown() if not view.is_default)
    await world.methods.service.make_default(world.user_id, other)
    assert await moot() == "the card does not pay the subscription any more"
