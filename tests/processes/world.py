"""A process of three steps at a gateway that remembers, and can be cut off at every point."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quntedge.gateway.errors import GatewayError, GatewayOutcomeUnknown
from quntedge.processes.steps import Answer, Definition, Finish, GiveUp, GoTo, Next, Run, Step, WaitFor
from quntedge.storage.unit_of_work import UnitOfWork


class Killed(BaseException):
    """The process ends here, as if by `kill -9`: nothing may catch it and go on."""


@dataclass
class Shop:
    """The far side: what it was asked to do, and did. It honours idempotency keys for `charge` alone."""

    charges: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    trouble: Callable[[str], None] = lambda point: None

    async def charge(self, run: Run) -> Answer:
        self.calls.append("charge")
        self.trouble("before charge")
        self.charges.setdefault(run.key, run.subject_id)
        self.trouble("after charge")
        return Answer({"charge": f"ch-{run.subject_id}"}, object=run.subject_id)

    async def find_charge(self, run: Run) -> Answer | None:
        self.calls.append("find_charge")
        if run.key in self.charges:
            return Answer({"charge": f"ch-{run.subject_id}"}, object=run.subject_id)
        return None

    async def flag(self, run: Run) -> Answer:
        self.calls.append("flag")
        self.trouble("before flag")
        self.flags.add(str(run.answers["charge"]["charge"]))
        self.trouble("after flag")
        return Answer()


@dataclass
class Book:
    """Our side: what the settled steps told, in order, and why processes were given up."""

    settled: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    given_up: list[GiveUp] = field(default_factory=list)


def three_steps(shop: Shop, book: Book, *, wait: bool = False) -> Definition:
    """Charge, wait (if told to), flag."""

    async def charged(unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        assert answer.object == run.subject_id
        book.settled.append(("charge", answer.data))
        if wait:
            return WaitFor("flag", run.now.replace(year=run.now.year + 1), {"charged": True})
        return GoTo("flag", {"charged": True})

    async def flagged(unit: UnitOfWork, run: Run, answer: Answer) -> Next:
        book.settled.append(("flag", dict(run.data)))
        return Finish({"flagged": True})

    async def refused(unit: UnitOfWork, run: Run, error: GatewayError) -> Next:
        return GiveUp("flag_refused", str(error))

    async def given_up(unit: UnitOfWork, run: Run, why: GiveUp) -> None:
        book.given_up.append(why)

    return Definition.of(
        "order",
        Step("charge", charged, call=shop.charge, look=shop.find_charge),
        Step("flag", flagged, call=shop.flag, refused=refused),
        given_up=given_up,
    )


def once(point: str, error: BaseException | None = None) -> Callable[[str], None]:
    """Trouble at one point, the first time it is reached."""
    reached: list[str] = []

    def trouble(here: str) -> None:
        if here == point and not reached:
            reached.append(here)
            raise error or GatewayOutcomeUnknown("cut off")

    return trouble
