"""The contract with the official SDK: played once, then looked at from every side.

One test and not ten, since the play takes seconds and parallel runs would each play it for themselves.
"""

import pytest
from tools.emulator_contract import PAGE, field_reason, page, status_reason

from quntedge.gateway.emulator.wire.event_names import SENT
from tests.emulator.contract import reasons
from tests.emulator.contract.play import Contract, play
from tests.emulator.contract.served import NOT_SERVED, not_served, reason, routes, served
from tests.emulator.contract.surface import operations

_EXPLAINED = ("status", "substatus", "billing_reason")
"""Enumerations of which every value is seen, or has a reason not to be."""


def unplayed(contract: Contract) -> list[str]:
    """Operations with a route that nobody asked, or that never went well; one is for buyers alone."""
    succeeded = {exchange.operation.key for exchange in contract.record.exchanges if exchange.status < 300}
    return sorted(served().keys() - succeeded - {"payments.resume"})


def unpaged(contract: Contract) -> list[str]:
    """Lists of which nobody read a second page; there is one account only."""
    paged = {exchange.operation.key for exchange in contract.record.exchanges if "after" in exchange.query}
    lists = {key for key, operation in served().items() if "after" in operation.of_place("query")}
    return sorted(lists - paged - {"accounts.list"})


def unexplained(contract: Contract) -> list[str]:
    """Fields without a value and statuses never reached for which nobody gave a reason, and reasons for nothing."""
    gaps = {f"{name}.{path}": field_reason(name, path) for name, path in contract.coverage.gaps()}
    unseen = {
        f"{name}.{path}={value}": status_reason(name, path, value)
        for name, path, value in contract.coverage.unseen_values()
        if path in _EXPLAINED
    }
    used = {why for why in (*gaps.values(), *unseen.values()) if why is not None}
    given = {*reasons.FIELDS.values(), *reasons.STATUSES.values()}
    return [
        *(f"no reason: {what}" for what, why in (gaps | unseen).items() if why is None),
        *(f"reason for nothing: {why}" for why in given - used),
    ]


@pytest.mark.slow
async def test_the_contract() -> None:
    contract = await play()
    assert contract.record.findings() == []
    assert contract.webhook_findings() == []
    assert contract.refusals == []
    assert unplayed(contract) == []
    assert unpaged(contract) == []
    assert {one.type for one in contract.native} == {one.type for one in contract.legacy} == set(SENT)
    assert contract.strangers == reasons.STRANGERS
    assert unexplained(contract) == []
    assert PAGE.read_text("utf-8") == page(contract), "run: python -m tools.emulator_contract --write"


def test_every_route_is_an_operation_of_the_sdk() -> None:
    known = {(operation.http_method, operation.path) for operation in operations().values()}
    assert routes().keys() - known == set()


def test_what_is_not_served_has_a_reason() -> None:
    assert [key for key in not_served() if reason(key) is None] == []
    patterns = {pattern for key in not_served() for pattern in (key, f"{key.rpartition('.')[0]}.*")}
    assert NOT_SERVED.keys() - patterns == set()
