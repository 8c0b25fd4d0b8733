"""Pausing on the billing pages: how long, what follows, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.edge import reads
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.services import Services, services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.dates import at_home
from quntedge.kit.errors import QuntedgeError
from quntedge.pauses import rules
from quntedge.pauses.errors import AlreadyPaused, InvalidPauseEnd, NotPaused, PauseImpossible
from quntedge.pauses.rules import Standing
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web import i18n
from quntedge.web.actions import Action, Offer, Situation
from quntedge.web.billing import renewal_price
from quntedge.web.flash import set_flash
from quntedge.web.forms import FormView, read_form
from quntedge.web.i18n import gettext
from quntedge.web.not_now import not_now_page
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

PATH = "/billing/pause"
RESUME_PATH = "/billing/pause/end"
MOVE_PATH = "/billing/pause/move"
_DATE = "date"
_OPEN = "open"
_SOONEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a form asks for: some days, until a time, or neither."""

    until: datetime | None = None
    days: int | None = None


async def offers(situation: Situation) -> Sequence[Offer]:
    """Pausing where it is possible, resuming what is paused."""
    row = situation.standing.subscription
    if row is None or row.status not in ("active", "paused"):
        return ()
    pauses = situation.services.pauses
    if row.status == "paused":
        note = _resume_note(row.period_end, situation.unit.clock.now())
        moving = gettext("Come back earlier or later than planned.")
        return (
            Action(gettext("Resume now"), RESUME_PATH, "primary", "post", note=note),
            Action(gettext("Move the end of the pause"), MOVE_PATH, note=moving),
        )
    try:
        rules.check_standing(await pauses.standing(situation.unit, situation.user_id))
    except QuntedgeError:
        return ()
    note = gettext("Take a break: nothing is charged while you are away.")
    return (Action(gettext("Pause subscription"), PATH, note=note),)


@router.get(PATH)
async def form(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """Asks how long, and says what follows of each choice. Of a pause that runs the end can be moved."""
    try:
        rules.check_standing(await services_of(request).pauses.standing(unit, caller.user_id))
    except AlreadyPaused:
        return RedirectResponse(MOVE_PATH, status_code=303)
    except PauseImpossible as error:
        return await not_now_page(request, _heading(), error)
    return await _page(request, unit, caller.user_id, FormView(), 200)


@router.post(PATH)
async def pause(request: Request, caller: SignedInCustomer) -> Response:
    """Pauses; a length that cannot be is shown in the form again."""
    values = await read_form(request)
    services = services_of(request)
    try:
        wish = wish_of(values, services.clock.now())
        async with services.audit.attempt("subscription.pause"):
            view = await services.pauses.pause(caller.user_id, until=wish.until, days=wish.days)
    except (Unclear, InvalidPauseEnd) as error:
        problem = str(error) if isinstance(error, Unclear) else None
        async with services.units() as unit:
            shown = FormView(values, {_DATE: problem or await _range(services, unit, caller.user_id)})
            return await _page(request, unit, caller.user_id, shown, InvalidPauseEnd.status)
    except AlreadyPaused:
        return RedirectResponse(MOVE_PATH, status_code=303)
    except PauseImpossible as error:
        return await not_now_page(request, _heading(), error)
    response = RedirectResponse("/billing", status_code=303)
    set_flash(response, request, "pause_begun" if view.state == "running" else "pause_requested")
    return response


@router.post(RESUME_PATH)
async def resume(request: Request, caller: SignedInCustomer) -> Response:
    """Ends the pause. One that has ended already, in another tab or by itself, needs no end."""
    response = RedirectResponse("/billing", status_code=303)
    try:
        async with services_of(request).audit.attempt("subscription.unpause"):
            view = await services_of(request).pauses.resume(caller.user_id)
    except NotPaused:
        set_flash(response, request, "pause_over", "info")
        return response
    set_flash(response, request, "pause_ended" if view.state == "ended" else "pause_end_requested")
    return response


class Unclear(Exception):
    """The form holds something that it does not offer; the message is for the reader."""


def wish_of(values: dict[str, str], now: datetime) -> Wish:
    """Raises `Unclear`. A day is one of the reader's, at the time of day it is now where they live."""
    length = values.get("length", "")
    if length == _OPEN:
        return Wish()
    if length != _DATE:
        if not (length.isascii() and length.isdigit() and len(length) <= len(str(rules.LONGEST.days))):
            raise Unclear(gettext("Choose how long to pause."))
        return Wish(days=int(length))
    try:
        day = date.fromisoformat(values.get(_DATE, ""))
    except ValueError:
        raise Unclear(gettext("Choose the day on which the pause ends.")) from None
    return Wish(until=datetime.combine(day, at_home(now, i18n.home()).timetz()).astimezone(UTC))


async def _range(services: Services, unit: UnitOfWork, user_id: str) -> str:
    """Between which days a pause can end, as a sentence."""
    standing = await services.pauses.standing(unit, user_id)
    now = unit.clock.now()
    first, last = i18n.date(now + _SOONEST), i18n.date(now + rules.longest(standing))
    return gettext("A pause can end from %(first)s to %(last)s.", first=first, last=last)


async def _page(request: Request, unit: UnitOfWork, user_id: str, form: FormView, status: int) -> Response:
    standing = await services_of(request).pauses.standing(unit, user_id)
    current = await reads.current_subscription(unit.session, user_id, unit.clock.now())
    price = None if current is None else renewal_price(*current)
    context = _context(standing, form, unit.clock.now()) | {"price": price}
    return await pages_of(request).page(request, "pause_form.html", context, unit=unit, status=status)


def _context(standing: Standing, form: FormView, now: datetime) -> dict[str, Any]:
    choices = [
        {"months": months, "days": months * rules.MONTH.days, "terms": rules.terms(standing, end, now)}
        for months, end in rules.choices(standing.max_days, now)
    ]
    return {
        "form": form,
        "choices": choices,
        "chosen": form.values.get("length") or (str(choices[0]["days"]) if choices else _DATE),
        "open_ended": standing.max_days is None,
        "access": standing.access,
        "period_end": standing.period_end,
        "earliest": at_home(now + _SOONEST, i18n.home()).date(),
        "latest": at_home(now + rules.longest(standing), i18n.home()).date(),
        "max_days": standing.max_days,
    }


def _heading() -> str:
    return gettext("Pause your subscription")


def _resume_note(period_end: datetime | None, now: datetime) -> str:
    if period_end is not None and period_end > now:
        return gettext("Your plan goes on at once. The next payment is due when the time you have paid for is over.")
    return gettext("Your plan goes on at once. The next period is charged now, and begins now.")
