"""What is denied: one row, however often it is tried; and a flood stays small."""

import asyncio
from datetime import timedelta

import pytest

from quntedge.audit.acting import acting, identify
from quntedge.audit.log import about
from quntedge.audit.rules import FOLD, OWN_ROWS, SYSTEM, Actor, ActorKind, Subject, is_denial
from quntedge.checkout.idempotency import IdempotencyKeyInFlight
from quntedge.edge.errors import CsrfFailed
from quntedge.kit import errors
from quntedge.kit.clock import FrozenClock
from quntedge.kit.errors import QuntedgeError
from quntedge.kit.ids import new_id
from quntedge.promotions.errors import PromotionCodeUnknown
from quntedge.refunds.errors import InvalidRefund, RefundNotFound, RefundNotWaiting
from tests.audit.world import CUSTOMER, KIM, Book
from tests.conftest import START

REFUND = new_id("ref", START)


async def attempt(book: Book, subject: str = REFUND, *, actor: Actor = KIM, act: str = "refund.approve") -> None:
    """Somebody tries something that a rule denies."""
    identify(actor)
    with pytest.raises(RefundNotWaiting):
        async with book.log.attempt(act, "refund", subject):
            raise RefundNotWaiting
    identify(SYSTEM)


async def told(book: Book) -> list[tuple[object, ...]]:
    return await book.rows(
        "SELECT actor_id, act, subject_id, code, details -> 'repeats' FROM audit_event ORDER BY at, id"
    )


async def test_a_denied_act_is_one_row(book: Book) -> None:
    await attempt(book)
    assert await book.rows(
        "SELECT actor_kind, actor_id, holder, act, subject_kind, subject_id, outcome, code, details FROM audit_event"
    ) == [
        ("api_key", "key_kim", "staff:kim", "refund.approve", "refund", REFUND, "denied", "refund_not_waiting", {})
    ]  # fmt: skip


async def test_repetitions_become_a_number_when_their_minute_is_over(book: Book, clock: FrozenClock) -> None:
    for _ in range(4):
        await attempt(book)
    await attempt(book, actor=CUSTOMER)
    first = ("key_kim", "refund.approve", REFUND, "refund_not_waiting", None)
    other = (CUSTOMER.id, *first[1:])
    assert await told(book) == [first, other]
    clock.advance(FOLD - timedelta(seconds=1))
    await book.log.keep()
    assert await told(book) == [first, other]
    clock.advance(timedelta(seconds=1))
    await book.log.keep()
    assert await told(book) == [first, other, (*first[:4], 3)]
    await book.log.keep()
    assert len(await told(book)) == 3
    assert await book.rows("SELECT count(*) FROM audit_denial") == [(0,)]
    assert await book.verify() is None


async def test_the_next_minute_begins_with_a_row_of_its_own(book: Book, clock: FrozenClock) -> None:
    await attempt(book)
    await attempt(book)
    clock.advance(FOLD)
    await attempt(book)
    await attempt(book)
    assert sorted(str(row[4]) for row in await told(book)) == ["1", "None", "None"]
    clock.advance(FOLD)
    await book.log.keep()
    assert sorted(str(row[4]) for row in await told(book)) == ["1", "1", "None", "None"]


async def test_none_of_many_at_the_same_time_is_lost(book: Book, clock: FrozenClock) -> None:
    identify(KIM)
    await asyncio.gather(
        *(book.log.denied("refund.approve", Subject("refund", REFUND), "refund_not_waiting") for _ in range(8))
    )
    identify(SYSTEM)
    clock.advance(FOLD)
    await book.log.keep()
    assert [row[4] for row in await told(book)] == [None, 7]


async def test_going_through_ids_one_by_one_does_not_fill_the_log(book: Book, clock: FrozenClock) -> None:
    for _ in range(OWN_ROWS + 15):
        await attempt(book, new_id("ref", START))
    await attempt(book, actor=CUSTOMER)
    clock.advance(FOLD)
    await book.log.keep()
    rows = await told(book)
    kim = [row for row in rows if row[0] == "key_kim"]
    assert len([row for row in kim if row[2] is not None]) == OWN_ROWS
    assert sorted([str(row[4]) for row in kim if row[2] is None]) == ["14", "None"]
    assert len(rows) == len(kim) + 1


async def test_what_it_is_about_can_become_known_on_the_way(book: Book) -> None:
    identify(KIM)

    async def ask() -> None:
        async with book.log.attempt("refund.request", "payment"):
            about("payment", "txn_known")
            raise RefundNotWaiting

    with pytest.raises(RefundNotWaiting):
        await ask()
    about("payment", "nobody attempts anything")
    assert [row[2] for row in await told(book)] == ["txn_known"]
    identify(SYSTEM)


async def test_what_goes_well_or_breaks_is_not_denied(book: Book) -> None:
    async with book.log.attempt("refund.approve", "refund", REFUND):
        assert acting() == SYSTEM
    for error in (
        ValueError("broken"),
        errors.Unavailable("Later."),
        errors.RateLimited("Wait.", retry_after_seconds=1),
    ):
        with pytest.raises(type(error)):
            async with book.log.attempt("refund.approve", "refund", REFUND):
                raise error
    assert await told(book) == []


def test_what_counts_as_denied() -> None:
    known, typed = Subject("refund", REFUND), Subject("refund", "nonsense")
    cases: list[tuple[QuntedgeError, Subject | None, ActorKind, bool]] = [
        (errors.Forbidden(), None, ActorKind.API_KEY, True),
        (errors.Gone(), known, ActorKind.CUSTOMER, True),
        (RefundNotWaiting(), typed, ActorKind.CUSTOMER, True),
        (RefundNotFound(), known, ActorKind.CUSTOMER, True),
        (RefundNotFound(), typed, ActorKind.API_KEY, False),
        (RefundNotFound(), None, ActorKind.API_KEY, False),
        (PromotionCodeUnknown(), None, ActorKind.CUSTOMER, True),
        (InvalidRefund(), known, ActorKind.OPERATOR, True),
        (InvalidRefund(), known, ActorKind.CUSTOMER, False),
        (errors.Malformed(), known, ActorKind.API_KEY, False),
        (IdempotencyKeyInFlight(), known, ActorKind.API_KEY, False),
        (CsrfFailed(), known, ActorKind.CUSTOMER, False),
        (errors.Unauthenticated(), known, ActorKind.SYSTEM, False),
        (errors.InvalidRequest(), known, ActorKind.API_KEY, False),
    ]
    assert [is_denial(error, subject, who) for error, subject, who, _ in cases] == [case[3] for case in cases]
