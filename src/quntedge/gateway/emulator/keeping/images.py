"""The whole state at one instant as compressed bytes: what a snapshot is, and a branch that is not the current one."""

import json
import zlib
from dataclasses import dataclass
from datetime import datetime

from quntedge.gateway.emulator.keeping.codec import tables_adapter
from quntedge.gateway.emulator.state.store import Tables

_COMPRESSION = 1
_COUNTED = ("members", "memberships", "payments", "endpoints")


@dataclass(frozen=True, slots=True)
class Image:
    """A copy that nothing changes any more. `at` is emulator time; `counts` say how much it holds, for people."""

    at: datetime
    content: bytes
    counts: dict[str, int]

    @classmethod
    def of(cls, tables: Tables, at: datetime) -> "Image":
        """Copies everything."""
        content = zlib.compress(tables_adapter().dump_json(tables, exclude_defaults=True), _COMPRESSION)
        return cls(at, content, {name: len(getattr(tables, name)) for name in _COUNTED})

    @classmethod
    def from_parts(cls, at: str, content: bytes, counts: dict[str, int]) -> "Image":
        """What `parts` took apart."""
        return cls(datetime.fromisoformat(at), content, counts)

    def parts(self) -> tuple[str, str, bytes]:
        """Time, counts as JSON, and content: how a file holds it."""
        return self.at.isoformat(), json.dumps(self.counts), self.content

    def tables(self) -> Tables:
        """A fresh, independent set of tables.

        Raises:
            zlib.error, pydantic.ValidationError: the bytes are damaged, which only a tampered file can cause.
        """
        return tables_adapter().validate_json(zlib.decompress(self.content))
