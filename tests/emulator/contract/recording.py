"""Writes down every request the SDK makes and every answer it gets, and which operation each one was."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from whop_sdk import AsyncWhop, WhopEnvironment

from quntedge.gateway.emulator.testing import RunningEmulator
from tests.emulator.conftest import NO_CERTIFICATES
from tests.emulator.contract.strict import findings
from tests.emulator.contract.surface import Operation, asked

_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Exchange:
    """One request of the SDK with its answer, raw."""

    operation: Operation
    path: str
    asked: dict[str, Any]
    """Body of the request; empty when there was none."""
    query: dict[str, str]
    status: int
    answer: Any

    def findings(self) -> list[str]:
        """What is wrong with the answer, in the eyes of the SDK's types."""
        where = f"{self.operation.key} {self.status}"
        if self.status >= 400:
            return [f"{where}: {problem}" for problem in error_findings(self.answer)]
        return findings(self.answer, self.operation.answer, where)


def error_findings(answer: Any) -> list[str]:
    """What is wrong with an error answer; Whop's has a type or a code, and a sentence."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return [f"no error object in {answer!r}"]
    named = [name for name in ("type", "code") if isinstance(error.get(name), str) and error[name]]
    problems = [] if named else [f"neither type nor code in {error!r}"]
    if not isinstance(error.get("message"), str) or not error["message"].strip():
        problems.append(f"no message in {error!r}")
    return problems + [f"unknown member {name!r} in an error" for name in error.keys() - {"type", "code", "message"}]


@dataclass
class Record:
    """All exchanges so far, in order."""

    exchanges: list[Exchange] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Requests that are no operation of the SDK's code as we read it."""

    async def note(self, response: httpx.Response) -> None:
        """Keeps one answer. A hook of the HTTP client below the SDK."""
        await response.aread()
        request = response.request
        path = request.url.path.partition("/api/v1/")[2]
        operation = asked(request.method, path)
        if operation is None:
            self.unknown.append(f"{request.method} {path}")
            return
        asked_for = json.loads(request.content) if request.content else {}
        answer = json.loads(response.content)
        exchange = Exchange(operation, path, asked_for, dict(request.url.params), response.status_code, answer)
        self.exchanges.append(exchange)

    def findings(self) -> list[str]:
        """Everything that is wrong with any answer, each thing once."""
        found = [_INDEX.sub("[]", problem) for exchange in self.exchanges for problem in exchange.findings()]
        return list(dict.fromkeys(found + [f"{what}: no operation of the SDK" for what in self.unknown]))

    def seen(self) -> dict[str, set[int]]:
        """The statuses each operation has answered with, by its key."""
        statuses: dict[str, set[int]] = {}
        for exchange in self.exchanges:
            statuses.setdefault(exchange.operation.key, set()).add(exchange.status)
        return statuses


@asynccontextmanager
async def recording_sdk(emu: RunningEmulator, record: Record, key: str | None = None) -> AsyncIterator[AsyncWhop]:
    """The official client, untouched, whose answers are written down below it. Uses the account's key if none is
    given."""
    hooks = {"response": [record.note]}
    async with httpx.AsyncClient(verify=NO_CERTIFICATES, trust_env=False, event_hooks=hooks) as http:
        environment = WhopEnvironment(api=emu.api_base_url, vault=emu.api_base_url)
        yield AsyncWhop(token=key or emu.config.api_key, environment=environment, httpx_client=http, max_retries=0)
