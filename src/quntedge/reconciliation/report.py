"""A run for people: its sums, its open differences, and a page of them that needs nothing but itself."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from sqlalchemy import Row

from quntedge.kit.money import Money
from quntedge.reconciliation import queries, runs
from quntedge.reconciliation.queries import CauseSum, Filter
from quntedge.storage.unit_of_work import UnitOfWork

MOST_LISTED: Final = 200

_FOLDER = files("quntedge.reconciliation") / "templates"
STYLE: Final = (_FOLDER / "report.css").read_text("utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'"
"""What a browser is to allow the page: its own style, and nothing else."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run has found out, as of now. `listed` are the oldest open differences of its range, `number_open` how
    many there are."""

    run: Row[Any]
    sums: Sequence[Row[Any]]
    causes: Sequence[CauseSum]
    listed: Sequence[Row[Any]]
    number_open: int
    product: str
    made_at: datetime

    @property
    def agrees(self) -> bool:
        """Whether nothing of the range is open and every sum is explained."""
        return not self.number_open and not any(row.unexplained_minor for row in self.sums)


async def report_of(unit: UnitOfWork, run_id: str, product: str) -> Report:
    """The report of a run. Raises `RunNotFound`."""
    run = await runs.get(unit, run_id)
    causes = await queries.by_cause(unit, since=run.since, until=run.until)
    listed = await queries.differences(unit, Filter(since=run.since, until=run.until), None, MOST_LISTED)
    return Report(
        run=run,
        sums=await queries.sums(unit, run_id),
        causes=causes,
        listed=listed.data,
        number_open=sum(cause.count for cause in causes),
        product=product,
        made_at=unit.clock.now(),
    )


def html_of(report: Report) -> str:
    """The page."""
    return str(_TEMPLATE.render(report=report, run=report.run, style=STYLE))


def _money(minor: int | None, currency: str) -> str:
    return "–" if minor is None else Money(minor, currency).format("en")


def _moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _age(since: datetime, now: datetime) -> str:
    days = (now - since).days
    return "today" if days <= 0 else f"{days} day{'s' if days > 1 else ''}"


def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"money": _money, "moment": _moment, "words": _words, "age": _age}
    return environment.from_string((_FOLDER / "report.html").read_text("utf-8"))


_TEMPLATE: Final = _template()
