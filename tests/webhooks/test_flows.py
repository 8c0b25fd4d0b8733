"""What deliveries do to the tables."""

from datetime import UTC, datetime
from itertools import permutations

import pytest

from tests.gateway import payloads
from tests.gateway.payloads import money, native_membership, native_payment
from tests.webhooks.world import INTENT, PLAN, USER, World, ours


async def test_a_purchase_becomes_a_subscription_a_transaction_and_a_paid_invoice(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.event("payment.succeeded", native_payment(**ours()), "msg_2")
    assert await world.work() == 2

    assert await world.states() == {"msg_1": ("processed", "applied"), "msg_2": ("processed", "applied")}
    subscription = await world.row("SELECT * FROM subscription")
    assert subscription["user_id"] == USER
    assert subscription["plan_id"] == PLAN
    assert subscription["status"] == "active"
    assert subscription["period_end"] == datetime(2026, 10, 29, 10, 15, 20, tzinfo=UTC)
    assert subscription["checkout_id"] == INTENT
    transaction = await world.row("SELECT * FROM payment_transaction")
    assert (transaction["status"], transaction["total_minor"], transaction["tax_minor"]) == ("paid", 3161, 261)
    assert transaction["subscription_id"] == subscription["id"]
    invoice = await world.row("SELECT * FROM invoice")
    assert (invoice["status"], invoice["number"], invoice["total_minor"]) == ("paid", "INV-2026-000001", 3161)
    intent = await world.row("SELECT state, subscription_id FROM checkout_intent")
    assert intent == {"state": "completed", "subscription_id": subscription["id"]}
    assert world.whop.reads == []
    mails = await world.rows("SELECT kind FROM notification ORDER BY kind")
    assert mails == [{"kind": "invoice"}, {"kind": "subscription_confirmed"}]


@pytest.mark.parametrize("together", [True, False])
async def test_a_payment_learns_of_the_membership_that_its_first_report_could_not_name(
    world: World, together: bool
) -> None:
    """Proration takes the payment of a membership's period: one that forgot whose it is would be worth nothing."""
    unpaid = ours(
        status="open", substatus="incomplete", membership_id=None, paid_at=None, updated_at="2026-09-29T10:15:21.000Z"
    )
    await world.event("payment.created", native_payment(**unpaid), "msg_1")
    if not together:
        await world.work()
    await world.event("membership.activated", native_membership(**ours()), "msg_2")
    await world.event("payment.succeeded", native_payment(**ours()), "msg_3")
    await world.work()
    transaction = await world.row("SELECT status, whop_membership_id, subscription_id FROM payment_transaction")
    subscription = await world.row("SELECT id, whop_membership_id FROM subscription")
    assert transaction == {
        "status": "paid",
        "whop_membership_id": subscription["whop_membership_id"],
        "subscription_id": subscription["id"],
    }


async def test_a_payment_that_was_collected_before_its_membership_was_heard_of_belongs_to_it(world: World) -> None:
    """A withdrawal and a change of plan find a subscription's payments by it, whatever came first."""
    unpaid = ours(
        status="open", substatus="incomplete", membership_id=None, paid_at=None, updated_at="2026-09-29T10:15:21.000Z"
    )
    await world.event("payment.created", native_payment(**unpaid), "msg_1")
    await world.work()
    await world.event("payment.succeeded", native_payment(**ours()), "msg_2")
    await world.work()
    await world.event("membership.activated", native_membership(**ours()), "msg_3")
    await world.work()
    subscription = await world.row("SELECT id, last_payment_at FROM subscription")
    paid = await world.row("SELECT status, subscription_id, paid_at FROM payment_transaction")
    assert (paid["status"], paid["subscription_id"]) == ("paid", subscription["id"])
    assert subscription["last_payment_at"] == paid["paid_at"]
    invoice = await world.row("SELECT subscription_id, number FROM invoice")
    assert invoice == {"subscription_id": subscription["id"], "number": "INV-2026-000001"}
    kinds = {row["kind"] for row in await world.rows("SELECT kind FROM subscription_event")}
    assert "subscription.paid" in kinds


RENEWED = {
    "current_period_start": "2026-10-29T10:15:20.000Z",
    "current_period_end": "2026-11-28T10:15:20.000Z",
    "updated_at": "2026-10-29T10:15:31.000Z",
}


async def test_a_renewal_moves_the_period_and_bills_again_though_its_metadata_is_gone(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.event("payment.succeeded", native_payment(**ours()), "msg_2")
    await world.work()
    renewal = native_payment(
        id="pay_R2",
        billing_reason="subscription_cycle",
        metadata=None,
        created_at="2026-10-29T10:15:21.000Z",
        paid_at="2026-10-29T10:15:30.000Z",
        updated_at="2026-10-29T10:15:31.000Z",
    )
    await world.event("payment.succeeded", renewal, "msg_3")
    await world.event("membership.updated", native_membership(metadata={}, **RENEWED), "msg_4")
    await world.work()

    subscription = await world.row("SELECT id, status, period_end FROM subscription")
    assert subscription["period_end"] == datetime(2026, 11, 28, 10, 15, 20, tzinfo=UTC)
    numbers = await world.rows("SELECT number, status, subscription_id FROM invoice ORDER BY number")
    assert [row["number"] for row in numbers] == ["INV-2026-000001", "INV-2026-000002"]
    assert {row["subscription_id"] for row in numbers} == {subscription["id"]}
    kinds = await world.rows("SELECT kind FROM notification ORDER BY id")
    assert sorted(row["kind"] for row in kinds) == ["invoice", "renewal_paid", "subscription_confirmed"]
    history = await world.rows("SELECT kind, before, after FROM subscription_event ORDER BY version")
    created, paid, renewed, paid_again = history
    assert [created["kind"], renewed["kind"]] == ["subscription.created", "subscription.renewed"]
    assert renewed["before"].items() <= created["after"].items()
    assert {paid["kind"], paid_again["kind"]} == {"subscription.paid"}
    assert paid_again["before"] == paid["after"] == {"last_payment_at": "2026-09-29T10:15:29+00:00"}


async def test_a_trial_has_no_invoice_for_nothing(world: World) -> None:
    trial = native_membership(**ours(status="trialing", current_period_end="2026-10-06T10:15:20.000Z"))
    free = native_payment(**ours(subtotal=money("0.00"), total=money("0.00"), tax_amount=None))
    await world.event("membership.activated", trial, "msg_1")
    await world.event("payment.succeeded", free, "msg_2")
    await world.work()
    subscription = await world.row("SELECT status, trial_end FROM subscription")
    assert subscription == {"status": "trialing", "trial_end": datetime(2026, 10, 6, 10, 15, 20, tzinfo=UTC)}
    assert await world.rows("SELECT * FROM invoice") == []
    assert (await world.row("SELECT status FROM payment_transaction"))["status"] == "paid"
    assert [row["kind"] for row in await world.rows("SELECT kind FROM notification")] == ["trial_started"]


async def test_past_due_keeps_the_subscription_through_its_grace_and_recovery_clears_it(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    late = {"status": "past_due", "updated_at": "2026-10-29T10:16:00.000Z"}
    await world.event("membership.updated", native_membership(**late), "msg_2")
    later = late | {"updated_at": "2026-10-30T10:16:00.000Z"}
    await world.event("membership.updated", native_membership(**later), "msg_3")
    await world.work()
    subscription = await world.row("SELECT status, grace_until FROM subscription")
    # Seven days from the first report; a later one does not lengthen the grace.
    assert subscription == {"status": "past_due", "grace_until": datetime(2026, 11, 5, 10, 16, tzinfo=UTC)}
    await world.event(
        "membership.activated", native_membership(**RENEWED | {"updated_at": "2026-10-31T00:00:00Z"}), "m4"
    )
    await world.work()
    assert await world.row("SELECT status, grace_until FROM subscription") == {"status": "active", "grace_until": None}


async def test_an_unknown_status_takes_nothing_away_and_asks_for_a_look(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.work()
    strange = world.whop.put(
        "memberships", native_membership(status="hibernating", updated_at="2026-10-01T00:00:00.000Z")
    )
    await world.event("membership.updated", strange, "msg_2")
    await world.work()
    assert await world.row("SELECT status, needs_review FROM subscription") == {
        "status": "active",
        "needs_review": True,
    }


async def test_an_older_snapshot_never_overwrites_a_newer_one(world: World) -> None:
    newer = native_membership(**ours(cancel_at_period_end=True, updated_at="2026-09-29T10:15:35.000Z"))
    await world.event("membership.updated", newer, "msg_1")
    await world.event("membership.activated", native_membership(**ours()), "msg_2")
    await world.work()
    assert (await world.row("SELECT cancel_at_period_end FROM subscription"))["cancel_at_period_end"] is True
    assert (await world.states())["msg_2"] == ("stale", "newer_known")


async def test_an_ended_membership_comes_back_only_when_whop_itself_says_so(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    ended = native_membership(status="canceled", updated_at="2026-10-01T00:00:00.000Z")
    await world.event("membership.deactivated", ended, "msg_2")
    await world.work()
    revived = native_membership(updated_at="2026-10-02T00:00:00.000Z")
    world.whop.put("memberships", ended)
    await world.event("membership.activated", revived, "msg_3")
    await world.work()
    assert (await world.row("SELECT status FROM subscription"))["status"] == "canceled"
    world.whop.put("memberships", revived)
    await world.event("membership.activated", revived, "msg_4")
    await world.work()
    assert (await world.row("SELECT status FROM subscription"))["status"] == "active"


async def test_a_payment_of_an_unknown_membership_fetches_it(world: World) -> None:
    world.whop.put("memberships", native_membership(**ours()))
    world.whop.put("payments", native_payment(**ours()))
    await world.event("payment.succeeded", native_payment(**ours()), "msg_1")
    await world.work()
    subscription = await world.row("SELECT id, user_id, status FROM subscription")
    assert (subscription["user_id"], subscription["status"]) == (USER, "active")
    assert (await world.row("SELECT subscription_id FROM payment_transaction"))["subscription_id"] == subscription["id"]


async def test_a_membership_nobody_here_asked_for_gets_a_customer_of_its_own(world: World) -> None:
    stranger = world.whop.put("memberships", native_membership(metadata={}))
    await world.event("membership.activated", stranger, "msg_1")
    await world.work()
    user = await world.row("SELECT u.* FROM subscription s JOIN app_user u ON u.id = s.user_id")
    assert (user["whop_user_id"], user["email"], user["password_hash"]) == (payloads.USER_ID, None, None)


async def test_a_second_membership_of_a_customer_joins_and_takes_over_when_the_first_ends(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    second = native_membership(
        **ours(id="mem_2nd", current_period_end="2026-10-20T00:00:00.000Z", created_at="2026-09-29T11:00:00.000Z")
    )
    await world.event("membership.activated", second, "msg_2")
    await world.work()
    assert (await world.row("SELECT whop_membership_id FROM subscription"))["whop_membership_id"] == "mem_3Fd"
    ended = native_membership(status="canceled", updated_at="2026-10-01T00:00:00.000Z")
    await world.event("membership.deactivated", ended, "msg_3")
    await world.work()
    subscription = await world.row("SELECT status, whop_membership_id FROM subscription")
    assert subscription == {"status": "active", "whop_membership_id": "mem_2nd"}


FINAL = """
    SELECT s.status, s.period_end, s.user_id, s.plan_id, s.cancel_at_period_end, s.checkout_id, m.gateway_updated_at,
           t.status AS paid, t.total_minor, t.gateway_updated_at AS payment_at, t.subscription_id = s.id AS linked,
           i.status AS billed, i.number, i.subscription_id = s.id AS invoice_linked, c.state AS checkout
    FROM subscription s, subscription_membership m, payment_transaction t, invoice i, checkout_intent c
"""


@pytest.mark.slow
async def test_every_order_of_a_purchase_with_duplicates_ends_the_same(world: World) -> None:
    open_payment = ours(
        status="open", substatus="incomplete", paid_at=None, refundable=False, updated_at="2026-09-29T10:15:21.000Z"
    )
    deliveries = [
        ("membership.activated", native_membership(**ours())),
        ("payment.created", native_payment(**open_payment)),
        ("payment.succeeded", native_payment(**ours())),
        ("membership.updated", native_membership(**ours(updated_at="2026-09-29T10:15:33.000Z"))),
    ]
    world.whop.put("memberships", deliveries[3][1])
    world.whop.put("payments", deliveries[2][1])
    seen = []
    for number, order in enumerate(permutations(deliveries)):
        for position, (event_type, data) in enumerate(order):
            for _ in range(2):
                await world.event(event_type, data, f"msg_{number}_{position}")
            if position % 2 == number % 2:
                await world.work()
        await world.work()
        seen.append(await world.row(FINAL))
        assert {state for state, _ in (await world.states()).values()} <= {"processed", "stale"}
        assert await world.row("SELECT count(*) AS mails FROM notification") == {"mails": 2}
        await _forget(world)
    assert len(seen) == 24
    assert all(row == seen[0] for row in seen)


async def _forget(world: World) -> None:
    async with world.runtime.units() as unit:
        connection = await unit.driver_connection()
        await connection.execute("SET session_replication_role = replica")
        for table in (
            "subscription_event invoice invoice_counter payment_attempt payment_transaction subscription_membership "
            "notification subscription webhook_event webhook_body procrastinate_jobs"
        ).split():
            await connection.execute(f"DELETE FROM {table}".encode())
        await connection.execute("UPDATE checkout_intent SET state = 'open', subscription_id = NULL")
        await connection.execute("SET session_replication_role = DEFAULT")
        await unit.session.commit()


async def test_the_checkout_learns_of_a_decline_that_arrives_after_its_payment(world: World) -> None:
    first = ours(membership_id=None, status="open", substatus="incomplete", paid_at=None, refundable=False)
    await world.event("payment.created", native_payment(**first), "msg_1")
    await world.work()
    declined = payloads.failed_native_payment(
        **ours(membership_id=None, billing_reason="subscription_create", updated_at="2026-09-29T10:15:32.000Z")
    )
    await world.event("payment.failed", declined, "msg_2")
    await world.work()
    assert await world.row("SELECT state, failure FROM checkout_intent") == {"state": "open", "failure": "soft"}


@pytest.mark.parametrize("first", [0, 1])
async def test_a_purchase_belongs_to_its_buyer_though_one_of_its_events_lacks_the_metadata(
    world: World, first: int
) -> None:
    bare = {"metadata": {}, "updated_at": "2026-09-29T10:15:33.000Z"}
    world.whop.put("memberships", native_membership(**ours(updated_at=bare["updated_at"])))
    events = [
        ("membership.activated", native_membership(**ours()), "msg_1"),
        ("membership.updated", native_membership(**bare), "msg_2"),
    ]
    for event in (events[first], events[1 - first]):
        await world.event(*event)
    await world.work()
    assert await world.row("SELECT user_id, checkout_id FROM subscription") == {"user_id": USER, "checkout_id": INTENT}
    assert await world.row("SELECT state FROM checkout_intent") == {"state": "completed"}
    assert await world.row("SELECT count(*) AS users FROM app_user") == {"users": 1}


INVOICED = (
    ("invoice.created", payloads.invoice()),
    ("payment.succeeded", native_payment(**ours())),
    (
        "invoice.paid",
        payloads.invoice(status="paid", payment={"id": payloads.PAYMENT_ID}, updated_at="2026-09-29T10:15:33.000Z"),
    ),
)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_an_explicit_invoice_and_its_payment_are_one_invoice_in_the_end(
    world: World, order: tuple[int, ...]
) -> None:
    world.whop.put("payments", INVOICED[1][1])
    world.whop.put("invoices", INVOICED[2][1])
    world.whop.put("memberships", native_membership(**ours()))
    await world.event("membership.activated", native_membership(**ours()), "msg_0")
    for number in order:
        await world.event(*INVOICED[number], f"msg_{number + 1}")
        await world.work()
    assert {state for state, _ in (await world.states()).values()} <= {"processed", "stale"}
    invoice = await world.row(
        "SELECT status, number, tax_minor, whop_invoice_id, whop_payment_id, user_id FROM invoice"
    )
    assert invoice == {
        "status": "paid",
        "tax_minor": (await world.row("SELECT tax_minor FROM payment_transaction"))["tax_minor"],
        "number": "INV-2026-000001",
        "whop_invoice_id": payloads.INVOICE_ID,
        "whop_payment_id": payloads.PAYMENT_ID,
        "user_id": USER,
    }


async def test_an_explicit_invoice_about_something_else_belongs_to_no_subscription(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.work()
    subscription = await world.row("SELECT id, plan_id FROM subscription")
    about = {"own": payloads.PLAN_ID, "other": "plan_Coaching"}
    for number, (name, plan_id) in enumerate(about.items(), start=2):
        explicit = payloads.invoice(id=f"inv_{name}", current_plan={"id": plan_id, "currency": "usd"})
        await world.event("invoice.created", explicit, f"msg_{number}")
    await world.work()
    found = await world.rows("SELECT whop_invoice_id, user_id, subscription_id, plan_id FROM invoice ORDER BY 1 DESC")
    assert [tuple(row.values()) for row in found] == [
        ("inv_own", USER, subscription["id"], subscription["plan_id"]),
        ("inv_other", USER, None, None),
    ]


async def test_a_membership_that_comes_back_joins_what_was_bought_meanwhile(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    ended = native_membership(**ours(status="canceled", updated_at="2026-10-01T00:00:00.000Z"))
    await world.event("membership.deactivated", ended, "msg_2")
    await world.work()
    second = native_membership(**ours(id="mem_2nd", created_at="2026-10-02T00:00:00.000Z"))
    await world.event("membership.activated", second, "msg_3")
    await world.work()
    revived = world.whop.put("memberships", native_membership(**ours(updated_at="2026-10-03T00:00:00.000Z")))
    await world.event("membership.activated", revived, "msg_4")
    await world.work()
    assert (await world.states())["msg_4"] == ("processed", "applied")
    statuses = await world.rows("SELECT status FROM subscription ORDER BY created_at, id")
    assert [row["status"] for row in statuses] == ["canceled", "active"]
    homes = await world.rows("SELECT DISTINCT subscription_id FROM subscription_membership")
    assert len(homes) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_what_was_never_paid_is_voided_when_the_subscription_ends(world: World, order: tuple[int, int]) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_0")
    await world.work()
    events = [
        ("payment.failed", payloads.failed_native_payment(id="pay_R2", updated_at="2026-10-29T10:15:31.000Z")),
        ("membership.updated", native_membership(**ours(status="canceled", updated_at="2026-11-03T00:00:00.000Z"))),
    ]
    for number in order:
        await world.event(*events[number], f"msg_{number + 1}")
        await world.work()
    assert await world.row("SELECT status, number FROM invoice") == {"status": "void", "number": None}


async def test_a_subscription_remembers_its_last_payment(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    await world.event("payment.succeeded", native_payment(**ours()), "msg_2")
    await world.work()
    paid = await world.row("SELECT last_payment_at FROM subscription")
    assert paid == {"last_payment_at": datetime(2026, 9, 29, 10, 15, 29, tzinfo=UTC)}


async def test_silence_about_refunds_does_not_undo_them(world: World) -> None:
    await world.event("membership.activated", native_membership(**ours()), "msg_1")
    refunded = ours(substatus="partially_refunded", refunded_amount=money("5.00"))
    await world.event("payment.succeeded", native_payment(**refunded), "msg_2")
    await world.event("payment.succeeded", native_payment(**ours(updated_at="2026-10-01T00:00:00.000Z")), "msg_3")
    await world.work()
    transaction = await world.row("SELECT status, refunded_minor FROM payment_transaction")
    assert transaction == {"status": "partially_refunded", "refunded_minor": 500}
