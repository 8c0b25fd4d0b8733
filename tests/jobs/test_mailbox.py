"""The demo's mailbox keeps what it is given."""

import asyncio
import stat
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from quntedge.jobs.mailbox import MAX_MAIL_BYTES, Folder, open_mailbox
from quntedge.kit.clock import FrozenClock


def _mail(subject: str, size: int = 0) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", subject
    message.set_content("hello\n" + "x" * 70 + "\n" * size)
    return message


def _mails(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_mails_are_kept_in_order_readable_by_their_owner_only(tmp_path: Path, clock: FrozenClock) -> None:
    folder = tmp_path / "new" / "mailbox"
    async with (
        open_mailbox("127.0.0.1", 0, folder, clock=clock) as port,
        aiosmtplib.SMTP(hostname="127.0.0.1", port=port, local_hostname="test") as client,
    ):
        for number in range(3):
            await client.send_message(_mail(f"mail {number}"))
    files = _mails(folder)
    assert [f"Subject: mail {number}" in file.read_text() for number, file in enumerate(files)] == [True] * 3
    assert all(file.name.startswith("eml_") and file.suffix == ".eml" for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_many_at_once_are_all_kept(tmp_path: Path, clock: FrozenClock) -> None:
    async with open_mailbox("127.0.0.1", 0, tmp_path, clock=clock) as port:
        sending = (
            aiosmtplib.send(_mail(f"mail {n}"), hostname="127.0.0.1", port=port, local_hostname="test")
            for n in range(30)
        )
        await asyncio.gather(*sending)
    assert len(_mails(tmp_path)) == 30


def test_only_the_newest_stay(tmp_path: Path, clock: FrozenClock) -> None:
    folder = Folder(tmp_path, clock, keep=3)
    kept = [folder.store(str(number).encode()) for number in range(7)]
    assert sorted(tmp_path.iterdir()) == kept[-3:]


async def test_a_mail_that_is_too_large_is_refused(tmp_path: Path, clock: FrozenClock) -> None:
    async with open_mailbox("127.0.0.1", 0, tmp_path, clock=clock) as port:
        with pytest.raises(aiosmtplib.SMTPException):
            await aiosmtplib.send(
                _mail("large", MAX_MAIL_BYTES), hostname="127.0.0.1", port=port, local_hostname="test"
            )
    assert _mails(tmp_path) == []


async def test_a_taken_port_is_an_error(tmp_path: Path, clock: FrozenClock) -> None:
    async with open_mailbox("127.0.0.1", 0, tmp_path, clock=clock) as port:
        with pytest.raises(OSError, match="in use"):
            async with open_mailbox("127.0.0.1", port, tmp_path, clock=clock):
                pass
