"""Each kind of mail comes from a fact that somebody listens to, and goes out exactly once for each occasion."""

from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime, timedelta
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from quntedge.cancellations.events import CancellationScheduled, CancellationUndone, WithdrawalReceived
from quntedge.dunning.events import AccessPaused, GraceEnding
from quntedge.invoices.events import CreditNoteIssued, InvoicePaid
from quntedge.methods.events import MethodExpiring
from quntedge.notifications import causes
from quntedge.notifications.causes import Cause
from quntedge.notifications.methods import of_method_expiring
from quntedge.notifications.plan_changes import of_new_terms, of_new_terms_withdrawn, of_plan_change
from quntedge.notifications.refunds import of_refund_failed
from quntedge.notifications.rules import Kind
from quntedge.notifications.sender import MailSender
from quntedge.notifications.service import NotificationService
from quntedge.notifications.staff import STAFF_KINDS
from quntedge.pauses.events import PauseBegan, PauseEnded, PauseEnding, PauseMoved
from quntedge.payments.events import PaymentRecorded
from quntedge.plan_changes.events import PlanChangeNews, Stage
from quntedge.plan_migrations.events import NewTermsAnnounced, NewTermsWithdrawn
from quntedge.refunds.events import RefundMoved
from quntedge.settings import Settings
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.trials.events import TrialEnding
from quntedge.wiring import build
from tests.notifications.conftest import Post
from tests.notifications.world import START, add_user


@dataclass(frozen=True)
class Occasion:
    """How a kind of mail comes about: a fact of this type with these values, and what makes it another occasion."""

    fact: type[Any]
    cause: Callable[..., Cause | None]
    another: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)
    """What the service adds that is in no fact."""


_RENEWAL = {"billing_reason": "subscription_cycle"}
_FAILED = _RENEWAL | {"status": "failed", "newly_failed": True, "failed_attempt": 1}
_BEGUN = {"started": True, "ended": False}
_ENDED = {"started": False, "ended": True}
_LATER = {"cause": "msg_2"}

OCCASIONS: dict[Kind, Occasion] = {
    Kind.SUBSCRIPTION_CONFIRMED: Occasion(SubscriptionChanged, causes.of_subscription_change, _LATER, _BEGUN),
    Kind.TRIAL_STARTED: Occasion(SubscriptionChanged, causes.of_subscription_change, _LATER, _BEGUN | {"trial": True}),
    Kind.SUBSCRIPTION_ENDED: Occasion(SubscriptionChanged, causes.of_subscription_change, _LATER, _ENDED),
    Kind.ENDED_UNPAID: Occasion(SubscriptionChanged, causes.of_subscription_change, _LATER, _ENDED, {"unpaid": True}),
    Kind.TRIAL_ENDING: Occasion(TrialEnding, causes.of_trial_ending, {"trial_end": START + timedelta(days=7)}),
    Kind.RENEWAL_PAID: Occasion(InvoicePaid, causes.of_invoice_paid, {"invoice_id": "inv_2"}, _RENEWAL),
    Kind.TRIAL_CONVERTED: Occasion(
        InvoicePaid, causes.of_invoice_paid, {"invoice_id": "inv_2"}, _RENEWAL, {"converts_trial": True}
    ),
    Kind.PAYMENT_RECOVERED: Occasion(
        InvoicePaid, causes.of_invoice_paid, {"invoice_id": "inv_2"}, _RENEWAL, {"recovered": True}
    ),
    Kind.PAYMENT_FAILED: Occasion(PaymentRecorded, causes.of_payment, {"failed_attempt": 2}, _FAILED),
    Kind.INVOICE: Occasion(
        InvoicePaid, causes.of_purchase_invoice, {"invoice_id": "inv_2"}, {"billing_reason": "subscription_create"}
    ),
    Kind.CREDIT_NOTE: Occasion(CreditNoteIssued, causes.of_credit_note, {"credit_note_id": "crn_2"}),
    Kind.REFUND_FAILED: Occasion(
        RefundMoved, of_refund_failed, {"refund_id": "ref_2"}, {"status": "failed", "before_status": "pending"}
    ),
    Kind.METHOD_EXPIRING: Occasion(MethodExpiring, of_method_expiring, {"exp_month": 12}),
    Kind.GRACE_ENDING: Occasion(GraceEnding, causes.of_grace_ending, {"case_id": "dun_2"}),
    Kind.ACCESS_PAUSED: Occasion(AccessPaused, causes.of_access_paused, {"case_id": "dun_2"}),
    Kind.SUBSCRIPTION_PAUSED: Occasion(PauseBegan, causes.of_pause_began, {"pause_id": "pau_2"}),
    Kind.PAUSE_MOVED: Occasion(PauseMoved, causes.of_pause_moved, {"move_id": "prc_2"}),
    Kind.PAUSE_ENDING: Occasion(PauseEnding, causes.of_pause_ending, {"resume_at": START + timedelta(days=7)}),
    Kind.SUBSCRIPTION_RESUMED: Occasion(PauseEnded, causes.of_pause_ended, {"pause_id": "pau_2"}),
    Kind.CANCELLATION_SCHEDULED: Occasion(
        CancellationScheduled, causes.of_cancellation_scheduled, {"cancellation_id": "can_2"}
    ),
    Kind.CANCELLATION_UNDONE: Occasion(CancellationUndone, causes.of_cancellation_undone, {"cancellation_id": "can_2"}),
    Kind.WITHDRAWAL_RECEIVED: Occasion(WithdrawalReceived, causes.of_withdrawal, {"withdrawal_id": "wdr_2"}),
    Kind.PLAN_CHANGED: Occasion(PlanChangeNews, of_plan_change, {"change_id": "chg_2"}, {"stage": Stage.DONE_NOW}),
    Kind.PLAN_CHANGE_SCHEDULED: Occasion(
        PlanChangeNews, of_plan_change, {"change_id": "chg_2"}, {"stage": Stage.SCHEDULED}
    ),
    Kind.PLAN_CHANGE_WITHDRAWN: Occasion(
        PlanChangeNews, of_plan_change, {"change_id": "chg_2"}, {"stage": Stage.WITHDRAWN}
    ),
    Kind.PLAN_CHANGE_DONE: Occasion(
        PlanChangeNews, of_plan_change, {"change_id": "chg_2"}, {"stage": Stage.DONE_LATER}
    ),
    Kind.NEW_TERMS_ANNOUNCED: Occasion(NewTermsAnnounced, of_new_terms, {"migration_id": "mig_2"}),
    Kind.NEW_TERMS_WITHDRAWN: Occasion(NewTermsWithdrawn, of_new_terms_withdrawn, {"migration_id": "mig_2"}),
    Kind.PLAN_CHANGE_FAILED: Occasion(PlanChangeNews, of_plan_change, {"attempt": 2}, {"stage": Stage.NOT_COLLECTED}),
}


def fact_of(occasion: Occasion, user_id: str = "usr_1") -> Any:
    """A fact with something in every field that has no default."""
    hints = get_type_hints(occasion.fact)
    by_type: dict[Any, Any] = {datetime: START, int: 100, bool: False}
    values = {
        item.name: by_type.get(_plain(hints[item.name]), f"{item.name}_1")
        for item in fields(occasion.fact)
        if item.default is MISSING
    }
    given = _only({"user_id": user_id, "currency": "usd"}, values)
    return occasion.fact(**(values | given | occasion.values))


def _only(wanted: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name in known}


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Union, UnionType) else hint


def cause_of(occasion: Occasion, fact: Any) -> Cause:
    found = occasion.cause(fact, **occasion.known)
    assert found is not None
    return found


CUSTOMERS_KINDS = [kind for kind in Kind if kind not in STAFF_KINDS]
"""Those to staff have a test of their own, where there are disputes."""


def test_every_kind_has_its_occasion() -> None:
    assert set(OCCASIONS) == set(CUSTOMERS_KINDS)


@pytest.mark.parametrize("kind", CUSTOMERS_KINDS)
def test_one_occasion_has_one_key_and_another_one_another(kind: Kind) -> None:
    occasion = OCCASIONS[kind]
    fact = fact_of(occasion)
    first = cause_of(occasion, fact)
    assert first.kind is kind
    assert cause_of(occasion, replace(fact)).key == first.key
    assert cause_of(occasion, replace(fact, **occasion.another)).key != first.key


async def test_the_product_listens_to_every_fact_that_a_mail_comes_from(settings: Settings, database_url: str) -> None:
    runtime = build(settings, database_url)
    heard = {
        fact
        for fact, handlers in runtime.units.bus._handlers.items()
        if any(isinstance(getattr(handler, "__self__", None), NotificationService) for handler in handlers)
    }
    await runtime.close()
    assert {occasion.fact for occasion in OCCASIONS.values()} == heard


async def test_every_mail_goes_out_exactly_once(
    units: UnitOfWorkFactory,
    service: NotificationService,
    sender: MailSender,
    vault: Vault,
    post: Post,
    plan_id: str,
) -> None:
    # One key for each kind: those that share a cause, as the words of an end do, would count as one.
    user_id = await add_user(units, vault, locale="fr")
    owed = []
    for kind, occasion in OCCASIONS.items():
        fact = fact_of(occasion, user_id)
        named = _only({"plan_id": plan_id, "from_plan_id": plan_id, "to_plan_id": plan_id}, _values(fact))
        cause = cause_of(occasion, replace(fact, **named))
        owed.append(replace(cause, key=f"{kind}|{cause.key}"))
    for _ in range(3):
        async with units() as unit:
            await service.queue(unit, owed)
            await unit.commit()
        await sender.send_due()
    sent = Counter(str(message["X-Notification-Kind"]) for message in post.received)
    assert sent == Counter(kind.value for kind in CUSTOMERS_KINDS)
    assert {str(message["Content-Language"]) for message in post.received} == {"fr"}


def _values(fact: Any) -> dict[str, Any]:
    return {item.name: getattr(fact, item.name) for item in fields(fact)}
