"""Signs of the same person, from cards and mailboxes, and the index that older customers get later."""

import hashlib
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from quntedge.accounts.service import AccountService
from quntedge.gateway.acts import StoredMethod
from quntedge.gateway.errors import GatewayError, GatewayRejected, GatewayUnavailable
from quntedge.kit.metrics import REGISTRY
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.storage.vault import Vault
from quntedge.trials.signals import TrialSignals
from tests.trials.world import World


@dataclass
class Cards:
    """What people have saved at the gateway, by member."""

    of: dict[str, list[StoredMethod]] = field(default_factory=dict)
    trouble: GatewayError | None = None

    async def methods_of(self, member_id: str) -> list[StoredMethod]:
        if self.trouble is not None:
            raise self.trouble
        return self.of.get(member_id, [])


@dataclass
class Detective:
    """Two customers with the same plan: one who has had a trial, and one who begins."""

    world: World
    cards: Cards
    signals: TrialSignals
    accounts: AccountService
    kim: str = ""
    lou: str = ""

    async def begin(self, email: str, card: str | None) -> None:
        """Kim has had a trial with card A; somebody begins, with this address and card."""
        self.kim = await self.world.customer("mem_1", "k.im+a@gmail.com")
        self.lou = await self.world.customer("mem_2", email)
        await self.index()
        self.cards.of = {"mber_mem_1": [visa("A")], "mber_mem_2": [visa(card)]}
        await self.world.hear(self.world.trial("mem_1"))
        await self.signals.inspect("mem_1")
        await self.world.hear(self.world.paid("mem_2"))

    async def index(self) -> int:
        async with self.world.units() as unit:
            count = await self.accounts.index_mailboxes(unit)
            await unit.commit()
        return count

    async def found(self) -> list[tuple[str, str, str]]:
        rows = await self.world.rows("trial_signal")
        return sorted((row["kind"], row["user_id"], row["other_user_id"]) for row in rows)


def visa(fingerprint: str | None) -> StoredMethod:
    return StoredMethod("payt_1", "card", "visa", "4242", 4, 2030, fingerprint=fingerprint)


@pytest.fixture
async def detective(world: World, vault: Vault) -> Detective:
    async def later(unit: UnitOfWork, membership_ids: list[str]) -> None:
        """Looked at by hand here."""

    cards = Cards()
    return Detective(world, cards, TrialSignals(world.units, vault, cards, later), AccountService(vault, "secret" * 8))


@pytest.mark.parametrize(
    ("email", "card", "kinds"),
    [
        ("kim@googlemail.com", "B", ["same_email_normalised"]),
        ("lou@example.org", "A", ["same_card"]),
        ("KIM+again@gmail.com", "A", ["same_card", "same_email_normalised"]),
        ("lou@example.org", "B", []),
        ("lou@example.org", None, []),
    ],
)
async def test_each_sign_is_recorded_and_counted_once(
    detective: Detective, email: str, card: str | None, kinds: list[str]
) -> None:
    await detective.begin(email, card)
    before = {kind: _count(kind) for kind in kinds}
    assert await detective.signals.inspect("mem_2") == len(kinds)
    assert await detective.signals.inspect("mem_2") == 0
    assert await detective.found() == [(kind, detective.lou, detective.kim) for kind in kinds]
    assert {kind: _count(kind) for kind in kinds} == {kind: count + 1 for kind, count in before.items()}


async def test_a_card_is_kept_as_a_digest_that_needs_our_key(detective: Detective) -> None:
    await detective.begin("lou@example.org", "A")
    await detective.signals.inspect("mem_2")
    rows = await detective.world.rows("card_fingerprint")
    assert {row["user_id"] for row in rows} == {detective.kim, detective.lou}
    assert len({row["digest"] for row in rows}) == 1
    plain = {hashlib.sha256(name.encode()).digest() for name in ("A", "a")}
    assert all(len(row["digest"]) == 32 and row["digest"] not in plain for row in rows)


async def test_whoever_never_had_a_trial_is_no_sign(detective: Detective) -> None:
    await detective.begin("kim@gmail.com", "A")
    async with detective.world.units() as unit:
        await unit.session.execute(text("DELETE FROM trial"))
        await unit.commit()
    assert await detective.signals.inspect("mem_2") == 0


async def test_without_the_cards_the_address_still_speaks(detective: Detective) -> None:
    await detective.begin("kim@gmail.com", "A")
    detective.cards.trouble = GatewayRejected("This key may not read methods.")
    assert await detective.signals.inspect("mem_2") == 1
    detective.cards.trouble = GatewayUnavailable("payment_methods.list")
    with pytest.raises(GatewayUnavailable):
        await detective.signals.inspect("mem_2")
    assert await detective.signals.inspect("mem_unknown") == 0


async def test_mailboxes_of_earlier_customers_are_indexed_once(detective: Detective) -> None:
    await detective.begin("lou@example.org", None)
    nobody = await detective.world.customer("mem_3", "old@example.org")
    async with detective.world.units() as unit:
        await unit.session.execute(text("UPDATE data_key SET wrapped = NULL WHERE person_id = :id"), {"id": nobody})
        await unit.session.execute(text("UPDATE app_user SET mailbox_index = NULL WHERE id = :id"), {"id": nobody})
        await unit.commit()
    assert await detective.index() == 0
    await detective.world.customer("mem_4", "new@example.org")
    assert await detective.index() == 1
    assert await detective.index() == 0


def _count(kind: str, registry: CollectorRegistry = REGISTRY) -> float:
    return registry.get_sample_value("quntedge_trial_signals_total", {"kind": kind}) or 0.0
