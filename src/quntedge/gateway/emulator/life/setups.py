"""Saving a card without buying: what a setup intent goes through."""

from dataclasses import dataclass, field
from datetime import datetime

from quntedge.gateway.emulator.core.world import World
from quntedge.gateway.emulator.life import purchases
from quntedge.gateway.emulator.rules.cards import CHALLENGE_FAILED, Card, Decline, decline_at_checkout
from quntedge.gateway.emulator.state.money_records import SetupIntent
from quntedge.gateway.emulator.state.records import Checkout, Member, Metadata, Method
from quntedge.gateway.emulator.wire.errors import conflict


@dataclass(frozen=True, slots=True)
class SetupTerms:
    """What a setup intent carries."""

    checkout_id: str | None = None
    return_url: str | None = None
    three_ds_level: str | None = None
    metadata: Metadata = field(default_factory=dict)


def save_card(world: World, checkout: Checkout, email: str, name: str | None, card: Card, at: datetime) -> SetupIntent:
    """What the page of a checkout in mode `setup` does; each try is a setup intent of its own."""
    member = purchases.member_for(world, purchases.person_for(world, email, name, at), at)
    purchases.announce_member(world, member, at)
    decline = decline_at_checkout(card.behaviour)
    method = None if decline is not None else purchases.store_card(world, member, card, at)
    terms = SetupTerms(checkout.id, checkout.redirect_url, checkout.three_ds_level, dict(checkout.metadata))
    return begin(world, member, method, terms, at, decline)


def begin(
    world: World, member: Member, method: Method | None, terms: SetupTerms, at: datetime, decline: Decline | None = None
) -> SetupIntent:
    """Verifies a card: it is saved, refused, or the bank wants to see its owner."""
    intent = SetupIntent(
        id=world.store.new_id("sint"),
        created_at=at,
        updated_at=at,
        member_id=member.id,
        user_id=member.user_id,
        payment_method_id=None if method is None else method.id,
        checkout_id=terms.checkout_id,
        return_url=terms.return_url,
        three_ds_level=terms.three_ds_level,
        metadata=dict(terms.metadata),
    )
    world.store.add(world.store.tables.setup_intents, intent)
    if decline is not None or method is None:
        _fail(world, intent, decline or CHALLENGE_FAILED, at)
    elif method.behaviour in ("challenges", "always_challenges") or terms.three_ds_level == "mandate_challenge":
        _move(world, intent, "requires_action", at)
    else:
        _move(world, intent, "succeeded", at)
    return intent


def _move(world: World, intent: SetupIntent, status: str, at: datetime) -> None:
    intent.status = status
    world.store.touch(intent, at)
    world.announcer.emit(f"setup_intent.{status}", intent, at)


def _fail(world: World, intent: SetupIntent, decline: Decline, at: datetime) -> None:
    intent.error_code, intent.error_message = decline.code, decline.message
    _move(world, intent, "canceled", at)


def _forget_card(world: World, intent: SetupIntent) -> None:
    """A card that came with this intent was never saved; one that was there before stays."""
    method = world.store.tables.methods.get(intent.payment_method_id or "")
    if method is not None and method.created_at == intent.created_at:
        world.store.remove(world.store.tables.methods, method.id)


def answer_challenge(world: World, intent: SetupIntent, at: datetime, *, passed: bool) -> None:
    """Ends the bank's challenge.

    Raises:
        ApiFault: 409 when the bank asks nothing (any more).
    """
    if intent.status != "requires_action":
        raise conflict(f"This setup intent is {intent.status}.")
    if not passed:
        _forget_card(world, intent)
        _fail(world, intent, CHALLENGE_FAILED, at)
        return
    intent.three_ds_verified = True
    _move(world, intent, "succeeded", at)
