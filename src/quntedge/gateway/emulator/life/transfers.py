"""Handing a membership on: a link that works once, after which somebody else owns the same membership.

Whop keeps the membership's id and says nothing of the card. Chosen here: the card stays with the buyer who stored it,
so that nobody pays for a stranger; the new owner's newest card takes its place, and without one the next renewal fails
as any renewal without a card does. Payments stay with whoever paid them.
"""

from datetime import datetime

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import memberships, purchases
from quntedge.gateway.emulator.state.people_records import Transfer
from quntedge.gateway.emulator.state.records import Membership, Person
from quntedge.gateway.emulator.wire.errors import conflict, not_found

TRANSFERABLE = ("trialing", "active", "completed")
"""When a buyer may hand a membership on; the seller always may."""


def offer(world: World, membership: Membership, at: datetime) -> str:
    """A new link that hands the membership on."""
    token = f"xfer_{world.store.random_bytes(16).hex()}"
    made = Transfer(id=token, created_at=at, updated_at=at, membership_id=membership.id)
    world.store.add(world.store.tables.transfers, made)
    return f"{world.config.public_base_url}/transfer/{made.id}"


def open_offer(world: World, token: str) -> tuple[Transfer, Membership]:
    """What a link offers. Raises ApiFault 404 when it is unknown or was used."""
    found = world.store.tables.transfers.get(token)
    if found is None or found.used_at is not None:
        raise not_found("Transfer")
    return found, world.store.tables.memberships[found.membership_id]


def claim(world: World, token: str, person: Person, at: datetime) -> Membership:
    """Uses the link. Raises ApiFault 404, or 409 when the person owns the membership already."""
    offered, membership = open_offer(world, token)
    move(world, membership, person, at)
    offered.used_at = at
    world.store.touch(offered, at)
    return membership


def move(world: World, membership: Membership, person: Person, at: datetime) -> None:
    """Makes `person` the owner and announces it. Raises ApiFault 409 when that is so already."""
    if membership.user_id == person.id:
        raise conflict("This membership belongs to this person already.")
    member = purchases.member_for(world, person, at)
    purchases.announce_member(world, member, at)
    world.store.move_membership(membership, member)
    cards = world.store.methods_of(member.id)
    method_id = cards[-1].id if cards and membership.payment_method_id is not None else None
    owner = {"user_id": person.id, "member_id": member.id}
    memberships.change(world, membership, at, **owner, payment_method_id=method_id)
