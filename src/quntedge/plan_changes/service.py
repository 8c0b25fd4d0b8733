"""PlanChangeService: shows what a change would be, begins exactly what was shown, and takes back what is planned."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from quntedge.catalog import queries as catalog
from quntedge.catalog.queries import PlanView
from quntedge.gateway.acts import StoredMethod
from quntedge.kit.ids import is_id, new_id
from quntedge.kit.money import Money
from quntedge.plan_changes import errors, rules
from quntedge.plan_changes.changes import KIND, Tools, end, is_new_version, usable
from quntedge.plan_changes.claims import PREFIX
from quntedge.plan_changes.models import OPEN, PLANNED, PlanChange, PlanChangeQuote
from quntedge.plan_changes.rules import Direction, PayBy, Settlement
from quntedge.plan_changes.situation import Situation, find_situation
from quntedge.plan_changes.switching import PERIOD_END
from quntedge.plan_changes.views import ChangeView, Preview, latest, view_of
from quntedge.processes.runner import ProcessRunner
from quntedge.storage.unit_of_work import UnitOfWork

QUOTE_LASTS = timedelta(minutes=10)
QUOTE_KEPT = timedelta(days=7)
_QUOTE = "qte"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A change worked out: when, how it is paid, and what it costs."""

    direction: Direction
    moment: str
    pay_by: PayBy
    settlement: Settlement
    effective_at: datetime | None
    method: StoredMethod | None


class PlanChangeService:
    """Changes of plan. Opens and commits its own units of work, because it calls the gateway."""

    def __init__(self, tools: Tools, processes: ProcessRunner) -> None:
        self._tools = tools
        self._processes = processes

    async def preview(self, user_id: str, plan_code: str, *, by_checkout: bool = False) -> Preview:
        """What a change to this plan would be now, with a quote to confirm it by.

        `by_checkout`: the customer would rather pay on the gateway's page than with the saved method. Raises the
        errors of `plan_changes.errors` that say why a change is impossible, and `GatewayError` when the saved methods
        cannot be read.
        """
        async with self._tools.units() as unit:
            situation = await find_situation(unit, user_id, plan_code, self._tools.held_of)
            paying = await self._tools.paying_method(unit.session, user_id)
        method = await self._method(situation, paying)
        async with self._tools.units() as unit:
            preview = await self._quote(unit, user_id, plan_code, method, by_checkout=by_checkout)
            await unit.commit()
        return preview

    async def confirm(self, user_id: str, plan_code: str, quote_id: str) -> ChangeView:
        """Begins the change that was shown, and takes it as far as it goes now.

        A quote serves once: confirming it again shows the change it has become. Raises `QuoteUnknown`,
        `PreviewOutdated` (with a fresh preview) when something it was computed from has changed or its time is over,
        and the errors of `preview`.
        """
        async with self._tools.units() as unit:
            found = await self._confirmed_before(unit, user_id, plan_code, quote_id)
        if found is None:
            found = await self._begin(user_id, plan_code, quote_id)
        await self._processes.run(found.process_id)
        return await self._view(found.id)

    async def current(self, user_id: str) -> ChangeView | None:
        """The customer's open change, else their latest; with the bank's page where one waits for it."""
        async with self._tools.units() as unit:
            found = await latest(unit.session, user_id)
        if found is None or found.state != "requires_action" or found.payment_id is None:
            return found
        # Asked each time: the address is personal and short-lived.
        payment = await self._tools.gateway.payment(found.payment_id)
        return replace(found, confirm_url=payment.recovery_url)

    async def withdraw(self, user_id: str) -> ChangeView:
        """Takes back what is planned, or a change whose checkout nobody has paid.

        Raises `NoChange`, `TooLateToWithdraw` once the period is over or a charge is on its way, and `NewTermsApply`
        where it is the plan's price that changes.
        """
        async with self._tools.units() as unit:
            change_id = await unit.session.scalar(
                select(PlanChange.id)
                .where(PlanChange.user_id == user_id, PlanChange.state.in_(OPEN))
                .order_by(PlanChange.state.in_(PLANNED), PlanChange.created_at.desc())
                .limit(1)
            )
            if change_id is None:
                raise errors.NoChange("No change of your plan is planned.")
            change = await self._tools.locked(unit, change_id)
            if is_new_version(change):
                raise errors.NewTermsApply(
                    "The price of your plan changes with your next renewal. Until then you can cancel or change plans."
                )
            self._take_back(change, unit.clock.now())
            await self._tools.wake(unit, [change.id])
            process_id = change.process_id
            await unit.commit()
        await self._go_on(process_id)
        return await self._view(change_id)

    @staticmethod
    def _take_back(change: PlanChange, now: datetime) -> None:
        if change.state == "awaiting_checkout" and change.new_membership_id is None:
            end(change, "withdrawn", now)
            return
        over = change.effective_at is not None and change.effective_at <= now
        if change.state not in ("scheduling", "scheduled", "withdrawing") or over:
            raise errors.TooLateToWithdraw("This change is being done already, so it cannot be taken back any more.")
        change.state = "withdrawing"

    async def wake(self, change_id: str) -> None:
        """Has a change look at what is new; for the job that subscribers leave."""
        async with self._tools.units() as unit:
            process_id = await unit.session.scalar(select(PlanChange.process_id).where(PlanChange.id == change_id))
        if process_id is not None:
            await self._go_on(process_id)

    async def purge_quotes(self, unit: UnitOfWork, now: datetime) -> int:
        """Deletes previews of long ago, in the caller's unit; how many there were."""
        gone = await unit.session.execute(
            delete(PlanChangeQuote)
            .where(PlanChangeQuote.expires_at <= now - QUOTE_KEPT)
            .returning(PlanChangeQuote.id)
            .execution_options(synchronize_session=False)
        )
        return len(gone.all())

    async def _go_on(self, process_id: str) -> None:
        async with self._tools.units() as unit:
            await self._processes.nudge(unit, [process_id])
            await unit.commit()
        await self._processes.run(process_id)

    async def _view(self, change_id: str) -> ChangeView:
        async with self._tools.units() as unit:
            return await view_of(unit.session, await unit.session.get_one(PlanChange, change_id))

    async def _method(self, situation: Situation, paying: str | None) -> StoredMethod | None:
        if situation.member_id is None:
            return None
        return usable(await self._tools.gateway.methods_of(situation.member_id), paying)

    async def _quote(
        self, unit: UnitOfWork, user_id: str, plan_code: str, method: StoredMethod | None, *, by_checkout: bool
    ) -> Preview:
        situation = await find_situation(unit, user_id, plan_code, self._tools.held_of)
        now = unit.clock.now()
        plan = _work_out(situation, method, now, by_checkout=by_checkout)
        quote_id = new_id(_QUOTE, now)
        await unit.session.execute(
            insert(PlanChangeQuote).values(
                id=quote_id,
                user_id=user_id,
                subscription_id=situation.subscription.id,
                to_plan_id=situation.target.id,
                terms=_terms_of(plan),
                basis=situation.basis(_method_id(plan)),
                created_at=now,
                expires_at=now + QUOTE_LASTS,
            )
        )
        replaced = None
        if situation.planned is not None:
            replaced = (await catalog.plans_by_id(unit.session, [situation.planned.to_plan_id])).popitem()[1]
        return _preview(quote_id, situation, plan, now, replaced)

    async def _confirmed_before(
        self, unit: UnitOfWork, user_id: str, plan_code: str, quote_id: str
    ) -> PlanChange | None:
        quote = await self._own_quote(unit, user_id, quote_id, lock=False)
        if quote.change_id is None:
            return None
        change = await unit.session.get_one(PlanChange, quote.change_id)
        unit.session.expunge(change)
        return change

    async def _begin(self, user_id: str, plan_code: str, quote_id: str) -> PlanChange:
        try:
            return await self._try_to_begin(user_id, plan_code, quote_id)
        except _Outdated as outdated:
            fresh = await self.preview(user_id, plan_code, by_checkout=outdated.by_checkout)
        raise errors.PreviewOutdated(
            "Something has changed since this preview was made. Look at the new one in `preview`, then confirm that.",
            extra={"preview": fresh.to_json()},
        )

    async def _try_to_begin(self, user_id: str, plan_code: str, quote_id: str) -> PlanChange:
        """One transaction: the quote is used up, the change exists, its process too, and what it replaces has ended."""
        async with self._tools.units() as unit:
            situation = await find_situation(unit, user_id, plan_code, self._tools.held_of, lock=True)
            quote = await self._own_quote(unit, user_id, quote_id, lock=True)
            if quote.change_id is not None:
                return await self._change(unit, quote.change_id)
            now, terms = unit.clock.now(), quote.terms
            by_checkout = terms["pay_by"] == "checkout"
            is_fresh = now < quote.expires_at and quote.to_plan_id == situation.target.id
            if not is_fresh or quote.basis != situation.basis(terms["method_id"]):
                raise _Outdated(by_checkout=by_checkout)
            change = await self._make(unit, situation, terms)
            quote.change_id = change.id
            await unit.commit()
            unit.session.expunge(change)
        return change

    async def _make(self, unit: UnitOfWork, situation: Situation, terms: dict[str, Any]) -> PlanChange:
        now, row = unit.clock.now(), situation.subscription
        change_id = new_id(PREFIX, now)
        later = terms["moment"] == "period_end"
        if later and situation.planned is not None:
            await self._replace(unit, situation.planned)
        process_id = await self._processes.start(
            unit,
            KIND,
            change_id,
            user_id=row.user_id,
            data={
                "trial": situation.offer.trial_days > 0,
                PERIOD_END: None if row.period_end is None else row.period_end.isoformat(),
            },
        )
        change = PlanChange(
            id=change_id,
            user_id=row.user_id,
            subscription_id=row.id,
            process_id=process_id,
            direction=terms["direction"],
            moment=terms["moment"],
            pay_by=terms["pay_by"],
            state="scheduling" if later else "running",
            from_plan_id=situation.plan.id,
            to_plan_id=situation.target.id,
            to_version=situation.offer.version,
            to_whop_plan_id=situation.offer.whop_plan_id,
            old_membership_id=row.whop_membership_id,
            whop_member_id=situation.member_id,
            whop_method_id=terms["method_id"],
            refund_payment_id=situation.payment_id,
            currency=situation.wanted.price.currency,
            price_minor=situation.wanted.price.amount_minor,
            charge_minor=terms["charge_minor"],
            credit_minor=terms["credit_minor"],
            refund_minor=terms["refund_minor"],
            extension_days=terms["extension_days"],
            lines=terms["lines"],
            attempt=1,
            actor=f"customer:{row.user_id}",
            created_at=now,
            effective_at=row.period_end if later else None,
        )
        unit.session.add(change)
        await unit.session.flush()
        if later:
            # Before the gateway is told: the end of the old membership is expected, so that nothing ends with it.
            await self._tools.supersede(unit, change, expected=terms["direction"] != Direction.TO_FREE)
        return change

    async def _replace(self, unit: UnitOfWork, planned: PlanChange) -> None:
        """What was planned is given up for what is planned now; the old membership is to end in any case."""
        held = await self._tools.locked(unit, planned.id)
        end(held, "replaced", unit.clock.now())
        await unit.session.flush()
        await self._tools.wake(unit, [held.id])

    @staticmethod
    async def _change(unit: UnitOfWork, change_id: str) -> PlanChange:
        change = await unit.session.get_one(PlanChange, change_id)
        unit.session.expunge(change)
        return change

    @staticmethod
    async def _own_quote(unit: UnitOfWork, user_id: str, quote_id: str, *, lock: bool) -> PlanChangeQuote:
        query = select(PlanChangeQuote).where(PlanChangeQuote.id == quote_id, PlanChangeQuote.user_id == user_id)
        found = None
        if is_id(quote_id, _QUOTE):
            found = await unit.session.scalar(query.with_for_update() if lock else query)
        if found is None:
            raise errors.QuoteUnknown("There is no preview with this id among yours. Ask for a new one.")
        return found


class _Outdated(Exception):
    """The quote cannot be confirmed any more."""

    def __init__(self, *, by_checkout: bool) -> None:
        super().__init__()
        self.by_checkout = by_checkout


def _work_out(situation: Situation, method: StoredMethod | None, now: datetime, *, by_checkout: bool) -> _Plan:
    changing = situation.plan.rules.change
    kind = rules.direction(situation.current, situation.wanted)
    moment = rules.moment(kind, upgrade=changing.upgrade, downgrade=changing.downgrade)
    zero = Money.zero(situation.wanted.price.currency)
    if moment == "period_end" and situation.subscription.period_end is not None:
        at = situation.subscription.period_end
        lines = rules.later(situation.current, situation.wanted, at, situation.period)
        pay_by: PayBy = "nothing" if kind is Direction.TO_FREE else "method"
        charged = method if pay_by == "method" else None
        return _Plan(kind, "period_end", pay_by, Settlement(zero, zero, zero, 0, lines), at, charged)
    on_page = by_checkout or method is None
    settlement = rules.settle(
        situation.current,
        situation.wanted,
        situation.period,
        now,
        proration=changing.proration,
        by_checkout=on_page,
        trial=situation.trial,
    )
    return _Plan(kind, "now", "checkout" if on_page else "method", settlement, None, None if on_page else method)


def _method_id(plan: _Plan) -> str | None:
    return None if plan.method is None else plan.method.method_id


def _terms_of(plan: _Plan) -> dict[str, Any]:
    settlement = plan.settlement
    return {
        "direction": plan.direction.value,
        "moment": plan.moment,
        "pay_by": plan.pay_by,
        "method_id": _method_id(plan),
        "charge_minor": settlement.charge.amount_minor,
        "credit_minor": settlement.credit.amount_minor,
        "refund_minor": settlement.refund.amount_minor,
        "extension_days": settlement.extension_days,
        "lines": [line.to_json() for line in settlement.lines],
    }


def _preview(quote_id: str, situation: Situation, plan: _Plan, now: datetime, replaced: PlanView | None) -> Preview:
    settlement = plan.settlement
    return Preview(
        quote=quote_id,
        expires_at=now + QUOTE_LASTS,
        from_plan=situation.plan,
        to_plan=situation.target,
        direction=plan.direction.value,
        moment=plan.moment,
        pay_by=plan.pay_by,
        effective_at=plan.effective_at,
        amount=settlement.charge,
        price=situation.wanted.price,
        refund=settlement.refund,
        extension_days=settlement.extension_days,
        lines=settlement.lines,
        method=plan.method,
        taxes=situation.period is not None and bool(situation.period.given.tax),
        replaces=replaced,
        ending_discount=situation.ending_discount,
    )
