"""The process that carries out a change of plan."""

from quntedge.plan_changes.changes import KIND, Tools, end, is_open, news, to_free
from quntedge.plan_changes.events import Stage
from quntedge.plan_changes.paying import Paying, to_charge
from quntedge.plan_changes.renewals import Renewals
from quntedge.plan_changes.switching import Switching
from quntedge.plan_changes.waiting import Waiting
from quntedge.processes.steps import Answer, Definition, GiveUp, GoTo, Next, Run, Step
from quntedge.storage.unit_of_work import UnitOfWork


def definition(tools: Tools) -> Definition:
    """The process: one kind for all changes, which part ways at the first step.

    Now, from a saved method: promo (for a credit), quote (for a plan with a trial), charge, await_payment. Now, on the
    gateway's page: open_checkout, await_checkout. At the end of the period: stop_old, at_period_end, pick_method, then
    like a charge now, again on later days when it is declined. All of them go on with adopt, cancel_old (where the
    old plan was renewed meanwhile: find_renewal, refund_renewal), archive_promo, refund, extend, finish. What is
    declined is given up at the gateway (void, archive_promo) before it fails.
    """

    async def begun(unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        change = await tools.locked(unit, run.subject_id)
        if change.moment == "period_end":
            return GoTo("stop_old")
        if change.pay_by == "checkout":
            return GoTo("open_checkout")
        return GoTo("promo") if change.credit_minor > 0 else to_charge(run)

    async def given_up(unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        """Nothing has changed; where the old plan has run out meanwhile, the subscription ends here."""
        change = await tools.locked(unit, run.subject_id)
        change.failure = why.reason
        if not is_open(change) and change.state != "expired":
            return
        collecting = change.state == "collecting"
        if change.moment == "period_end" and not to_free(change):
            await tools.supersede(unit, change, expected=False)
        if change.state != "expired":
            end(change, "failed", run.now)
            unit.record(news(change, Stage.FAILED, ended=collecting))

    return Definition.of(
        KIND,
        Step("begin", begun),
        *Paying(tools).steps(),
        *Switching(tools).steps(),
        *Renewals(tools).steps(),
        *Waiting(tools).steps(),
        given_up=given_up,
    )
