"""The demo's mailbox: a mail server that delivers nothing and keeps every mail as a file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from quntedge.kit.clock import Clock, SystemClock
from quntedge.kit.ids import new_id

KEEP = 500
MAX_MAIL_BYTES = 1024 * 1024


class Folder:
    """Mails as `eml_….eml` files whose names sort by arrival; only the newest `keep` stay."""

    def __init__(self, path: Path, clock: Clock, keep: int = KEEP) -> None:
        self._path = path
        self._clock = clock
        self._keep = keep

    def store(self, content: bytes) -> Path:
        """Writes one mail. Whoever lists the folder never sees half of it."""
        self._path.mkdir(parents=True, exist_ok=True)
        file = self._path / f"{new_id('eml', self._clock.now())}.eml"
        unfinished = file.with_suffix(".part")
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(content)
        unfinished.rename(file)
        for old in sorted(self._path.glob("*.eml"))[: -self._keep]:
            old.unlink(missing_ok=True)
        return file

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        """Called by the mail server for each mail."""
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 5.6.0 The mail has no content"
        # A few kilobytes to a local disk; a thread would only let mails overtake each other.
        self.store(content)
        return "250 2.0.0 Kept"


@asynccontextmanager
async def open_mailbox(host: str, port: int, folder: Path, *, clock: Clock | None = None) -> AsyncIterator[int]:
    """A listening mailbox and its port (useful with port 0). Raises OSError when the port is taken."""
    handler = Folder(folder, clock or SystemClock())
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, data_size_limit=MAX_MAIL_BYTES, hostname="mailbox", ident="demo mailbox"), host, port
    )
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()
