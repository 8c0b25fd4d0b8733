"""Each cause of a difference, brought about for real: found once, mended or left to people, and gone when mended."""

from tests.reconciliation.world import World


async def test_three_sides_that_agree_have_no_differences(world: World) -> None:
    await world.emulator.set_taxes({"de": 1900})
    first = await world.known()
    await world.refund(first, 10)
    await world.learn()
    run = await world.run()
    assert await world.found() == []
    assert await world.sums(run.id) == {
        ("charge", "usd"): (7500, 7500, 7500, 0),
        ("fee", "usd"): (233, 233, 233, 0),
        ("refund", "usd"): (1000, 1000, 1000, 0),
    }
    assert (run.rows_read, run.compared, run.found, run.repaired) == (6, 2, 0, 0)


async def test_what_we_never_heard_of_is_read_and_posted(world: World) -> None:
    payment = await world.buy()
    await world.refund(payment, 10)
    run = await world.run()
    assert [(measure, resolution) for _, measure, resolution in await world.found()] == [
        # What collecting it cost cannot be told of a payment that was refunded before we saw it: the feed knows.
        ("fee", "repaired"),
        ("charge", "repaired"),
        ("refund", "repaired"),
    ]
    assert (run.found, run.repaired) == (3, 3)
    assert (await world.sums(run.id))["fee", "usd"] == (233, None, 233, 0)
    assert (await world.sums(run.id))["charge", "usd"] == (7500, 7500, 7500, 0)
    assert await world.rows("SELECT DISTINCT resolved_by AS who FROM money_difference") == [{"who": "reconciliation"}]
    await world.run()
    assert len(await world.found()) == 3, "found once"


async def test_what_changed_just_now_is_left_to_its_delivery(world: World) -> None:
    payment = await world.known()
    await world.emulator.control.post(
        f"{world.emulator.api_base_url}/payments/{payment}/refund",
        json={},
        headers={"authorization": "Bearer test-key"},
    )
    await world.emulator.advance(minutes=1)
    await world.run(until=world.now())
    assert await world.found() == [("timing", "refund", None)]
    await world.learn()
    await world.run()
    assert await world.found() == [("timing", "refund", "repaired")]


async def test_records_that_say_something_else_are_read_again(world: World) -> None:
    payment = await world.known()
    await world.change(
        "UPDATE payment_transaction SET total_minor = 7400, tax_minor = 3, raw_status = 'open', status = 'open'"
    )
    await world.run()
    found = await world.found()
    assert ("status", "charge", "repaired") in found, "collected there, open here"
    assert all(resolution == "repaired" for _, _, resolution in found)
    rows = await world.rows("SELECT status, total_minor FROM payment_transaction")
    assert rows == [{"status": "paid", "total_minor": 7500}]
    await world.change("UPDATE payment_transaction SET raw_status = 'pending'")
    await world.run()
    details = await world.rows("SELECT detail, amount_minor FROM money_difference WHERE measure = 'status'")
    assert details == [{"detail": "paid at the gateway, pending here", "amount_minor": 0}]
    assert ("status", "status", "repaired") in await world.found()
    assert (await world.rows("SELECT DISTINCT object_id FROM money_difference")) == [{"object_id": payment}]


async def test_what_the_gateway_does_not_know_stays_for_people(world: World) -> None:
    await world.known()
    await world.change(
        "INSERT INTO payment_transaction (id, user_id, whop_payment_id, status, raw_status, currency, total_minor,"
        " occurred_at, paid_at, created_at, updated_at)"
        " SELECT 'txn_made_up', user_id, 'pay_madeup', 'paid', 'paid', 'usd', 500, occurred_at, paid_at, created_at,"
        " updated_at FROM payment_transaction"
    )
    for _ in range(2):
        await world.run()
        assert await world.found() == [("missing_at_gateway", "charge", None)]
    [row] = await world.rows("SELECT * FROM money_difference")
    assert (row["gateway_minor"], row["recorded_minor"], row["ledger_minor"], row["amount_minor"]) == (0, 500, 0, -500)
    assert (row["owner"], row["period"], row["object_id"]) == ("engineering", "2026-09", "pay_madeup")
    await world.change("DELETE FROM payment_transaction WHERE id = 'txn_made_up'")
    await world.run()
    assert await world.found() == [("missing_at_gateway", "charge", "repaired")]


async def test_what_the_ledger_lacks_is_posted_and_what_it_has_too_much_is_not_touched(world: World) -> None:
    payment = await world.known()
    await world.refund(payment, 10)
    await world.learn()
    # The ledger cannot be changed: that it lacks something shows for records that somebody put in beside the product.
    await world.change("UPDATE ledger_progress SET finished_at = now()")
    await world.change("ALTER TABLE ledger_line DISABLE TRIGGER USER")
    await world.change("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
    await world.change("DELETE FROM ledger_line")
    await world.change("DELETE FROM ledger_entry")
    await world.change("DELETE FROM ledger_pending")
    await world.change("ALTER TABLE ledger_line ENABLE TRIGGER USER")
    await world.change("ALTER TABLE ledger_entry ENABLE TRIGGER USER")
    run = await world.run()
    assert await world.found() == [
        ("ledger_missing", "charge", "repaired"),
        ("ledger_missing", "fee", "repaired"),
        ("ledger_missing", "refund", "repaired"),
    ]
    assert (await world.sums(run.id))["refund", "usd"] == (1000, 1000, 1000, 0)
    [transaction] = await world.rows("SELECT id, user_id FROM payment_transaction")
    await world.change(
        "WITH made AS (INSERT INTO ledger_entry (id, kind, source, sequence, line_count, user_id, occurred_at,"
        " posted_at, cause) SELECT 'led_test', 'payment', :source, 9, 2, :owner, now(), now(), 'test' RETURNING *)"
        " INSERT INTO ledger_line (entry_id, position, user_id, account, currency, amount_minor, occurred_at)"
        " SELECT id, position, user_id, account, 'usd', amount, occurred_at FROM made,"
        " (VALUES (1, 'gateway_clearing', 5), (2, 'revenue', -5)) AS line (position, account, amount)",
        source=transaction["id"],
        owner=transaction["user_id"],
    )
    run = await world.run()
    assert ("ledger_amount", "charge", None) in await world.found()
    assert (await world.sums(run.id))["charge", "usd"] == (7500, 7500, 7505, 0), "all of it explained by the difference"


async def test_an_entry_about_nothing_is_an_orphan(world: World) -> None:
    await world.known()
    await world.change(
        "WITH made AS (INSERT INTO ledger_entry (id, kind, source, sequence, line_count, occurred_at, posted_at, cause)"
        " SELECT 'led_test', 'payment', 'txn_nobody', 0, 2, occurred_at, posted_at, 'test' FROM ledger_entry LIMIT 1"
        " RETURNING *)"
        " INSERT INTO ledger_line (entry_id, position, account, currency, amount_minor, occurred_at)"
        " SELECT id, position, account, 'usd', amount, occurred_at FROM made,"
        " (VALUES (1, 'gateway_clearing', 5), (2, 'revenue', -5)) AS line (position, account, amount)"
    )
    await world.runtime.bookkeeping.roll_up()
    await world.run()
    assert await world.found() == [("ledger_orphan", "charge", None)]
