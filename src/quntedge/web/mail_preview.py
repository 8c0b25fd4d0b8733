"""The demo's preview of all mails: each kind, language and shape as its reader would see it. Only with QUNTEDGE_DEMO.

A production installation shows the same with `quntedge mails preview`.
"""

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from quntedge.edge.callers import anyone, visitor
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.notifications.editing import Edition, Shown
from quntedge.notifications.errors import MailNotFound
from quntedge.notifications.rules import Kind
from quntedge.notifications.words import LANGUAGES
from quntedge.storage.unit_of_work import UnitOfWork
from quntedge.web.mailbox import MAIL_POLICY
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

HOME = "/mail-preview"


@router.get(HOME, dependencies=[Depends(visitor)])
async def home() -> RedirectResponse:
    """The first of them."""
    return RedirectResponse(f"{HOME}/{next(iter(Kind))}/{LANGUAGES[0]}", status_code=303)


@router.get(f"{HOME}/{{kind}}/{{locale}}", dependencies=[Depends(visitor)])
async def preview(request: Request, unit: Unit, kind: str, locale: str, shape: int = 0) -> Response:
    """One mail in one of its shapes: wide, on a phone, and as text."""
    edition, shapes = await _shapes(request, unit, kind, locale)
    shown = _chosen(shapes, shape)
    context: dict[str, Any] = {
        "kinds": [known.value for known in Kind],
        "written_in": LANGUAGES,
        "kind": kind,
        "language": locale,
        "version": edition.wording.version,
        "shapes": [one.shape for one in shapes],
        "chosen": shape,
        "subject": shown.words.subject,
        "text": shown.words.text,
    }
    return await pages_of(request).page(request, "mail_preview.html", context, unit=unit)


@router.get(f"{HOME}/{{kind}}/{{locale}}/html", dependencies=[Depends(anyone)])
async def html(request: Request, unit: Unit, kind: str, locale: str, shape: int = 0) -> HTMLResponse:
    """The HTML of a mail, for the frames."""
    _, shapes = await _shapes(request, unit, kind, locale)
    shown = _chosen(shapes, shape)
    return HTMLResponse(shown.words.html, headers={"Content-Security-Policy": MAIL_POLICY})


async def _shapes(request: Request, unit: UnitOfWork, kind: str, locale: str) -> tuple[Edition, list[Shown]]:
    mails = services_of(request).mails
    edition = await mails.current(unit, kind, locale)
    return edition, mails.show(edition.wording)


def _chosen(shapes: list[Shown], number: int) -> Shown:
    if not 0 <= number < len(shapes):
        raise MailNotFound(f"This mail has {len(shapes)} shapes, numbered from 0.")
    return shapes[number]
