"""People, plans, subscriptions and facts to write mails about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from quntedge.accounts.models import AppUser
from quntedge.invoices.events import InvoicePaid
from quntedge.kit.ids import new_id
from quntedge.notifications.service import NotificationService
from quntedge.payments.events import PaymentRecorded
from quntedge.payments.models import PaymentTransaction
from quntedge.storage.unit_of_work import UnitOfWorkFactory
from quntedge.storage.vault import Vault
from quntedge.subscriptions.events import SubscriptionChanged
from quntedge.subscriptions.models import Subscription
from tests.catalog.rows import insert_plan

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
MONTH_LATER = START + timedelta(days=30)


async def add_user(
    units: UnitOfWorkFactory,
    vault: Vault,
    email: str | None = "kim@example.org",
    name: str | None = "Kim Doe",
    locale: str = "en",
) -> str:
    async with units() as unit:
        now = unit.clock.now()
        user_id = new_id("usr", now)
        cipher = (await vault.create(unit.session, [user_id], now))[user_id]
        await unit.session.execute(
            insert(AppUser).values(
                id=user_id,
                email=cipher.seal("app_user", "email", user_id, email) if email else None,
                email_index=vault.email_index(email) if email else None,
                name=cipher.seal("app_user", "name", user_id, name) if name else None,
                locale=locale,
                created_at=now,
            )
        )
        await unit.commit()
    return user_id


async def add_plan(units: UnitOfWorkFactory, **values: Any) -> str:
    async with units() as unit:
        now = unit.clock.now()
        plan_id = await insert_plan(unit.session, **{"id": new_id("pln", now), "created_at": now} | values)
        await unit.commit()
    return plan_id


async def add_subscription(units: UnitOfWorkFactory, user_id: str, plan_id: str, **values: Any) -> str:
    async with units() as unit:
        now = unit.clock.now()
        subscription = {
            "id": new_id("sub", now),
            "user_id": user_id,
            "plan_id": plan_id,
            "status": "active",
            "whop_membership_id": "mem_1",
            "started_at": now,
            "period_end": MONTH_LATER,
            "created_at": now,
            "updated_at": now,
        } | values
        await unit.session.execute(insert(Subscription).values(subscription))
        await unit.commit()
    return str(subscription["id"])


async def add_paid_transaction(
    units: UnitOfWorkFactory, user_id: str, membership_id: str, total_minor: int, **values: Any
) -> None:
    async with units() as unit:
        now = unit.clock.now()
        await unit.session.execute(
            insert(PaymentTransaction).values(
                {
                    "id": new_id("txn", now),
                    "user_id": user_id,
                    "whop_payment_id": f"pay_{total_minor}",
                    "whop_membership_id": membership_id,
                    "status": "paid",
                    "raw_status": "paid",
                    "currency": "usd",
                    "total_minor": total_minor,
                    "paid_at": now,
                    "occurred_at": now,
                    "created_at": now,
                    "updated_at": now,
                }
                | values
            )
        )
        await unit.commit()


def changed(user_id: str, plan_id: str, subscription_id: str = "sub_1", **values: Any) -> SubscriptionChanged:
    fields = {
        "subscription_id": subscription_id,
        "user_id": user_id,
        "plan_id": plan_id,
        "kind": "subscription.created",
        "status": "active",
        "started": True,
        "ended": False,
        "trial": False,
        "checkout_id": None,
        "membership_id": "mem_1",
        "period_end": MONTH_LATER,
        "grace_until": None,
        "cause": "msg_1",
    } | values
    return SubscriptionChanged(**fields)


def paid(user_id: str, plan_id: str | None, subscription_id: str | None, **values: Any) -> InvoicePaid:
    fields = {
        "invoice_id": "inv_1",
        "number": "INV-2026-000007",
        "user_id": user_id,
        "subscription_id": subscription_id,
        "transaction_id": "txn_1",
        "plan_id": plan_id,
        "currency": "usd",
        "total_minor": 3451,
        "billing_reason": "subscription_cycle",
        "paid_at": START,
    } | values
    return InvoicePaid(**fields)


def failed(user_id: str, plan_id: str, subscription_id: str, **values: Any) -> PaymentRecorded:
    fields = {
        "transaction_id": "txn_1",
        "user_id": user_id,
        "subscription_id": subscription_id,
        "plan_id": plan_id,
        "whop_payment_id": "pay_1",
        "whop_membership_id": "mem_1",
        "before_status": "open",
        "status": "failed",
        "billing_reason": "subscription_cycle",
        "currency": "usd",
        "subtotal_minor": 2900,
        "tax_minor": 0,
        "total_minor": 2900,
        "net_minor": None,
        "refunded_minor": 0,
        "attempts_failed": 1,
        "newly_paid": False,
        "newly_failed": True,
        "failed_attempt": 1,
        "decline_class": "soft",
        "paid_at": None,
        "occurred_at": START,
        "gateway_updated_at": START,
        "checkout_id": None,
        "cause": "msg_1",
    } | values
    return PaymentRecorded(**fields)


async def queue_confirmations(
    units: UnitOfWorkFactory, service: NotificationService, plan_id: str, user_ids: list[str]
) -> None:
    """One confirmation for each of these users."""
    facts = [changed(user_id, plan_id, f"sub_{number}") for number, user_id in enumerate(user_ids)]
    async with units() as unit:
        await service.on_subscription_changed(unit, facts)
        await unit.commit()


async def rows(
    units: UnitOfWorkFactory, columns: str = "state, attempts, due_at, error, kind, cause_key, sent_at"
) -> list[Any]:
    async with units() as unit:
        connection = await unit.connection()
        return list((await connection.execute(text(f"SELECT {columns} FROM notification ORDER BY id"))).all())


async def job_count(units: UnitOfWorkFactory) -> int:
    async with units() as unit:
        connection = await unit.connection()
        return int((await connection.execute(text("SELECT count(*) FROM procrastinate_jobs"))).scalar_one())
