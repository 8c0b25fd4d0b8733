"""Master keys can be retired: what they wrapped is moved to another, and nothing is lost on the way."""

import base64
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from quntedge.accounts.passwords import Passwords
from quntedge.accounts.service import AccountService
from quntedge.kit.crypto import KeyRing, new_key
from quntedge.schema import KEY_STORES
from quntedge.settings import ConfigurationError
from quntedge.storage import keys
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import DATA_KEYS, DataKey, IndexKey, Vault
from quntedge.webhooks.bodies import BodyStore
from tests.conftest import START
from tests.edge.shop import CHEAP, PASSWORD

OLD, NEW = (f"{name}:{base64.b64encode(new_key()).decode()}" for name in ("old", "new"))
SECRET = "a secret of at least thirty-two characters"


async def _open(engine: AsyncEngine, settings: str) -> Vault:
    vault = Vault(KeyRing.parse(settings))
    async with engine.begin() as connection:
        await vault.open(connection, KEY_STORES, START)
    return vault


async def _rewrap(engine: AsyncEngine, settings: str) -> dict[str, keys.Rewrapped]:
    ring = KeyRing.parse(settings)
    return {store.table: await keys.rewrap(engine, ring, store, lambda _: None) for store in KEY_STORES}


async def _counts(engine: AsyncEngine) -> dict[str, dict[str, int]]:
    async with engine.connect() as connection:
        return {store.table: await keys.count(connection, store) for store in KEY_STORES}


async def test_after_rewrapping_the_old_key_can_go(engine: AsyncEngine, units: UnitOfWorkFactory) -> None:
    vault, bodies = await _open(engine, OLD), BodyStore(KeyRing.parse(OLD))
    accounts = AccountService(vault, SECRET, Passwords(CHEAP))
    async with units() as unit:
        kim = await accounts.sign_up(unit, "kim@customer.test", PASSWORD, "Kim", "en", True, None)
        await bodies.maintain(unit)
        await unit.commit()
    sealed = bodies.seal(await bodies.key(engine, START), "whe_1", b"{}")
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO webhook_body (event_id, received_at, body) VALUES ('whe_1', :at, :body)"),
            {"at": START, "body": sealed},
        )
    with pytest.raises(ConfigurationError, match="lacks the key 'old'"):
        await _open(engine, NEW)

    await _open(engine, f"{NEW},{OLD}")
    done = await _rewrap(engine, f"{NEW},{OLD}")
    assert {table: counts.moved for table, counts in done.items()} == {"data_key": 1, "index_key": 3, "inbox_key": 1}
    assert await _counts(engine) == {"data_key": {"new": 1}, "index_key": {"new": 3}, "inbox_key": {"new": 1}}
    again = await _rewrap(engine, f"{NEW},{OLD}")
    assert {counts.moved for counts in again.values()} == {0}

    accounts = AccountService(await _open(engine, NEW), SECRET, Passwords(CHEAP))
    async with units() as unit:
        assert (await accounts.sign_in(unit, "Kim@customer.test", PASSWORD, None)).user_id == kim.user_id
    async with engine.connect() as connection:
        assert await BodyStore(KeyRing.parse(NEW)).read(connection, [("whe_1", START)]) == {"whe_1": b"{}"}


async def test_the_order_of_the_keys_does_not_change_who_is_found(
    engine: AsyncEngine, units: UnitOfWorkFactory
) -> None:
    """A new key is put behind the others first, so that all processes can open what the first of them will wrap."""
    first = await _open(engine, OLD)
    for settings in (f"{OLD},{NEW}", f"{NEW},{OLD}"):
        vault = await _open(engine, settings)
        assert vault.email_index("kim@customer.test") == first.email_index("kim@customer.test")
        assert vault.mailbox_index("kim@customer.test") == first.mailbox_index("kim@customer.test")
        assert vault.card_index("fp_1") == first.card_index("fp_1")


async def test_two_processes_that_start_together_agree_on_the_index(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        one, two = Vault(KeyRing.parse(OLD)), Vault(KeyRing.parse(OLD))
        await one.open(connection, KEY_STORES, START)
        await connection.commit()
        async with engine.begin() as other:
            await two.open(other, KEY_STORES, START)
    assert one.email_index("a@b.test") == two.email_index("a@b.test")


async def test_an_erased_person_stays_erased(engine: AsyncEngine, units: UnitOfWorkFactory) -> None:
    """Somebody is erased between the reading of their key and the writing of its new form."""
    vault = await _open(engine, OLD)
    ring = KeyRing.parse(f"{NEW},{OLD}")
    async with units() as unit:
        await vault.create(unit.session, ["usr_1", "usr_2"], START)
        await unit.commit()
    async with engine.connect() as connection:
        read = {row.person_id: row.wrapped for row in await connection.execute(select(DataKey.__table__))}
    anew = keys._anew(ring, DATA_KEYS, read)
    async with engine.begin() as connection:
        await connection.execute(
            update(DataKey).where(DataKey.person_id == "usr_1").values(wrapped=None, destroyed_at=START)
        )
    async with engine.begin() as connection:
        assert await keys._move(connection, DATA_KEYS, anew) == 1
    async with units() as unit:
        assert set(await Vault(ring).ciphers(unit.session, ["usr_1", "usr_2"])) == {"usr_2"}


async def test_many_keys_are_moved_in_portions_and_damaged_ones_are_left(
    engine: AsyncEngine, units: UnitOfWorkFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BATCH", 3)
    vault = await _open(engine, OLD)
    people = [f"usr_{number}" for number in range(8)]
    async with units() as unit:
        await vault.create(unit.session, people, START)
        stolen = select(DataKey.wrapped).where(DataKey.person_id == "usr_0").scalar_subquery()
        await unit.session.execute(update(DataKey).where(DataKey.person_id == "usr_4").values(wrapped=stolen))
        await unit.commit()
    portions: list[int] = []
    done = await keys.rewrap(engine, KeyRing.parse(f"{NEW},{OLD}"), DATA_KEYS, portions.append)
    assert (done, portions) == (keys.Rewrapped(moved=7, damaged=1), [3, 3, 2])
    async with engine.connect() as connection:
        assert await keys.count(connection, DATA_KEYS) == {"new": 7, "old": 1}


async def test_another_key_under_a_known_name_is_noticed(engine: AsyncEngine, units: UnitOfWorkFactory) -> None:
    vault = await _open(engine, OLD)
    async with units() as unit:
        await vault.create(unit.session, ["usr_1"], START)
        await unit.commit()
    impostor = f"old:{base64.b64encode(new_key()).decode()}"
    with pytest.raises(ConfigurationError, match="not the one of this name"):
        await _open(engine, impostor)


async def test_the_look_at_the_start_reads_no_more_than_a_row_for_each_name(
    engine: AsyncEngine, units: UnitOfWorkFactory
) -> None:
    vault = await _open(engine, OLD)
    async with units() as unit:
        await vault.create(unit.session, [f"usr_{number:05}" for number in range(3000)], START + timedelta(days=1))
        await unit.commit()
    async with engine.begin() as connection:
        await connection.execute(text("ANALYZE data_key"))
        plan = await connection.scalars(text(f"EXPLAIN {DATA_KEYS.sql(keys._NAMES).text}"))
        assert "Seq Scan on data_key" not in "\n".join(plan)
    async with units() as unit:
        stored = (await unit.session.scalars(select(IndexKey.purpose).order_by(IndexKey.purpose))).all()
    assert stored == ["card fingerprint index", "email blind index", "mailbox blind index"]
