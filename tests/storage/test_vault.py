"""Personal data at rest: sealed for one person and one place, gone with the person's key."""

from datetime import datetime

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import StatementError

from quntedge.accounts.models import AppUser
from quntedge.kit.crypto import InvalidSeal
from quntedge.storage.sealed import Sealed
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import DataKey, PersonErased, Vault
from tests.conftest import START


async def test_what_was_sealed_opens_only_in_its_place(units: UnitOfWorkFactory, vault: Vault) -> None:
    async with units() as unit:
        made = await vault.create(unit.session, ["usr_1", "usr_2"], START)
        sealed = made["usr_1"].seal("app_user", "email", "usr_1", "ada@example.com")
        await unit.commit()
    async with units() as unit:
        mine = await vault.cipher(unit.session, "usr_1")
        other = await vault.cipher(unit.session, "usr_2")
    assert mine.open("app_user", "email", "usr_1", sealed) == "ada@example.com"
    assert b"ada" not in sealed.token
    assert "ada" not in repr(sealed)
    for place in (
        ("app_user", "email", "usr_2"),
        ("app_user", "name", "usr_1"),
        ("user_session", "email", "usr_1"),
    ):
        with pytest.raises(InvalidSeal):
            mine.open(*place, sealed)
    with pytest.raises(InvalidSeal):
        other.open("app_user", "email", "usr_1", sealed)
    with pytest.raises(InvalidSeal):
        mine.open("app_user", "email", "usr_1", Sealed(sealed.token[:-1] + bytes([sealed.token[-1] ^ 1])))


async def test_a_key_moved_to_another_person_does_not_open(units: UnitOfWorkFactory, vault: Vault) -> None:
    async with units() as unit:
        await vault.create(unit.session, ["usr_1", "usr_2"], START)
        stolen = select(DataKey.wrapped).where(DataKey.person_id == "usr_1").scalar_subquery()
        await unit.session.execute(update(DataKey).where(DataKey.person_id == "usr_2").values(wrapped=stolen))
        assert (await vault.cipher(unit.session, "usr_1")).person_id == "usr_1"
        with pytest.raises(InvalidSeal):
            await vault.cipher(unit.session, "usr_2")


async def test_an_erased_person_cannot_be_read_and_others_still_can(units: UnitOfWorkFactory, vault: Vault) -> None:
    async with units() as unit:
        await vault.create(unit.session, ["usr_1", "usr_2"], START)
        await unit.session.execute(
            update(DataKey).where(DataKey.person_id == "usr_1").values(wrapped=None, destroyed_at=START)
        )
        await unit.commit()
    async with units() as unit:
        with pytest.raises(PersonErased):
            await vault.cipher(unit.session, "usr_1")
        with pytest.raises(PersonErased):
            await vault.cipher(unit.session, "usr_never")
        assert set(await vault.ciphers(unit.session, ["usr_1", "usr_2", "usr_2"])) == {"usr_2"}
        assert await vault.ciphers(unit.session, []) == {}
        assert await vault.create(unit.session, [], START) == {}


def test_the_index_finds_spellings_people_take_for_the_same(vault: Vault) -> None:
    assert vault.email_index("Ada@Example.com ") == vault.email_index("ada@example.com")
    assert vault.email_index("ada@example.org") != vault.email_index("ada@example.com")


async def test_plain_text_is_refused_where_personal_data_belongs(units: UnitOfWorkFactory) -> None:
    for plain in ("Ada", b"Ada"):
        async with units() as unit:
            with pytest.raises(StatementError, match="must be sealed"):
                await unit.session.execute(insert(AppUser).values(id="usr_1", name=plain, created_at=START))


async def test_a_naive_time_is_refused_and_an_aware_one_comes_back_in_utc(units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        with pytest.raises(StatementError, match="naive datetime"):
            await unit.session.execute(
                insert(DataKey).values(person_id="usr_1", created_at=datetime(2026, 9, 1))  # noqa: DTZ001 (that is it)
            )
        await unit.rollback()
        kolkata = datetime.fromisoformat("2026-09-01T17:30:00+05:30")
        await unit.session.execute(insert(DataKey).values(person_id="usr_1", created_at=kolkata))
        found = (await unit.session.execute(select(DataKey.created_at))).scalar_one()
        assert found.isoformat() == "2026-09-01T12:00:00+00:00"
        assert (await unit.session.execute(text("SHOW timezone"))).scalar_one() == "UTC"
