"""Who has access to what: the question `GET /users/{id}/access/{resource_id}` answers."""

from typing import Literal

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.shapes.sellers import OWNER_ID
from quntedge.gateway.emulator.state.records import Membership, Product

Level = Literal["no_access", "admin", "customer"]

_GRANTING = frozenset({"trialing", "active", "completed"})


def has_access(world: World, membership: Membership) -> bool:
    """Whether a membership gives access now: to nobody who is banned. At Whop a dashboard setting decides what past due
    means; here `past_due_access` of the configuration does."""
    if world.store.tables.members[membership.member_id].banned:
        return False
    if membership.status == "past_due":
        return world.config.past_due_access
    return membership.status in _GRANTING


def level(world: World, user_id: str, resource: Product | None) -> Level:
    """What a user reaches of a product, or of the account when `resource` is None."""
    if user_id == OWNER_ID:
        return "admin"
    member = world.store.member_of(user_id)
    owned = [] if member is None else world.store.memberships_of(member.id)
    reached = any(
        has_access(world, membership) and (resource is None or membership.product_id == resource.id)
        for membership in owned
    )
    return "customer" if reached else "no_access"
