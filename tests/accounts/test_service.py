import asyncio
import base64
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from quntedge.accounts.errors import EmailTaken, WrongCredentials
from quntedge.accounts.models import AppUser, UserSession
from quntedge.accounts.people import people
from quntedge.accounts.rules import InvalidAccount
from quntedge.accounts.service import AccountService, SignedIn
from quntedge.kit.clock import FrozenClock
from quntedge.kit.crypto import token_digest
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from tests.accounts.conftest import SECRET_KEY, cheap_passwords

EMAIL = "Kim.Lee@example.org"
PASSWORD = "correct horse battery"
IP = "203.0.113.77"


async def sign_up(accounts: AccountService, units: UnitOfWorkFactory, email: str = EMAIL) -> SignedIn:
    async with units() as unit:
        signed_in = await accounts.sign_up(unit, email, PASSWORD, "Kim Lee", "fr", True, IP)
        await unit.commit()
    return signed_in


async def who(accounts: AccountService, units: UnitOfWorkFactory, token: str | None) -> str | None:
    async with units() as unit:
        user = await accounts.session(unit, token)
        await unit.commit()
    return user.user_id if user else None


async def test_sign_up_signs_in(
    accounts: AccountService, units: UnitOfWorkFactory, vault: Vault, clock: FrozenClock
) -> None:
    signed_in = await sign_up(accounts, units)
    assert signed_in.expires_at == clock.now() + timedelta(days=35)
    async with units() as unit:
        user = await accounts.session(unit, signed_in.token)
        assert user is not None
        assert (user.user_id, user.session_digest) == (signed_in.user_id, token_digest(signed_in.token))
        person = (await people(unit.session, vault, [user.user_id, "usr_unknown"]))[signed_in.user_id]
    assert (person.email, person.name, person.locale) == ("Kim.Lee@example.org", "Kim Lee", "fr")


async def test_nothing_personal_and_no_secret_stands_in_plain_text(
    accounts: AccountService, units: UnitOfWorkFactory
) -> None:
    signed_in = await sign_up(accounts, units)
    dump = ""
    async with units() as unit:
        for table in ("app_user", "user_session", "data_key"):
            for row in await unit.session.execute(text(f"SELECT * FROM {table}")):
                values = [bytes(v) if isinstance(v, (bytes, memoryview)) else str(v).encode() for v in row]
                dump += b"|".join(values).decode("latin-1").lower()
    for hidden in ("kim", "example.org", "lee", IP, PASSWORD, signed_in.token):
        assert hidden.lower() not in dump


async def test_an_address_is_taken_whatever_its_case(accounts: AccountService, units: UnitOfWorkFactory) -> None:
    await sign_up(accounts, units)
    async with units() as unit:
        with pytest.raises(EmailTaken) as caught:
            await accounts.sign_up(unit, "kim.lee@EXAMPLE.org", PASSWORD, "Other", "en", True, None)
    assert caught.value.extra["errors"][0]["field"] == "email"
    assert caught.value.status == 409


async def test_two_sign_ups_at_once_make_one_account(accounts: AccountService, units: UnitOfWorkFactory) -> None:
    results = await asyncio.gather(*(sign_up(accounts, units) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(r, SignedIn) for r in results) == 1
    assert all(isinstance(r, SignedIn | EmailTaken) for r in results)
    async with units() as unit:
        assert len((await unit.session.execute(text("SELECT 1 FROM app_user"))).all()) == 1
        assert len((await unit.session.execute(text("SELECT 1 FROM data_key"))).all()) == 1


async def test_a_malformed_sign_up_changes_nothing(accounts: AccountService, units: UnitOfWorkFactory) -> None:
    async with units() as unit:
        with pytest.raises(InvalidAccount):
            await accounts.sign_up(unit, "kim", PASSWORD, "Kim", "en", True, None)
        await unit.commit()
        assert (await unit.session.scalars(select(AppUser))).all() == []


async def test_sign_in_makes_a_new_token_each_time(accounts: AccountService, units: UnitOfWorkFactory) -> None:
    first = await sign_up(accounts, units)
    async with units() as unit:
        second = await accounts.sign_in(unit, " kim.LEE@example.org", PASSWORD, IP)
        await unit.commit()
    assert second.user_id == first.user_id
    assert second.token != first.token
    assert await who(accounts, units, first.token) == await who(accounts, units, second.token) == first.user_id


async def test_sign_in_ends_the_session_the_browser_came_with(
    accounts: AccountService, units: UnitOfWorkFactory
) -> None:
    first = await sign_up(accounts, units)
    async with units() as unit:
        second = await accounts.sign_in(unit, EMAIL, PASSWORD, IP, replacing=first.token)
        await unit.commit()
    assert await who(accounts, units, first.token) is None
    assert await who(accounts, units, second.token) == first.user_id


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "correct horse batterx"),
        ("nobody@example.org", PASSWORD),
        ("", ""),
        ("x" * 5000, PASSWORD),
        (EMAIL, "x" * 5000),
        (EMAIL, "\ud800"),
        ("\ud800@example.org", PASSWORD),
        ("kim\x00@example.org", PASSWORD),
    ],
)
async def test_wrong_credentials_look_all_the_same(
    accounts: AccountService, units: UnitOfWorkFactory, email: str, password: str
) -> None:
    await sign_up(accounts, units)
    async with units() as unit:
        with pytest.raises(WrongCredentials) as caught:
            await accounts.sign_in(unit, email, password, IP)
    assert (caught.value.code, caught.value.detail) == ("wrong_credentials", "E-mail address or password is wrong")


async def test_an_unknown_address_costs_a_verification_too(vault: Vault, units: UnitOfWorkFactory) -> None:
    passwords = cheap_passwords()
    runs = 0
    run = passwords._run

    async def counting(work: object) -> object:
        nonlocal runs
        runs += 1
        return await run(work)  # type: ignore[arg-type]

    passwords._run = counting  # type: ignore[assignment]
    accounts = AccountService(vault, SECRET_KEY, passwords)
    await sign_up(accounts, units)
    await passwords.verify(None, "makes the dummy")
    costs = []
    for email in (EMAIL, "nobody@example.org"):
        runs = 0
        async with units() as unit:
            with pytest.raises(WrongCredentials):
                await accounts.sign_in(unit, email, "not the password", None)
        costs.append(runs)
    assert costs == [1, 1]


async def test_a_hash_with_old_parameters_is_renewed(vault: Vault, units: UnitOfWorkFactory) -> None:
    await sign_up(AccountService(vault, SECRET_KEY, cheap_passwords(time_cost=1)), units)
    newer = AccountService(vault, SECRET_KEY, cheap_passwords(time_cost=2))
    for _ in range(2):
        async with units() as unit:
            await newer.sign_in(unit, EMAIL, PASSWORD, None)
            await unit.commit()
            assert "t=2" in str(await unit.session.scalar(select(AppUser.password_hash)))


async def test_sign_out(accounts: AccountService, units: UnitOfWorkFactory) -> None:
    signed_in = await sign_up(accounts, units)
    for _ in range(2):
        async with units() as unit:
            await accounts.sign_out(unit, signed_in.token)
            await unit.commit()
    assert await who(accounts, units, signed_in.token) is None


@pytest.mark.parametrize("token", [None, "", "x" * 43, "x" * 10_000, "\ud800" * 43])
async def test_a_made_up_token_is_nobody(accounts: AccountService, units: UnitOfWorkFactory, token: str | None) -> None:
    assert await who(accounts, units, token) is None


async def test_a_session_lives_while_it_is_used(
    accounts: AccountService, units: UnitOfWorkFactory, clock: FrozenClock
) -> None:
    signed_in = await sign_up(accounts, units)
    for _ in range(6):
        clock.advance(timedelta(days=13))
        assert await who(accounts, units, signed_in.token) == signed_in.user_id
    clock.advance(timedelta(days=12) - timedelta(seconds=1))
    assert await who(accounts, units, signed_in.token) == signed_in.user_id
    clock.advance(timedelta(seconds=1))
    assert await who(accounts, units, signed_in.token) is None


async def test_an_idle_session_ends(accounts: AccountService, units: UnitOfWorkFactory, clock: FrozenClock) -> None:
    signed_in = await sign_up(accounts, units)
    clock.advance(timedelta(days=35))
    assert await who(accounts, units, signed_in.token) is None
    async with units() as unit:
        assert await accounts.purge_sessions(unit) == 1
        await unit.commit()
        assert (await unit.session.scalars(select(UserSession))).all() == []


async def test_being_seen_is_written_at_most_every_ten_minutes(
    accounts: AccountService, units: UnitOfWorkFactory, clock: FrozenClock
) -> None:
    signed_in = await sign_up(accounts, units)
    started = clock.now()
    seen = []
    for minutes in (9, 1, 9):
        clock.advance(timedelta(minutes=minutes))
        await who(accounts, units, signed_in.token)
        async with units() as unit:
            seen.append(await unit.session.scalar(select(UserSession.last_seen_at)))
    assert seen == [started, started + timedelta(minutes=10), started + timedelta(minutes=10)]


async def test_parallel_requests_of_one_browser_do_not_wait_for_each_other(
    accounts: AccountService, units: UnitOfWorkFactory, clock: FrozenClock
) -> None:
    signed_in = await sign_up(accounts, units)
    clock.advance(timedelta(minutes=11))
    async with units() as first, units() as second:
        assert await accounts.session(first, signed_in.token) is not None
        await second.session.execute(text("SET LOCAL lock_timeout = '100ms'"))
        assert await accounts.session(second, signed_in.token) is not None
        await second.commit()
        await first.commit()


def test_form_tokens_belong_to_one_session(accounts: AccountService, vault: Vault) -> None:
    token = accounts.csrf_token("a" * 43)
    assert accounts.check_csrf("a" * 43, token)
    assert not accounts.check_csrf("b" * 43, token)
    for wrong in (None, "", token[:-1], token + "x", "\ud800", "é"):
        assert not accounts.check_csrf("a" * 43, wrong)
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    other = AccountService(vault, "another-secret-key-another-secret-key", cheap_passwords())
    assert not other.check_csrf("a" * 43, token)


def test_a_visitor_token_is_no_session_token(accounts: AccountService) -> None:
    token = accounts.csrf_token_for("a" * 43)
    assert accounts.check_csrf_for("a" * 43, token)
    assert not accounts.check_csrf("a" * 43, token)
