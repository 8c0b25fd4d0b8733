import asyncio
from datetime import timedelta

from sqlalchemy import select, text, update

from quntedge.accounts.models import AppUser
from quntedge.accounts.people import WhopIdentity, people, users_for_whop
from quntedge.accounts.service import AccountService
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import DataKey, Vault

KIM = WhopIdentity("user_kim", "kim@example.org", "Kim \x07 Lee")
ANN = WhopIdentity("user_ann", None, None)


async def find(units: UnitOfWorkFactory, vault: Vault, *identities: WhopIdentity) -> dict[str, str]:
    async with units() as unit:
        found = await users_for_whop(unit, vault, identities)
        await unit.commit()
    return found


async def test_unseen_identities_become_unclaimed_customers(units: UnitOfWorkFactory, vault: Vault) -> None:
    found = await find(units, vault, KIM, ANN, KIM)
    assert found.keys() == {"user_kim", "user_ann"}
    async with units() as unit:
        persons = await people(unit.session, vault, found.values())
        rows = (await unit.session.scalars(select(AppUser))).all()
    assert persons[found["user_kim"]].name == "Kim Lee"
    assert persons[found["user_ann"]].name is None
    assert all(row.email is None and row.password_hash is None and row.terms_accepted_at is None for row in rows)
    assert await find(units, vault, ANN, WhopIdentity("user_new"), KIM) | found == {
        **found,
        "user_new": (await find(units, vault, WhopIdentity("user_new")))["user_new"],
    }


async def test_an_address_never_links(units: UnitOfWorkFactory, vault: Vault, accounts: AccountService) -> None:
    async with units() as unit:
        signed_up = await accounts.sign_up(unit, "kim@example.org", "correct horse b", "Kim", "en", True, None)
        await unit.commit()
    assert (await find(units, vault, KIM))["user_kim"] != signed_up.user_id


async def test_the_same_identities_at_once_make_one_customer_each(units: UnitOfWorkFactory, vault: Vault) -> None:
    many = [WhopIdentity(f"user_{number}", None, f"Name {number}") for number in range(40)]
    shuffled = [many[::step] + [i for i in many if i not in many[::step]] for step in (1, -1, 3, 7, -3, 2)]
    answers = await asyncio.gather(*(find(units, vault, *identities) for identities in shuffled))
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0].values())) == 40
    async with units() as unit:
        assert await unit.session.scalar(text("SELECT count(*) FROM app_user")) == 40
        assert await unit.session.scalar(text("SELECT count(*) FROM data_key")) == 40


async def test_five_hundred_identities_cost_a_handful_of_statements(
    units: UnitOfWorkFactory, vault: Vault, statements: list[str]
) -> None:
    statements.clear()
    await find(units, vault, *(WhopIdentity(f"user_{number}", None, "Name") for number in range(500)))
    assert len(statements) <= 4
    statements.clear()
    found = await find(units, vault, *(WhopIdentity(f"user_{number}") for number in range(500)))
    assert len(statements) == 1
    statements.clear()
    async with units() as unit:
        assert len(await people(unit.session, vault, found.values())) == 500
    assert len(statements) == 2


async def test_of_an_erased_person_nothing_is_left(units: UnitOfWorkFactory, vault: Vault) -> None:
    user_id = (await find(units, vault, KIM))["user_kim"]
    async with units() as unit:
        destroyed = {"wrapped": None, "destroyed_at": unit.clock.now() + timedelta(days=1)}
        await unit.session.execute(update(DataKey).values(**destroyed))
        await unit.commit()
        person = (await people(unit.session, vault, [user_id]))[user_id]
    assert (person.email, person.name) == (None, None)


async def test_nobody_asked_for(units: UnitOfWorkFactory, vault: Vault) -> None:
    async with units() as unit:
        assert await people(unit.session, vault, []) == {}
        assert await users_for_whop(unit, vault, []) == {}
