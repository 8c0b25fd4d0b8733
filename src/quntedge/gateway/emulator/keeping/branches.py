"""Named copies of the whole state: snapshots to come back to, and branches of the timeline to switch between."""

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from quntedge.gateway.emulator.keeping.images import Image
from quntedge.gateway.emulator.wire.errors import ApiFault, bad_request, conflict

Role = Literal["snapshot", "branch"]
MOST_KEPT = 200
"""How many snapshots, and how many branches, there may be at a time."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@dataclass(frozen=True, slots=True)
class Saved:
    """An image, and the branch it was taken on. For a branch that is its own name."""

    branch: str
    image: Image


@dataclass(slots=True)
class Shelf:
    """All snapshots and branches. The current branch lies in `branches` only as what it was when last left."""

    MAIN: ClassVar[str] = "main"

    current: str = MAIN
    snapshots: dict[str, Saved] = field(default_factory=dict)
    branches: dict[str, Saved] = field(default_factory=dict)
    """Those that are not the current one."""

    def of(self, role: str) -> dict[str, Saved]:
        """The copies of one kind, by name."""
        return self.snapshots if role == "snapshot" else self.branches

    def find(self, role: Role, name: str) -> Saved:
        """A copy by name. Raises ApiFault 404 when there is none."""
        found = self.of(role).get(name)
        if found is None:
            raise ApiFault(404, "not_found", f"There is no {role} `{name[:60]}`.")
        return found

    def check_free(self, role: Role, name: str) -> None:
        """Raises ApiFault: 400 for a name that cannot be used, 409 for one that is taken or one too many."""
        if not _NAME.fullmatch(name):
            raise bad_request("A name is up to 60 letters, digits, dots, dashes and underscores.")
        if name in self.of(role) or (role == "branch" and name == self.current):
            raise conflict(f"There is a {role} `{name}` already.")
        if len(self.of(role)) >= MOST_KEPT:
            raise conflict(f"There are {MOST_KEPT} of them; delete some first.")
