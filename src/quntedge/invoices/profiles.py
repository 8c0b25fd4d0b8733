"""What customers want to read on their invoices: versions, of which the last one counts for the next invoice.

The details are sealed with a key that belongs to the invoices of a customer, not to the customer: destroying the
person's own key erases the person, while documents that the law wants kept can be made again until their key goes, too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quntedge.accounts.models import AppUser
from quntedge.accounts.people import people
from quntedge.invoices.models import BillingProfile
from quntedge.invoices.parties import FIELDS, BuyerDetails
from quntedge.kit.ids import new_id
from quntedge.storage.rows import among
from quntedge.storage.sealed import PersonCipher
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import Vault

_SEALED = tuple(name for name in FIELDS if name != "country")
# Not FOR UPDATE: rows that refer to a customer may be inserted meanwhile.
_LOCKED = select(AppUser.id).where(among(AppUser.id)).order_by(AppUser.id).with_for_update(key_share=True)
_CURRENT = select(BillingProfile.user_id, BillingProfile.id).where(
    among(BillingProfile.user_id), BillingProfile.current.is_(True)
)


@dataclass(frozen=True, slots=True)
class Profile:
    """The current version of a customer's details. `automatic`: nobody entered them."""

    id: str
    details: BuyerDetails
    automatic: bool


def key_of(user_id: str) -> str:
    """Under which name the vault keeps the key of a customer's billing details."""
    return f"billing:{user_id}"


class BillingProfiles:
    """Reads and writes billing_profile."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def current(self, session: AsyncSession, user_id: str) -> Profile | None:
        """The details as they are now; None before anything was entered or invoiced."""
        row = await session.scalar(
            select(BillingProfile).where(BillingProfile.user_id == user_id, BillingProfile.current.is_(True))
        )
        if row is None:
            return None
        cipher = (await self._vault.ciphers(session, [key_of(user_id)])).get(key_of(user_id))
        return Profile(row.id, _opened(row, cipher), row.automatic)

    async def at(self, session: AsyncSession, profile_id: str) -> BuyerDetails:
        """The details of one version, current or not. Empty but for the country once their key is destroyed."""
        row = await session.get_one(BillingProfile, profile_id)
        cipher = (await self._vault.ciphers(session, [key_of(row.user_id)])).get(key_of(row.user_id))
        return _opened(row, cipher)

    async def save(self, unit: UnitOfWork, user_id: str, details: BuyerDetails) -> Profile:
        """Makes these the details for invoices from now on. Saying the same again changes nothing."""
        await _lock(unit, [user_id])
        held = await self.current(unit.session, user_id)
        if held is not None and held.details == details and not held.automatic:
            return held
        if held is not None:
            await unit.session.execute(
                update(BillingProfile)
                .where(BillingProfile.id == held.id)
                .values(current=False)
                .execution_options(synchronize_session=False)
            )
        (profile,) = await self._insert(unit, {user_id: details}, automatic=False)
        return profile

    async def ensure(self, unit: UnitOfWork, user_ids: Iterable[str]) -> dict[str, str]:
        """The id of each customer's current version. Who has none gets one made from the account.

        The customers are locked in the order of their ids: of two who bill one for the first time, one waits.
        """
        wanted = sorted(set(user_ids))
        if not wanted:
            return {}
        await _lock(unit, wanted)
        connection = await unit.connection()
        found = {row.user_id: row.id for row in await connection.execute(_CURRENT, {"values": wanted})}
        missing = [user_id for user_id in wanted if user_id not in found]
        known = await people(unit.session, self._vault, missing)
        details = {
            user_id: BuyerDetails(name=known[user_id].name, email=known[user_id].email)
            for user_id in missing
            if user_id in known
        }
        made = await self._insert(unit, details, automatic=True)
        return found | dict(zip(details, (profile.id for profile in made), strict=True))

    async def _insert(
        self, unit: UnitOfWork, details: dict[str, BuyerDetails], *, automatic: bool
    ) -> Sequence[Profile]:
        if not details:
            return ()
        now = unit.clock.now()
        ciphers = await self._ciphers(unit, list(details))
        connection = await unit.connection()
        counted = await connection.execute(
            select(BillingProfile.user_id, func.max(BillingProfile.version).label("version"))
            .where(among(BillingProfile.user_id))
            .group_by(BillingProfile.user_id),
            {"values": list(details)},
        )
        versions = {row.user_id: row.version for row in counted}
        profiles, rows = [], []
        for user_id, entered in details.items():
            profile = Profile(new_id("bpr", now), entered, automatic)
            profiles.append(profile)
            sealed = {
                name: None if text is None else ciphers[user_id].seal("billing_profile", name, profile.id, text)
                for name, text in asdict(entered).items()
                if name in _SEALED
            }
            rows.append(
                {
                    "id": profile.id,
                    "user_id": user_id,
                    "version": versions.get(user_id, 0) + 1,
                    "current": True,
                    "automatic": automatic,
                    "country": entered.country,
                    "created_at": now,
                    **sealed,
                }
            )
        await connection.execute(insert(BillingProfile), rows)
        return profiles

    async def _ciphers(self, unit: UnitOfWork, user_ids: Sequence[str]) -> dict[str, PersonCipher]:
        names = {key_of(user_id): user_id for user_id in user_ids}
        found = await self._vault.ciphers(unit.session, names)
        found |= await self._vault.create(unit.session, [name for name in names if name not in found], unit.clock.now())
        return {names[name]: cipher for name, cipher in found.items()}


async def _lock(unit: UnitOfWork, user_ids: Sequence[str]) -> None:
    connection = await unit.connection()
    await connection.execute(_LOCKED, {"values": list(user_ids)})


def _opened(row: BillingProfile, cipher: PersonCipher | None) -> BuyerDetails:
    values: dict[str, Any] = {"country": row.country}
    for name in _SEALED:
        sealed = getattr(row, name)
        values[name] = (
            cipher.open("billing_profile", name, row.id, sealed) if cipher is not None and sealed is not None else None
        )
    return BuyerDetails(**values)
