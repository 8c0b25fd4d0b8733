"""Giving a pause that runs another end, on a page of its own."""

from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from quntedge.edge import reads
from quntedge.edge.callers import SignedInCustomer
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.kit.dates import at_home
from quntedge.pauses import rules
from quntedge.pauses.errors import InvalidPauseEnd, NotPaused
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web import i18n
from quntedge.web.billing import renewal_price
from quntedge.web.flash import set_flash
from quntedge.web.forms import FormView, read_form
from quntedge.web.i18n import gettext
from quntedge.web.pages import pages_of
from quntedge.web.pauses import MOVE_PATH, Unclear, wish_of

router = APIRouter(include_in_schema=False)

_SOONEST = timedelta(days=1)


@router.get(MOVE_PATH)
async def form(request: Request, unit: Unit, caller: SignedInCustomer) -> Response:
    """Asks for the new end, and says what follows of it."""
    standing = await services_of(request).pauses.standing(unit, caller.user_id)
    if standing.status != "paused":
        return RedirectResponse("/billing", status_code=303)
    rules.check_movable(standing)
    return await _page(request, unit, caller.user_id, FormView(), 200)


@router.post(MOVE_PATH)
async def move(request: Request, caller: SignedInCustomer) -> Response:
    """Moves the end; one that cannot be is shown in the form again. A pause that has ended needs no end."""
    values = await read_form(request)
    services = services_of(request)
    response = RedirectResponse("/billing", status_code=303)
    try:
        wish = wish_of(values, services.clock.now())
        async with services.audit.attempt("subscription.move_pause"):
            view = await services.pauses.move(caller.user_id, until=wish.until, days=wish.days)
    except NotPaused:
        set_flash(response, request, "pause_over", "info")
    except (Unclear, InvalidPauseEnd) as error:
        async with services.units() as unit:
            problem = str(error) if isinstance(error, Unclear) else await _range(request, unit, caller.user_id)
            return await _page(
                request, unit, caller.user_id, FormView(values, {"date": problem}), InvalidPauseEnd.status
            )
    else:
        wished = wish.until is None or view.resume_at == wish.until
        set_flash(response, request, "pause_moved" if wished else "pause_move_requested")
    return response


async def _range(request: Request, unit: UnitOfWork, user_id: str) -> str:
    """Between which days the pause can end, as a sentence."""
    now = unit.clock.now()
    latest = await _latest(request, unit, user_id)
    return gettext(
        "A pause can end from %(first)s to %(last)s.", first=i18n.date(now + _SOONEST), last=i18n.date(latest)
    )


async def _latest(request: Request, unit: UnitOfWork, user_id: str) -> datetime:
    """The latest day on which the pause can end: its whole length counts."""
    standing = await services_of(request).pauses.standing(unit, user_id)
    current = await services_of(request).pauses.current(unit, user_id)
    began = current.paused_at if current is not None and current.paused_at is not None else unit.clock.now()
    return began + rules.longest(standing)


async def _page(request: Request, unit: UnitOfWork, user_id: str, form: FormView, status: int) -> Response:
    services = services_of(request)
    standing = await services.pauses.standing(unit, user_id)
    current = await reads.current_subscription(unit.session, user_id, unit.clock.now())
    row = None if current is None else current[0]
    context = {
        "form": form,
        "resume_at": None if row is None or row.resume_at is None else at_home(row.resume_at, i18n.home()),
        "open_ended": standing.max_days is None,
        "chosen": form.values.get("length") or "date",
        "period_end": standing.period_end,
        "earliest": at_home(unit.clock.now() + _SOONEST, i18n.home()).date(),
        "latest": at_home(await _latest(request, unit, user_id), i18n.home()).date(),
        "max_days": standing.max_days,
        "price": None if current is None else renewal_price(*current),
    }
    return await pages_of(request).page(request, "pause_move.html", context, unit=unit, status=status)
