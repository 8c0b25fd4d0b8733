"""Plays the whole contract once and keeps what it showed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from tests.emulator.conftest import NO_CERTIFICATES
from tests.emulator.contract.acts_catalog import CATALOG
from tests.emulator.contract.acts_claims import CLAIMS
from tests.emulator.contract.acts_finance import FINANCE
from tests.emulator.contract.acts_money import MONEY
from tests.emulator.contract.acts_people import PEOPLE
from tests.emulator.contract.coverage import Coverage
from tests.emulator.contract.parameters import Probe, accepted_inside, accepted_strangers, bases, probe_all
from tests.emulator.contract.recording import Record
from tests.emulator.contract.refusals import refusal_findings
from tests.emulator.contract.stage import Stage, staged
from tests.emulator.contract.webhooks import legacy_findings, native_findings, thing_of
from tests.emulator.receiver import Received

ACTS: tuple[Callable[[Stage], Awaitable[None]], ...] = (*CATALOG, *MONEY, *CLAIMS, *FINANCE, *PEOPLE)


@dataclass(frozen=True)
class Contract:
    """All that was seen."""

    record: Record
    coverage: Coverage
    native: list[Received]
    legacy: list[Received]
    refusals: list[str]
    """What is wrong with the answers to wrong keys and about things that do not exist."""
    probes: list[Probe]
    strangers: dict[str, set[str]]
    """Parameters that are taken although the SDK does not have them, by operation."""

    def webhook_findings(self) -> list[str]:
        """Everything that is wrong with any delivery, each thing once."""
        found = [problem for one in self.native for problem in native_findings(one)]
        found += [problem for one in self.legacy for problem in legacy_findings(one)]
        return list(dict.fromkeys(found))


async def play() -> Contract:
    """Every act on one stage, then the refusals and the parameters. Raises AssertionError when an act goes wrong."""
    async with staged() as stage:
        for act in ACTS:
            await act(stage)
        await stage.emu.settle()
        native, legacy = list(stage.native.received), list(stage.legacy.received)
        known = bases(stage.record)
        refusals = await refusal_findings(stage.emu, known, stage.record)
        head = {"authorization": f"Bearer {stage.emu.config.api_key}", "api-version-date": "2026-10-15-1"}
        base_url = f"{stage.emu.api_base_url}/"
        async with httpx.AsyncClient(base_url=base_url, headers=head, verify=NO_CERTIFICATES, trust_env=False) as api:
            probes = await probe_all(api, stage.record, known)
            strangers = await accepted_strangers(api, known) | await accepted_inside(api, stage.record)
    return Contract(stage.record, _coverage(stage.record, native), native, legacy, refusals, probes, strangers)


def _coverage(record: Record, deliveries: list[Received]) -> Coverage:
    coverage = Coverage()
    for exchange in record.exchanges:
        if exchange.status < 300:
            coverage.answer(exchange.answer, exchange.operation.answer)
    for one in deliveries:
        coverage.thing(one.data, thing_of(one.type), "webhook")
    return coverage
