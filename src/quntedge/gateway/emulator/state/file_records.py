"""Records of uploaded files. Their bytes are not kept: what tells one content from another is."""

from dataclasses import dataclass
from datetime import datetime

from quntedge.gateway.emulator.state.records import Record

STORAGE = "/_storage"
"""Where bytes are put, as seen from the emulator's own address."""


@dataclass(slots=True)
class StoredFile(Record):
    """A file that somebody announced, and has uploaded or not. Only its `owner` sees it."""

    filename: str
    owner: str
    visibility: str = "private"
    content_type: str | None = None
    announced_bytes: int | None = None
    size: int | None = None
    """In bytes; None until they have landed."""
    sha256: str | None = None
    puts: int = 0
    """How often bytes landed: Whop does not tell, tests want to know."""
    ready_at: datetime | None = None

    def status(self, now: datetime) -> str:
        """Where it is in its life."""
        if self.ready_at is None:
            return "pending"
        return "ready" if self.ready_at <= now else "processing"
