"""Talking to the mail server: its address, one connection for each batch, and what its refusals mean."""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import TracebackType
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from quntedge.kit.redaction import redact_text
from quntedge.settings import ConfigurationError

Security = Literal["opportunistic", "starttls", "tls"]

COMMAND_TIMEOUT_SECONDS = 20.0
MAIL_TIMEOUT_SECONDS = 60.0
_FORMS = "smtp://user:password@host:587, starttls://… or smtps://user:password@host:465"
_DEFAULT_PORTS = {"smtp": 587, "starttls": 587, "smtps": 465}


class NotDeliveredYet(Exception):
    """The mail server could not be reached, or asked to try again later. The text holds no personal data."""


class Undeliverable(Exception):
    """The mail server will never take this mail. The text holds no personal data."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over, and how the connection is protected.

    `opportunistic` uses TLS when the server offers it; `starttls` and `tls` send nothing without it.
    """

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Reads `SMTP_URL`. Raises `ConfigurationError`, which never repeats the address: it may hold a password.

        smtp:// with a password demands STARTTLS unless the server is this machine: no password travels in the clear.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigurationError(f"SMTP_URL is not an address: write it as {_FORMS}.") from None
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
            raise ConfigurationError(f"SMTP_URL is not a mail server's address: write it as {_FORMS}.")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ConfigurationError(
                f"SMTP_URL has something after the port: write it as {_FORMS}, with special characters of the user "
                "and password percent-encoded."
            )
        if (parts.username is None) != (parts.password is None):
            raise ConfigurationError(f"SMTP_URL needs a user and a password, or neither: write it as {_FORMS}.")
        return cls(
            host=parts.hostname,
            port=port or _DEFAULT_PORTS[parts.scheme],
            security=_security(parts.scheme, parts.hostname, has_password=parts.password is not None),
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


def _security(scheme: str, host: str, *, has_password: bool) -> Security:
    if scheme == "smtps":
        return "tls"
    if scheme == "starttls" or (has_password and not _is_this_machine(host)):
        return "starttls"
    return "opportunistic"


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Postman:
    """Hands over mails one after the other on one connection, opened by the first and closed on leaving the block.

    A server that cannot be reached is asked once for the whole batch, not once for each mail.
    """

    def __init__(self, server: MailServer, own_name: str) -> None:
        """`own_name` is how we introduce ourselves (EHLO); giving it avoids a look-up in DNS that blocks the loop."""
        self._client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls={"opportunistic": None, "starttls": True, "tls": False}[server.security],
            timeout=COMMAND_TIMEOUT_SECONDS,
            local_hostname=own_name,
        )
        self._unreachable: str | None = None

    async def __aenter__(self) -> Self:
        """Does nothing yet: an empty batch makes no connection."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says goodbye, unless somebody wants to be gone (a cancellation waits for no server)."""
        if kind is not None:
            self._client.close()
        elif self._client.is_connected:
            try:
                await self._client.quit()
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                self._client.close()

    async def deliver(self, sender: str, recipient: str, message: EmailMessage) -> None:
        """Hands over one mail. Raises `NotDeliveredYet` or `Undeliverable`; returning means the server has it.

        When the connection breaks after the text was sent, nobody can tell whether the server has it. That counts as
        not delivered: SMTP can promise at least once, never exactly once.
        """
        try:
            async with asyncio.timeout(MAIL_TIMEOUT_SECONDS):
                await self._connect()
                await self._client.sendmail(sender, [recipient], message.as_bytes())
        except aiosmtplib.SMTPRecipientsRefused as refused:
            answer = refused.recipients[0]
            raise _meaning(answer.code, answer.message) from None
        except aiosmtplib.SMTPResponseException as refused:
            raise _meaning(refused.code, refused.message) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            # Half a conversation cannot be gone on with.
            self._client.close()
            raise NotDeliveredYet(_reason(error)) from None
        except ValueError:
            raise Undeliverable("the address is not one that mail can be sent to") from None

    async def _connect(self) -> None:
        if self._unreachable is not None:
            raise NotDeliveredYet(self._unreachable)
        if self._client.is_connected:
            return
        try:
            await self._client.connect()
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            # A refused log-in or greeting is the server's or our configuration's fault, never the mail's.
            self._client.close()
            self._unreachable = f"the mail server cannot be used: {_reason(error)}"
            raise NotDeliveredYet(self._unreachable) from None


def _meaning(code: int, message: str) -> NotDeliveredYet | Undeliverable:
    text = redact_text(f"{code} {message}")
    return Undeliverable(text) if 500 <= code <= 599 else NotDeliveredYet(text)


def _reason(error: BaseException) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return redact_text(f"{type(error).__name__} {error.code} {error.message}")
    if isinstance(error, socket.gaierror):
        return "its name is not known (DNS)"
    return redact_text(f"{type(error).__name__}: {error}".rstrip(": "))
