"""The steps by which a change is paid: from a saved means of payment, or on the gateway's checkout page."""

from datetime import timedelta

from quntedge.gateway.acts import ChargeRequest, GatewayPromo, PromoRequest
from quntedge.gateway.errors import GatewayError, GatewayRejected
from quntedge.gateway.port import CheckoutRequest, MembershipStatus, PaymentSnapshot, PaymentStatus
from quntedge.kit.money import Money
from quntedge.payments.rules import DeclineClass, decline_class
from quntedge.plan_changes.changes import Tools, end, is_open
from quntedge.plan_changes.claims import CHANGE_KEY
from quntedge.plan_changes.models import PlanChange
from quntedge.pricing.told import told
from quntedge.processes.steps import Answer, Finish, GiveUp, GoTo, Next, Run, Step, WaitFor
from quntedge.storage.unit_of_work import UnitOfWork

CHECKOUT_LASTS = timedelta(hours=24)
ACTION_LASTS = timedelta(hours=24)
"""How long a bank's confirmation is waited for."""

_LOOK_BACK = timedelta(hours=1)
"""The gateway's clock is not ours: a charge is looked for from this long before the change."""
_POLLS = tuple(timedelta(seconds=seconds) for seconds in (2, 3, 5, 10, 30, 60, 300, 900))
_SLOW_POLL = timedelta(hours=6)
_DEAD = frozenset({PaymentStatus.VOID, PaymentStatus.UNCOLLECTIBLE})
ATTEMPT_KEY = "attempt"


class Paying:
    """Promo code for the credit, charge, wait, and giving up what was declined."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._gateway = tools.gateway

    def steps(self) -> tuple[Step, ...]:
        """The steps, in the order in which they usually come."""
        return (
            Step("promo", self._promo_made, self._make_promo, self._find_promo, self._refused),
            Step("quote", self._quoted, self._quote, refused=self._not_quoted),
            Step("charge", self._charged, self._charge, self._find_charge, self._charge_refused),
            Step("await_payment", self._payment_seen, self._read_payment),
            Step("void", self._voided, self._void),
            Step("open_checkout", self._checkout_opened, self._open_checkout, refused=self._checkout_refused),
            Step("await_checkout", self._checkout_seen),
            Step("close_checkout", self._checkout_closed, self._close_checkout),
        )

    # A code worth the credit, for this one charge.

    async def _make_promo(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        request = PromoRequest(
            code=promo_code(change.id),
            amount_off=Money(change.credit_minor, change.currency),
            plan_ids=[str(change.to_whop_plan_id)],
            expires_at=run.now + CHECKOUT_LASTS,
        )
        return _promo_answer(await self._gateway.create_promo(request, idempotency_key=run.key))

    async def _find_promo(self, run: Run) -> Answer | None:
        change = await self._tools.read(run.subject_id)
        wanted = promo_code(change.id)
        promos = await self._gateway.promos(plan_id=change.to_whop_plan_id)
        found = next((promo for promo in promos if promo.code == wanted and not promo.archived), None)
        return None if found is None else _promo_answer(found)

    async def _promo_made(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        change.whop_promo_id = str(answer.data["promo_id"])
        return to_charge(run)

    # A quoted price leaves the plan's trial out: whoever pays for a plan now must not be given days for nothing. Where
    # taxes are collected a price is quoted for a country: that of the newest payment.

    async def _quote(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        country = await self._country(change)
        quote_id = await self._gateway.quote_price(
            str(change.to_whop_plan_id), promo_code=_code_of(change), country=country, idempotency_key=run.key
        )
        return Answer({"quote_id": quote_id, "country": country})

    async def _country(self, change: PlanChange) -> str | None:
        payments = await self._gateway.payments_of(change.old_membership_id)
        known = [payment for payment in payments if payment.billing_country is not None]
        newest = max(known, key=lambda payment: str(payment.created_at), default=None)
        return None if newest is None else newest.billing_country

    async def _quoted(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        return GoTo("charge", {"quote_id": answer.data["quote_id"], "country": answer.data["country"]})

    async def _not_quoted(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """Nobody's country is known. Without a quote a plan may begin with its trial: somebody looks at it."""
        return GoTo("charge", {"quote_id": None, "country": None})

    # The charge. Its metadata is how it is found again after a cut connection.

    async def _charge(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        request = ChargeRequest(
            member_id=str(change.whop_member_id),
            method_id=str(change.whop_method_id),
            plan_id=str(change.to_whop_plan_id),
            promo_code=_code_of(change),
            metadata={CHANGE_KEY: change.id, ATTEMPT_KEY: str(change.attempt)},
            quote_id=run.data.get("quote_id"),
            country=run.data.get("country"),
        )
        return _payment_answer(await self._gateway.charge(request, idempotency_key=run.key))

    async def _find_charge(self, run: Run) -> Answer | None:
        change = await self._tools.read(run.subject_id)
        since = change.created_at - _LOOK_BACK
        payments = await self._gateway.payments_of_member(str(change.whop_member_id), created_after=since)
        mark = {CHANGE_KEY: change.id, ATTEMPT_KEY: str(change.attempt)}
        found = next((one for one in payments if mark.items() <= dict(one.metadata).items()), None)
        return None if found is None else _payment_answer(found)

    async def _charged(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        change.whop_payment_id = str(answer.data["payment_id"])
        return GoTo("await_payment", {"polls": 0})

    async def _charge_refused(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        """A quote may have run out while nobody was here to use it: once for each attempt it is asked for anew."""
        change = await self._tools.locked(unit, run.subject_id)
        if run.data.get("quote_id") is not None and run.data.get("quoted_anew") != change.attempt:
            return GoTo("quote", {"quoted_anew": change.attempt})
        return await self._refused(unit, run, error)

    async def _refused(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        change.failure = "refused"
        return GoTo("archive_promo")

    # What becomes of it. A delivery wakes us; until one does we look by ourselves, less and less often.

    async def _read_payment(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        payment = await self._gateway.payment(str(change.whop_payment_id))
        return Answer({"status": payment.status.value}, object=payment)

    async def _payment_seen(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        payment: PaymentSnapshot = answer.object
        if payment.status is PaymentStatus.PAID and payment.membership_id is not None:
            change.new_membership_id = payment.membership_id
            _compare(change, payment)
            return GoTo("adopt", {} if payment.total is None else {"paid_minor": payment.total.amount_minor})
        if payment.status in _DEAD:
            change.failure = _why(payment)
            return GoTo("archive_promo")
        if payment.status is PaymentStatus.OPEN and payment.requires_action:
            return self._wait_for_bank(change, run, payment)
        if payment.status is PaymentStatus.OPEN and payment.attempt_failed:
            change.failure = _why(payment)
            return GoTo("void")
        polls = int(run.data.get("polls", 0))
        wait = _POLLS[polls] if polls < len(_POLLS) else _SLOW_POLL
        return WaitFor("await_payment", run.now + wait, {"polls": polls + 1})

    @staticmethod
    def _wait_for_bank(change: PlanChange, run: Run, payment: PaymentSnapshot) -> Next:
        """The customer has a day to confirm at the bank. At the end of a period nobody is there to do it: the charge
        is given up, and the mail leads to the checkout page, where the bank can be answered."""
        if change.moment == "period_end":
            change.failure = DeclineClass.ACT.value
            return GoTo("void")
        change.state = "requires_action"
        deadline = (payment.created_at or run.now) + ACTION_LASTS
        if run.now < deadline:
            return WaitFor("await_payment", deadline)
        change.failure = "action_timed_out"
        return GoTo("void")

    # A declined charge is given up at the gateway, so that nobody can pay it later.

    async def _void(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        payment_id = str(change.whop_payment_id)
        try:
            await self._gateway.void_payment(payment_id, idempotency_key=run.key)
        except GatewayRejected:
            payment = await self._gateway.payment(payment_id)
            return Answer({"voided": payment.status in _DEAD, "paid": payment.status is PaymentStatus.PAID})
        return Answer({"voided": True, "paid": False})

    async def _voided(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        if answer.data["paid"]:
            change.failure = None
            return GoTo("await_payment")
        if not answer.data["voided"]:
            change.review = "payment_left_open"
        return GoTo("archive_promo")

    # The gateway's page, where nothing can be taken off.

    async def _open_checkout(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        request = CheckoutRequest(
            plan_id=str(change.to_whop_plan_id),
            redirect_url=f"{self._tools.base_url}/billing/plan-change",
            metadata={CHANGE_KEY: change.id, "replaces": change.old_membership_id},
        )
        opened = await self._gateway.create_checkout(request, idempotency_key=run.key)
        return Answer({"checkout_id": opened.checkout_id}, object=opened.purchase_url)

    async def _checkout_opened(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        change.whop_checkout_id, change.purchase_url = str(answer.data["checkout_id"]), str(answer.object)
        if change.moment == "period_end":
            return GoTo("tell_not_collected")
        if is_open(change):
            change.state = "awaiting_checkout"
        return WaitFor("await_checkout", change.created_at + CHECKOUT_LASTS)

    async def _checkout_refused(self, unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        if change.moment == "period_end":
            return GoTo("tell_not_collected")
        return GiveUp("refused", str(error))

    async def _checkout_seen(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await self._tools.locked(unit, run.subject_id)
        if change.new_membership_id is not None:
            return GoTo("adopt")
        deadline = change.created_at + CHECKOUT_LASTS
        if is_open(change) and run.now < deadline:
            return WaitFor("await_checkout", deadline)
        return GoTo("close_checkout")

    async def _close_checkout(self, run: Run) -> Answer:
        change = await self._tools.read(run.subject_id)
        if change.whop_checkout_id is not None:
            await self._gateway.retire_checkout(change.whop_checkout_id)
        return Answer()

    async def _checkout_closed(self, unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        """Paid at the last moment counts. A link is made anew when it is needed again."""
        change = await self._tools.locked(unit, run.subject_id)
        if change.new_membership_id is not None and is_open(change):
            change.failure = None
            return GoTo("adopt")
        change.whop_checkout_id = change.purchase_url = None
        if not is_open(change):
            return Finish()
        if change.moment == "period_end":
            return GiveUp(change.failure) if change.failure is not None else GoTo("pick_method")
        end(change, "expired", run.now)
        return GiveUp("expired")


def to_charge(run: Run) -> Next:
    """The next step once a charge can be sent. A plan with a trial is quoted first."""
    return GoTo("quote" if run.data.get("trial") else "charge")


def promo_code(change_id: str) -> str:
    """The code of a change: nobody guesses it, and it can be found again."""
    return f"CHANGE-{change_id.partition('_')[2].upper()}"


def membership_ended(status: MembershipStatus) -> bool:
    """Whether a membership is over at the gateway."""
    return status in (MembershipStatus.CANCELED, MembershipStatus.EXPIRED)


def _compare(change: PlanChange, payment: PaymentSnapshot) -> None:
    """Whoever was charged something else than they were shown is looked after by a person."""
    if payment.total is None:
        return
    said = told(
        payment.total.amount_minor,
        payment.total.currency,
        subtotal=None if payment.subtotal is None else payment.subtotal.amount_minor,
        tax=None if payment.tax is None else payment.tax.amount_minor,
        tax_behavior=payment.tax_behavior,
    )
    agreed = change.charge_minor if change.moment == "now" else change.price_minor
    if said.charged.amount_minor != agreed:
        change.review = f"amount_differs:{payment.total.amount_minor}"


def _code_of(change: PlanChange) -> str | None:
    return promo_code(change.id) if change.whop_promo_id is not None else None


def _why(payment: PaymentSnapshot) -> str:
    return decline_class(payment.decline_code).value


def _promo_answer(promo: GatewayPromo) -> Answer:
    return Answer({"promo_id": promo.promo_id})


def _payment_answer(payment: PaymentSnapshot) -> Answer:
    return Answer({"payment_id": payment.payment_id})
