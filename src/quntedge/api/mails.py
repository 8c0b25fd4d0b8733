"""/api/admin/mails…: how mails are worded, for the tools of those who run the installation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from quntedge.accounts.api_keys import ApiKeyCaller
from quntedge.api.mail_models import (
    MailDraftIn,
    MailIn,
    MailListOut,
    MailOut,
    MailPreviewOut,
    MailShapeOut,
    MailSummaryOut,
    MailVersionIn,
)
from quntedge.edge.audited import audited
from quntedge.edge.callers import service
from quntedge.edge.openapi import problems
from quntedge.edge.services import services_of
from quntedge.edge.transactions import Unit
from quntedge.notifications.editing import MailTemplateService
from quntedge.notifications.wording import PACKAGED
from quntedge.storage.unit_of_work import UnitOfWork

router = APIRouter(prefix="/api/admin/mails", tags=["mails"])

READ, WRITE = "mails:read", "mails:write"
_reader = service(READ)
_writer = service(WRITE)
Editor = Annotated[ApiKeyCaller, Depends(_writer)]


@router.get("", dependencies=[Depends(_reader)], responses=problems(401, 403, 503), summary="All mails")
async def list_mails(request: Request, unit: Unit) -> MailListOut:
    """Every mail in every language, with the wording in use."""
    editions = await _mails(request).overview(unit)
    return MailListOut(data=[MailSummaryOut.of(edition) for edition in editions])


@router.get(
    "/{kind}/{locale}", dependencies=[Depends(_reader)], responses=problems(401, 403, 404, 503), summary="One mail"
)
async def get_mail(request: Request, unit: Unit, kind: str, locale: str) -> MailOut:
    """The templates in use, the names they may use, and every version there was."""
    return await _whole(_mails(request), unit, kind, locale)


@router.put(
    "/{kind}/{locale}",
    dependencies=[audited("mail_template.save", "mail_template", "kind")],
    responses=problems(400, 401, 403, 404, 409, 422, 503),
    summary="Reword a mail",
)
async def put_mail(request: Request, unit: Unit, caller: Editor, kind: str, locale: str, body: MailIn) -> MailOut:
    """Makes a new version and puts it into use. It is tried with sample letters first: what fails changes nothing."""
    mails = _mails(request)
    await mails.save(unit, kind, locale, body.draft(), by=_actor(caller), based_on=body.based_on)
    return await _whole(mails, unit, kind, locale)


@router.delete(
    "/{kind}/{locale}",
    dependencies=[audited("mail_template.reset", "mail_template", "kind")],
    responses=problems(401, 403, 404, 503),
    summary="Go back to the packaged wording of a mail",
)
async def delete_mail(request: Request, unit: Unit, caller: Editor, kind: str, locale: str) -> MailOut:
    """Puts the wording that came with this release into use again. The versions stay in the history."""
    mails = _mails(request)
    await mails.activate(unit, kind, locale, PACKAGED, by=_actor(caller))
    return await _whole(mails, unit, kind, locale)


@router.post(
    "/{kind}/{locale}/activate",
    dependencies=[audited("mail_template.activate", "mail_template", "kind")],
    responses=problems(400, 401, 403, 404, 422, 503),
    summary="Go back to an earlier version of a mail",
)
async def activate_mail(
    request: Request, unit: Unit, caller: Editor, kind: str, locale: str, body: MailVersionIn
) -> MailOut:
    """Puts a version of the history into use again."""
    mails = _mails(request)
    await mails.activate(unit, kind, locale, body.version, by=_actor(caller))
    return await _whole(mails, unit, kind, locale)


@router.post(
    "/{kind}/{locale}/preview",
    dependencies=[Depends(_reader)],
    responses=problems(400, 401, 403, 404, 422, 503),
    summary="Try a wording",
)
async def preview_mail(request: Request, unit: Unit, kind: str, locale: str, body: MailDraftIn) -> MailPreviewOut:
    """The mail in each of its shapes, filled in with sample values. Nothing is changed."""
    mails = _mails(request)
    edition = await mails.current(unit, kind, locale)
    shown = mails.show(body.draft().over(edition.wording))
    return MailPreviewOut(data=[MailShapeOut.of(shape) for shape in shown])


async def _whole(mails: MailTemplateService, unit: UnitOfWork, kind: str, locale: str) -> MailOut:
    edition = await mails.current(unit, kind, locale)
    return MailOut.of(edition, mails.renderer.names(), await mails.history(unit, kind, locale))


def _mails(request: Request) -> MailTemplateService:
    return services_of(request).mails


def _actor(caller: ApiKeyCaller) -> str:
    return f"service:{caller.key_id}"
