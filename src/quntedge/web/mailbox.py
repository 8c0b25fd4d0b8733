"""The demo's mailbox: every mail the demo has sent, as its customer would read it. Only there with QUNTEDGE_DEMO."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from quntedge.edge.callers import anyone, visitor
from quntedge.edge.services import services_of
from quntedge.kit.errors import NotFound
from quntedge.web.pages import pages_of

router = APIRouter(include_in_schema=False)

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SHOWN = 100
# Mails bring their own styles; they may run nothing, load nothing, and be framed by our page alone.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)


class MailNotFound(NotFound):
    """No mail of the demo has this id."""

    code = "mail_not_found"
    title = "There is no such mail"


@dataclass(frozen=True, slots=True)
class _Mail:
    id: str
    message: EmailMessage

    def summary(self) -> dict[str, Any]:
        """What the list shows."""
        return {
            "id": self.id,
            "at": _date(self.message),
            "to": str(self.message["to"] or ""),
            "subject": str(self.message["subject"] or ""),
            "kind": str(self.message["x-notification-kind"] or "mail"),
        }

    def full(self) -> dict[str, Any]:
        """What the page shows."""
        return self.summary() | {"from": str(self.message["from"] or ""), "text": self.part("plain")}

    def part(self, kind: str) -> str:
        """The text or HTML of the mail; empty when it has none."""
        body = self.message.get_body((kind,))
        return str(body.get_content()) if body is not None else ""


@router.get("/demo/mailbox", dependencies=[Depends(visitor)])
async def mailbox(request: Request) -> Response:
    """The list."""
    return await _page(request, None)


@router.get("/demo/mailbox/{mail_id}", dependencies=[Depends(visitor)])
async def mail(request: Request, mail_id: str) -> Response:
    """The list and one mail."""
    return await _page(request, await _read(request, mail_id))


@router.get("/demo/mailbox/{mail_id}/html", dependencies=[Depends(anyone)])
async def mail_html(request: Request, mail_id: str) -> Response:
    """The HTML of a mail, for the frame."""
    found = await _read(request, mail_id)
    html = found.part("html") or "<p>This mail has no HTML part.</p>"
    return HTMLResponse(html, headers={"Content-Security-Policy": MAIL_POLICY})


async def _page(request: Request, selected: _Mail | None) -> Response:
    mails = await asyncio.to_thread(_newest, _folder(request))
    context = {"mails": [item.summary() for item in mails], "mail": selected.full() if selected else None}
    return await pages_of(request).page(request, "mailbox.html", context)


async def _read(request: Request, mail_id: str) -> _Mail:
    path = _folder(request) / f"{mail_id}.eml"
    found = await asyncio.to_thread(_load, path) if _ID.fullmatch(mail_id) else None
    if found is None:
        raise MailNotFound("There is no mail with this id. The demo keeps the newest ones only.")
    return found


def _folder(request: Request) -> Path:
    return services_of(request).settings.data_dir / "mailbox"


def _newest(folder: Path) -> list[_Mail]:
    paths = sorted(folder.glob("*.eml"), reverse=True)[:_SHOWN]
    return [found for found in map(_load, paths) if found is not None]


def _load(path: Path) -> _Mail | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None  # the demo has just dropped it to make room
    return _Mail(path.stem, BytesParser(EmailMessage, policy=policy.default).parsebytes(content))


def _date(message: EmailMessage) -> datetime:
    header = message["date"]
    at: datetime | None = getattr(header, "datetime", None)
    if at is None:
        return datetime.fromtimestamp(0, UTC)
    return at.astimezone(UTC) if at.tzinfo is not None else at.replace(tzinfo=UTC)
