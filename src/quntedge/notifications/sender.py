"""Sends the mails that are due: claim and commit, then talk to the mail server, then settle and commit.

No transaction is open while the mail server is waited for. A process that dies between handing a mail over and noting
it sends it again when the lease ends: SMTP can promise at least once, not exactly once. Both copies carry the same
Message-ID, by which receiving systems drop the second.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.message import EmailMessage

from quntedge.invoices.library import PdfFile
from quntedge.kit.logging import get_logger
from quntedge.kit.metrics import MAILS
from quntedge.notifications import outbox
from quntedge.notifications.editing import in_use
from quntedge.notifications.enclosures import Enclosures, NothingToSend
from quntedge.notifications.letters import Letter, compose
from quntedge.notifications.outbox import Claimed
from quntedge.notifications.render import MailRenderer, UnusableAddress
from quntedge.notifications.rules import language
from quntedge.notifications.smtp import MailServer, NotDeliveredYet, Postman, Undeliverable
from quntedge.notifications.staff import StaffMails
from quntedge.notifications.wording import Wording
from quntedge.notifications.words import LANGUAGES
from quntedge.storage.unit_of_work import UnitOfWork, UnitOfWorkFactory
from quntedge.storage.vault import Vault

BATCH = 20
# After this long a batch starts no further mail, so that the last one ends well within the lease of five minutes.
BATCH_SECONDS = 120.0

log = get_logger(__name__)

Edited = Mapping[tuple[str, str], Wording]
"""Staff's wordings, by kind and language."""
Settle = Callable[[UnitOfWork, Claimed], Awaitable[None]]


def _never() -> bool:
    return False


class MailSender:
    """Sends mails from the outbox. Any number may work at the same time, in one process or in many."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        vault: Vault,
        renderer: MailRenderer,
        server: MailServer | None,
        enclosures: Enclosures | None = None,
        staff: StaffMails | None = None,
    ) -> None:
        """Without a `server` mails wait in the queue; without `enclosures` they go out as they are; `staff` knows to
        whom those go that are not for customers."""
        self._enclosures = enclosures
        self._staff = staff
        self._units = units
        self._vault = vault
        self._renderer = renderer
        self._server = server
        self._held: set[str] = set()
        self._warned = False

    @property
    def has_server(self) -> bool:
        """Whether there is a mail server to give mails to."""
        return self._server is not None

    async def send_due(self, stopping: Callable[[], bool] = _never) -> int:
        """Sends everything that is due and returns how many the mail server took.

        `stopping` is asked before each mail; once it says yes, the rest is given back untried.
        """
        if self._server is None:
            if not self._warned:
                log.warning("mail.no_server", hint="SMTP_URL is not set: mails wait in the queue")
                self._warned = True
            return 0
        sent = 0
        while not stopping():
            async with self._units() as unit:
                batch = await outbox.claim(unit, limit=BATCH, held=self._held)
                await unit.commit()
            if not batch:
                break
            ids = {mail.id for mail in batch}
            self._held |= ids
            try:
                sent += await self._send_batch(self._server, batch, stopping)
            finally:
                self._held -= ids
        return sent

    async def _send_batch(self, server: MailServer, batch: Sequence[Claimed], stopping: Callable[[], bool]) -> int:
        sent = 0
        started = time.monotonic()
        async with self._units() as unit:
            edited = await in_use(unit, {mail.kind for mail in batch})
        async with Postman(server, own_name=self._renderer.sender.host) as postman:
            for mail in batch:
                if stopping() or time.monotonic() - started > BATCH_SECONDS:
                    await self._settle(mail, outbox.release)
                    continue
                outcome, settle = await self._send(postman, mail, edited)
                await self._settle(mail, settle)
                MAILS.labels(outcome).inc()
                log.info("mail.handled", notification_id=mail.id, kind=mail.kind, outcome=outcome)
                sent += outcome == "sent"
        return sent

    async def _send(self, postman: Postman, mail: Claimed, edited: Edited) -> tuple[str, Settle]:
        """Tries one mail; returns what became of it and how to note it."""
        try:
            async with self._units() as unit:
                letter = await self._composed(unit, mail)
            if letter.moot is not None:
                return "skipped", _noting(outbox.settle_skipped, letter.moot)
            if letter.to is None:
                return "skipped", _noting(outbox.settle_skipped, "there is no address to write to")
            enclosed = await self._enclosures.of(mail) if self._enclosures is not None else ()
            message = self._written(letter, edited, enclosed)
            await postman.deliver(self._renderer.sender.address, letter.to, message)
        except NothingToSend as reason:
            return "skipped", _noting(outbox.settle_skipped, str(reason))
        except NotDeliveredYet as error:
            return "delayed", _noting(outbox.settle_later, str(error))
        except (Undeliverable, UnusableAddress) as error:
            return "failed", _noting(outbox.settle_never, str(error) or "the address cannot stand in a mail's header")
        except Exception as error:
            # One mail that cannot be made must not keep the others from going out. It is logged, noted on its row and
            # tried again: a release of the product may mend it.
            log.exception("mail.broken", notification_id=mail.id, kind=mail.kind)
            return "broken", _noting(outbox.settle_later, f"the mail could not be made: {type(error).__name__}")
        return "sent", outbox.settle_sent

    async def _composed(self, unit: UnitOfWork, mail: Claimed) -> Letter:
        if mail.user_id is None and self._staff is not None:
            return await self._staff.compose(unit.session, mail)
        return await compose(unit.session, self._vault, mail)

    def _written(self, letter: Letter, edited: Edited, enclosed: Sequence[PdfFile]) -> EmailMessage:
        """The message, in staff's wording where there is one, else in the packaged one."""
        now = self._units.clock.now()
        wording = edited.get((letter.kind, language(letter.locale, LANGUAGES)))
        if wording is not None:
            try:
                return self._renderer.render(letter, now, wording, enclosed)
            except UnusableAddress:
                raise
            except Exception:
                # It was tried before it was saved, so a release must have taken away what it needs. The customer is
                # owed the mail all the same, and the packaged words are right.
                log.exception("mail.edited_template_failed", kind=letter.kind, template_id=wording.id)
        return self._renderer.render(letter, now, enclosed=enclosed)

    async def _settle(self, mail: Claimed, settle: Settle) -> None:
        async with self._units() as unit:
            await settle(unit, mail)
            await unit.commit()


def _noting(settle: Callable[[UnitOfWork, Claimed, str], Awaitable[None]], text: str) -> Settle:
    async def noted(unit: UnitOfWork, mail: Claimed) -> None:
        await settle(unit, mail, text)

    return noted
