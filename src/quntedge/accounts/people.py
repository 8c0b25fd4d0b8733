"""Who people are: names and addresses of many at once, and the customers behind identities at the gateway."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.models import AppUser
from quntedge.accounts.rules import name_from_gateway
from quntedge.kit.ids import new_id
from quntedge.storage.sealed import PersonCipher, Sealed
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import DataKey, Vault


@dataclass(frozen=True, slots=True)
class Person:
    """A customer as mails and pages address them. Nothing personal is left of one who was erased."""

    user_id: str
    email: str | None
    name: str | None
    locale: str
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class WhopIdentity:
    """Somebody as the gateway knows them. `key` is stable there: its user id, or what stands in for one."""

    key: str
    email: str | None = None
    name: str | None = None


async def people(session: AsyncSession, vault: Vault, user_ids: Iterable[str]) -> dict[str, Person]:
    """The customers with these ids, in two queries however many they are; unknown ids are missing."""
    wanted = sorted(set(user_ids))
    if not wanted:
        return {}
    rows = (
        await session.execute(
            select(AppUser.id, AppUser.email, AppUser.name, AppUser.locale, AppUser.time_zone).where(
                AppUser.id.in_(wanted)
            )
        )
    ).all()
    ciphers = await vault.ciphers(session, [row.id for row in rows])
    return {
        row.id: Person(
            user_id=row.id,
            email=_open(ciphers.get(row.id), "email", row.id, row.email),
            name=_open(ciphers.get(row.id), "name", row.id, row.name),
            locale=row.locale,
            time_zone=row.time_zone,
        )
        for row in rows
    }


def sharing_mailbox(user_id: str) -> Select[str]:
    """The ids of a customer and of everybody whose address reaches the same mailbox (`kim+2@…`): for what one person
    may have once. Whoever has no address is alone."""
    mailbox = select(AppUser.mailbox_index).where(AppUser.id == user_id).scalar_subquery()
    return select(AppUser.id).where(or_(AppUser.id == user_id, AppUser.mailbox_index == mailbox))


async def users_for_whop(unit: UnitOfWork, vault: Vault, identities: Sequence[WhopIdentity]) -> dict[str, str]:
    """The customer of each identity, by its key; those we have never seen are made, all with one statement each.

    A customer made here is unclaimed: no address, no password, a name if the gateway knows one. Identities are never
    matched by e-mail address. An address here is what somebody typed at sign-up, unverified; matching by it would hand
    a purchase, and the access it brings, to whoever signed up with the buyer's address first.
    """
    if not identities:
        return {}
    by_key = {identity.key: identity for identity in identities}
    found = await _by_key(unit.session, by_key)
    missing = [by_key[key] for key in sorted(by_key.keys() - found.keys())]
    if not missing:
        return found
    found |= await _make(unit, vault, missing)
    lost = by_key.keys() - found.keys()
    if lost:
        # Somebody else made them between our look and our insert, and has committed: a new look finds them.
        found |= await _by_key(unit.session, lost)
    return found


async def _by_key(session: AsyncSession, keys: Iterable[str]) -> dict[str, str]:
    rows = await session.execute(select(AppUser.whop_user_id, AppUser.id).where(AppUser.whop_user_id.in_(sorted(keys))))
    return {str(row.whop_user_id): row.id for row in rows}


async def _make(unit: UnitOfWork, vault: Vault, identities: Sequence[WhopIdentity]) -> dict[str, str]:
    """Inserts customers in the order of their keys, so that two batches never wait for each other in a circle."""
    now = unit.clock.now()
    ids = {identity.key: new_id("usr", now) for identity in identities}
    ciphers = await vault.create(unit.session, ids.values(), now)
    rows: list[dict[str, Any]] = []
    for identity in identities:
        user_id = ids[identity.key]
        name = name_from_gateway(identity.name)
        sealed = ciphers[user_id].seal("app_user", "name", user_id, name) if name else None
        rows.append({"id": user_id, "whop_user_id": identity.key, "name": sealed, "created_at": now})
    made = await unit.session.execute(
        insert(AppUser)
        .on_conflict_do_nothing(index_elements=[AppUser.whop_user_id])
        .returning(AppUser.whop_user_id, AppUser.id),
        rows,
    )
    result = {str(row.whop_user_id): row.id for row in made}
    unused = [user_id for key, user_id in ids.items() if key not in result]
    if unused:
        await unit.session.execute(delete(DataKey).where(DataKey.person_id.in_(unused)))
    return result


def _open(cipher: PersonCipher | None, column: str, row_id: str, sealed: Sealed | None) -> str | None:
    if cipher is None or sealed is None:
        return None
    return cipher.open("app_user", column, row_id, sealed)
